"""The scores of an evaluation: one row a clip and model, their means, and the files they are kept in."""

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, make_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from sedistill.common.csv_files import Number, read_csv
from sedistill.common.errors import UserError
from sedistill.common.integrity import file_hash
from sedistill.common.reading import is_taken
from sedistill.common.settings import Record, read_record
from sedistill.evaluation.metrics import METRICS

NOISY = "noisy"
ALL_CLIPS = "all"
SNR_UNKNOWN = "SNR unknown"
NOISE_UNKNOWN = "noise unknown"
MOST_SINGLE_SNRS = 8
"""A set mixed at no more SNRs than this is shown by each of them, any other by ranges."""

CLIPS, FACTS = "clips.csv", "evaluation.yaml"
CLIPS_HASH = "clips_sha256"
AGAIN = "evaluate again"


class _Model(Record):
    """What is known of a model, as far as others read it."""

    folder: str | None = None
    recipe: str | None = None
    seed: int | None = None
    hash: str | None = None


class _Facts(Record):
    """What evaluation.yaml has to hold."""

    name: str
    metrics: dict[str, str]
    models: dict[str, _Model] = Field(default_factory=dict)
    set: dict[str, Any] = Field(default_factory=dict)


@dataclass
class ClipScore:
    """One model on one clip. `values` holds NaN where a metric is undefined, `reasons` says why.

    `model` is "noisy" for the unprocessed input. `snr_db` is NaN where it is not known. `utterance` and
    `noise_recording` (several parted by semicolons) name what is in the clip, so that clips which share one
    are not taken as independent; empty where not known.
    """

    model: str
    clip: str
    seconds: float
    snr_db: float
    noise_class: str
    values: dict[str, float]
    reasons: dict[str, str] = field(default_factory=dict)
    utterance: str = ""
    noise_recording: str = ""


@dataclass(frozen=True)
class Statistic:
    """A mean over clips: `n` of `of` clips have a value, `sd` is the standard deviation over them.

    >>> Statistic.over([1.0, 3.0, float("nan")])
    Statistic(mean=2.0, sd=1.4142135623730951, n=2, of=3)
    """

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
        metrics: names of the metrics, as in `metrics.METRICS`.
        clips: every model on every clip, noisy first.
        facts: what was measured how: set, models, hashes, rates, level correction, code version.
    """

    name: str
    metrics: list[str]
    clips: list[ClipScore]
    facts: dict[str, Any]

    def __post_init__(self) -> None:
        _refuse_doubles(self.name, self.clips)
        self._noisy = {row.clip: row for row in self.clips if row.model == NOISY}
        self._snr_labels = _snr_labels({(row.clip, _rounded(row.snr_db)) for row in self.clips})
        self._groups: dict[tuple[str, str, str], list[ClipScore]] = defaultdict(list)
        for row in self.clips:
            for snr in {ALL_CLIPS, self._snr_labels[_rounded(row.snr_db)]}:
                for noise_class in {ALL_CLIPS, row.noise_class or NOISE_UNKNOWN}:
                    self._groups[row.model, snr, noise_class].append(row)

    @property
    def models(self) -> list[str]:
        """Noisy and every model, in the order given."""
        return list(dict.fromkeys(row.model for row in self.clips))

    @property
    def snr_bins(self) -> list[str]:
        """The SNRs, or ranges of SNR, that hold clips, from low to high."""
        return list(dict.fromkeys(self._snr_labels.values()))

    @property
    def noise_classes(self) -> list[str]:
        """The noise classes, sorted; none where no clip's class is known."""
        known = sorted({row.noise_class for row in self.clips} - {""})
        return [*known, NOISE_UNKNOWN] if known and not all(row.noise_class for row in self.clips) else known

    def label(self, metric: str) -> str:
        """The metric's label, with the rate where that matters, and its unit where it has one."""
        label = self.facts.get("metrics", {}).get(metric, METRICS[metric].label)
        return f"{label}, dB" if METRICS[metric].unit == "dB" else label

    def improvement(self, row: ClipScore, metric: str) -> float:
        """The metric on this row minus the same on the noisy clip; NaN where either is undefined."""
        return row.values[metric] - self._noisy[row.clip].values[metric]

    def only(self, metrics: Sequence[str]) -> "SetScores":
        """The same with these metrics alone, and the reasons where one of them is undefined."""
        clips = [
            replace(
                row,
                values={metric: row.values[metric] for metric in metrics},
                reasons={name: reason for name, reason in row.reasons.items() if name in metrics},
            )
            for row in self.clips
        ]
        return SetScores(self.name, list(metrics), clips, self.facts)

    def rows(self, model: str, snr: str = ALL_CLIPS, noise_class: str = ALL_CLIPS) -> list[ClipScore]:
        """A model on all clips or those of one SNR bin, noise class or both."""
        return self._groups.get((model, snr, noise_class), [])

    def statistic(
        self, model: str, metric: str, snr: str = ALL_CLIPS, noise_class: str = ALL_CLIPS
    ) -> Statistic:
        """Mean, spread and n of a metric, over all clips or those of one SNR bin, noise class or both."""
        return Statistic.over([row.values[metric] for row in self.rows(model, snr, noise_class)])

    def improvement_statistic(
        self, model: str, metric: str, snr: str = ALL_CLIPS, noise_class: str = ALL_CLIPS
    ) -> Statistic:
        """Mean, spread and n of a metric's improvement over noisy, over clips where both are defined."""
        rows = self.rows(model, snr, noise_class)
        return Statistic.over([self.improvement(row, metric) for row in rows])

    def clip_text(self, model: str, clip: str) -> str:
        """The scores of a model on a clip in the order of `metrics`, for people; "" where there are none."""
        for row in self.clips:
            if (row.model, row.clip) == (model, clip):
                return " · ".join(f"{row.values[one]:.{METRICS[one].digits}f}" for one in self.metrics)
        return ""

    def mean(self, model: str, metric: str) -> float:
        """The mean over all clips on which the metric is defined."""
        return self.statistic(model, metric).mean


def _refuse_doubles(name: str, clips: Sequence[ClipScore]) -> None:
    """Raise UserError where a model has a clip twice: a mean would count it so, and a join lose one."""
    seen: set[tuple[str, str]] = set()
    for row in clips:
        if (row.model, row.clip) in seen:
            raise UserError(
                f"the scores of {row.model} on {name} hold clip {row.clip} twice; evaluate again on a set "
                "whose clips have different names."
            )
        seen.add((row.model, row.clip))


def _snr_labels(clips: Collection[tuple[str, float | None]]) -> dict[float | None, str]:
    """The label of each SNR among the clips, from low to high and unknown last.

    It is the SNR itself where there are few and several clips have it, else a range of 5 or 10 dB.
    """
    clips_snr_db = [snr_db for _, snr_db in clips if snr_db is not None]
    known = sorted(set(clips_snr_db))
    labels: dict[float | None, str]
    if len(known) <= min(MOST_SINGLE_SNRS, len(clips_snr_db) / 2):
        labels = {snr_db: f"{snr_db:g} dB" for snr_db in known}
    else:
        width = 5 if known[-1] - known[0] <= 40 else 10
        lows = [math.floor(snr_db / width) * width for snr_db in known]
        labels = {snr_db: f"{low} to {low + width} dB" for snr_db, low in zip(known, lows, strict=True)}
    return labels if len(clips_snr_db) == len(clips) else {**labels, None: SNR_UNKNOWN}


def _rounded(snr_db: float) -> float | None:
    """A measured SNR of 14.9999 was mixed at 15. None where it is not known."""
    return round(snr_db, 2) + 0.0 if math.isfinite(snr_db) else None  # + 0.0: no "-0 dB"


def load_scores(folder: Path | str) -> dict[str, SetScores]:
    """Read back what an evaluation wrote: the scores of every set, by the set's name.

    `folder` is the output of an evaluation, or one set's folder in it. Raises UserError when it is neither.
    """
    folder = Path(folder)
    places = [folder] if is_taken(folder / FACTS) else sorted(p.parent for p in folder.glob(f"*/{FACTS}"))
    if not places:
        raise UserError(f"{folder} holds no evaluation ({FACTS}); make one with `sedistill evaluate`.")
    loaded: dict[str, SetScores] = {}
    for place in places:
        scores = _load_set(place)
        if scores.name in loaded:
            raise UserError(
                f"{folder} holds two sets of the name {scores.name}; give one another `name` in its {FACTS}."
            )
        loaded[scores.name] = scores
    return loaded


def _load_set(place: Path) -> SetScores:
    facts = read_record(_Facts, place / FACTS, AGAIN)
    metrics = list(facts["metrics"])
    unknown = [metric for metric in metrics if metric not in METRICS]
    if unknown:
        raise UserError(f"{place / FACTS}: there is no metric '{unknown[0]}' here; {AGAIN}.")
    columns = {
        "model": str, "clip": str, "seconds": Number, "snr_db": Number, "noise_class": str, "undefined": str,
        **dict.fromkeys(metrics, Number),
    }  # fmt: skip
    later: list[Any] = [(column, str, field(default="")) for column in ("utterance", "noise_recording")]
    row_kind: Any = make_dataclass("Row", [*columns.items(), *later])
    rows: list[Any] = read_csv(place / CLIPS, row_kind, AGAIN)
    clips = [_clip_score(row, metrics, place) for row in rows]
    _refuse_incomplete(clips, place)
    written = facts.pop(CLIPS_HASH, None)
    scores = SetScores(facts.pop("name"), metrics, clips, facts)
    if written not in (None, file_hash(place / CLIPS)):
        raise UserError(f"{place / CLIPS} was changed since it was written; {AGAIN}.")
    return scores


def _clip_score(row: Any, metrics: list[str], place: Path) -> ClipScore:
    reasons: list[Any] = [part.split(": ", 1) for part in row.undefined.split(" | ") if part]
    if any(len(reason) < 2 for reason in reasons):
        raise UserError(f"{place / CLIPS}: the reasons of {row.model} on {row.clip} are damaged; {AGAIN}.")
    values = {metric: getattr(row, metric) for metric in metrics}
    return ClipScore(
        row.model, row.clip, row.seconds, row.snr_db, row.noise_class, values, dict(reasons),
        row.utterance, row.noise_recording,
    )  # fmt: skip


def _refuse_incomplete(clips: list[ClipScore], place: Path) -> None:
    """Every model has every clip, the unprocessed input too, or a table was cut short."""
    if not clips:
        raise UserError(f"{place / CLIPS} holds no clips; {AGAIN}.")
    of_model: dict[str, set[str]] = defaultdict(set)
    for row in clips:
        of_model[row.model].add(row.clip)
    all_clips = list(dict.fromkeys(row.clip for row in clips))
    for model in dict.fromkeys([NOISY, *of_model]):
        lacking = next((clip for clip in all_clips if clip not in of_model[model]), None)
        if lacking is not None:
            raise UserError(f"{place / CLIPS} is not whole: {model} lacks clip {lacking}; {AGAIN}.")
