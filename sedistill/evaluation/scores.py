"""The scores of an evaluation: one row a clip and model, their means, and the files they are kept in."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sedistill.errors import UserError
from sedistill.evaluation.quality import METRICS

NOISY = "noisy"
ALL_CLIPS = "all"
SNR_UNKNOWN = "SNR unknown"
CLIPS, SUMMARY, SUMMARY_TEXT, FACTS = "clips.csv", "summary.csv", "summary.md", "evaluation.yaml"
CLIP_COLUMNS = ("model", "clip", "seconds", "snr_db", "noise_class")
SUMMARY_COLUMNS = (
    "set", "model", "snr", "metric", "unit", "n", "of", "mean", "sd",
    "improvement", "improvement_sd", "improvement_n",
)  # fmt: skip


@dataclass
class ClipScore:
    """One model on one clip. `values` holds NaN where a metric is undefined, `reasons` says why.

    `model` is "noisy" for the unprocessed input. `snr_db` is NaN where it is not known.
    """

    model: str
    clip: str
    seconds: float
    snr_db: float
    noise_class: str
    values: dict[str, float]
    reasons: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Statistic:
    """A mean over clips: `n` of `of` clips have a value, `sd` is the standard deviation over them."""

    mean: float
    sd: float
    n: int
    of: int

    @classmethod
    def over(cls, values: Sequence[float]) -> "Statistic":
        known = np.array([value for value in values if math.isfinite(value)])
        mean = float(known.mean()) if len(known) else math.nan
        sd = float(known.std(ddof=1)) if len(known) > 1 else math.nan
        return cls(mean, sd, len(known), len(values))


@dataclass
class SetScores:
    """All scores on one set.

    Attributes
        name: the set's name.
        metrics: names of the metrics, as in `quality.METRICS`.
        clips: every model on every clip, noisy first.
        facts: what was measured how: set, models, hashes, rates, level correction, code version.
    """

    name: str
    metrics: list[str]
    clips: list[ClipScore]
    facts: dict[str, Any]

    def __post_init__(self) -> None:
        self._noisy = {row.clip: row for row in self.clips if row.model == NOISY}

    @property
    def models(self) -> list[str]:
        """Noisy and every model, in the order given."""
        return list(dict.fromkeys(row.model for row in self.clips))

    @property
    def snr_bins(self) -> list[str]:
        """The SNR ranges that hold clips, from low to high."""
        width = self._snr_bin_width()
        lows = {_bin_low(row.snr_db, width) for row in self.clips}
        return [_bin_label(low, width) for low in sorted(lows, key=lambda low: (math.isnan(low), low))]

    def label(self, metric: str) -> str:
        """The metric's label, with the rate where that matters, and its unit where it has one."""
        label = self.facts.get("metrics", {}).get(metric, METRICS[metric].label)
        return f"{label}, dB" if METRICS[metric].unit == "dB" else label

    def improvement(self, row: ClipScore, metric: str) -> float:
        """The metric on this row minus the same on the noisy clip; NaN where either is undefined."""
        return row.values[metric] - self._noisy[row.clip].values[metric]

    def statistic(self, model: str, metric: str, snr: str = ALL_CLIPS) -> Statistic:
        """Mean, spread and n of a metric, over all clips or those of one SNR range."""
        return Statistic.over([row.values[metric] for row in self._rows(model, snr)])

    def improvement_statistic(self, model: str, metric: str, snr: str = ALL_CLIPS) -> Statistic:
        """Mean, spread and n of a metric's improvement over noisy, over clips where both are defined."""
        return Statistic.over([self.improvement(row, metric) for row in self._rows(model, snr)])

    def mean(self, model: str, metric: str) -> float:
        """The mean over all clips on which the metric is defined."""
        return self.statistic(model, metric).mean

    def _rows(self, model: str, snr: str) -> list[ClipScore]:
        width = self._snr_bin_width()
        return [
            row
            for row in self.clips
            if row.model == model and snr in (ALL_CLIPS, _bin_label(_bin_low(row.snr_db, width), width))
        ]

    def _snr_bin_width(self) -> int:
        known = [row.snr_db for row in self.clips if math.isfinite(row.snr_db)]
        return 5 if not known or max(known) - min(known) <= 40 else 10


def _bin_low(snr_db: float, width: int) -> float:
    # A measured SNR of 14.9999 was mixed at 15.
    return math.floor(round(snr_db, 2) / width) * width if math.isfinite(snr_db) else math.nan


def _bin_label(low: float, width: int) -> str:
    return SNR_UNKNOWN if math.isnan(low) else f"{low:g} to {low + width:g} dB"


def write_scores(folder: Path, scores: SetScores) -> None:
    """Write clips.csv, summary.csv, summary.md and evaluation.yaml into an existing folder."""
    (folder / CLIPS).write_text(_csv(_clip_rows(scores)), encoding="utf-8")
    (folder / SUMMARY).write_text(_csv(_summary_rows(scores)), encoding="utf-8")
    (folder / SUMMARY_TEXT).write_text(summary_text(scores), encoding="utf-8")
    facts = {"name": scores.name, **scores.facts}
    (folder / FACTS).write_text(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True), encoding="utf-8")


def load_scores(folder: Path | str) -> dict[str, SetScores]:
    """Read back what an evaluation wrote: the scores of every set, by the set's name.

    `folder` is the output of an evaluation, or one set's folder in it. Raises UserError when it is neither.
    """
    folder = Path(folder)
    places = [folder] if (folder / FACTS).is_file() else sorted(p.parent for p in folder.glob(f"*/{FACTS}"))
    if not places:
        raise UserError(f"{folder} holds no evaluation ({FACTS}); make one with `sedistill evaluate`.")
    loaded = [_load_set(place) for place in places]
    return {scores.name: scores for scores in loaded}


def _load_set(place: Path) -> SetScores:
    try:
        facts = yaml.safe_load((place / FACTS).read_text(encoding="utf-8"))
        metrics = list(facts["metrics"])
        with (place / CLIPS).open(newline="", encoding="utf-8") as file:
            clips = [_read_clip(row, metrics) for row in csv.DictReader(file)]
        return SetScores(facts.pop("name"), metrics, clips, facts)
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{place} is not a whole evaluation ({error!r}); evaluate again.") from None


def _read_clip(row: dict[str, str], metrics: list[str]) -> ClipScore:
    reasons = dict(part.split(": ", 1) for part in row["undefined"].split(" | ") if part)
    return ClipScore(
        row["model"], row["clip"], _number(row["seconds"]), _number(row["snr_db"]), row["noise_class"],
        {metric: _number(row[metric]) for metric in metrics}, reasons,
    )  # fmt: skip


def _clip_rows(scores: SetScores) -> Iterator[list[Any]]:
    columns = [column for metric in scores.metrics for column in (metric, f"{metric}_improvement")]
    yield [*CLIP_COLUMNS, *columns, "undefined"]
    for row in scores.clips:
        reasons = " | ".join(
            f"{name}: {reason.replace(' | ', ' / ')}" for name, reason in row.reasons.items()
        )
        values = [
            _text(value)
            for metric in scores.metrics
            for value in (row.values[metric], scores.improvement(row, metric))
        ]
        yield [row.model, row.clip, _text(row.seconds), _text(row.snr_db), row.noise_class, *values, reasons]


def _summary_rows(scores: SetScores) -> Iterator[Sequence[Any]]:
    yield SUMMARY_COLUMNS
    for model in scores.models:
        for snr in (ALL_CLIPS, *scores.snr_bins):
            for metric in scores.metrics:
                score = scores.statistic(model, metric, snr)
                gain = scores.improvement_statistic(model, metric, snr)
                yield [
                    scores.name, model, snr, metric, METRICS[metric].unit, score.n, score.of,
                    _text(score.mean), _text(score.sd), _text(gain.mean), _text(gain.sd), gain.n,
                ]  # fmt: skip


def summary_text(scores: SetScores) -> str:
    """The summary as Markdown: means, improvement, spread and n; then by SNR; then what was measured how."""
    explanation = f"Mean ± standard deviation over clips; in brackets the mean improvement over {NOISY}."
    facts = yaml.safe_dump(scores.facts, sort_keys=False, allow_unicode=True)
    parts = [
        f"# {scores.name}",
        explanation,
        _means_table(scores),
        count_text(scores),
        "## By SNR",
        *(_snr_table(scores, metric) for metric in scores.metrics),
        "## What was measured",
        f"```yaml\n{facts}```",
    ]
    return "\n\n".join(parts) + "\n"


def _means_table(scores: SetScores) -> str:
    header = ["", *(scores.label(metric) for metric in scores.metrics)]
    rows = [
        [model, *(full_cell(scores, model, metric) for metric in scores.metrics)] for model in scores.models
    ]
    return _markdown_table(header, rows)


def _snr_table(scores: SetScores, metric: str) -> str:
    clips = [scores.statistic(NOISY, metric, snr).of for snr in scores.snr_bins]
    header = [
        scores.label(metric),
        *(f"{snr} (n = {n})" for snr, n in zip(scores.snr_bins, clips, strict=True)),
    ]
    rows = [
        [model, *(mean_cell(scores.statistic(model, metric, snr), metric) for snr in scores.snr_bins)]
        for model in scores.models
    ]
    return _markdown_table(header, rows)


def full_cell(scores: SetScores, model: str, metric: str) -> str:
    """Mean ± spread, improvement, and n where clips are missing."""
    digits = METRICS[metric].digits
    score = scores.statistic(model, metric)
    text = mean_cell(score, metric)
    if math.isfinite(score.sd):
        text += f" ± {score.sd:.{digits}f}"
    gain = scores.improvement_statistic(model, metric)
    if model != NOISY and gain.n:
        text += f" ({gain.mean:+.{digits}f})"
    return text


def mean_cell(score: Statistic, metric: str) -> str:
    """The mean, and "n = 822 of 824" where it is not over all clips."""
    text = f"{score.mean:.{METRICS[metric].digits}f}" if score.n else "-"
    return text if score.n == score.of else f"{text} [n = {score.n} of {score.of}]"


def count_text(scores: SetScores) -> str:
    """How many clips the means are over, and why some are missing."""
    total = sum(row.model == NOISY for row in scores.clips)
    missing = [(row, metric) for row in scores.clips for metric in row.reasons]
    if not missing:
        return f"n = {total} clips for every mean."
    row, metric = missing[0]
    return (
        f"n = {total} clips, fewer where a cell says so; {CLIPS} has the reasons (the first: "
        f"{METRICS[metric].label} of {row.model} on {row.clip}: {row.reasons[metric].rstrip('.')})."
    )


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in header[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def _csv(rows: Iterator[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _text(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else ""


def _number(text: str) -> float:
    return float(text) if text else math.nan
