"""The summary of an evaluation, as CSV and as Markdown: means over all clips, by SNR and by noise class."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sedistill.common.csv_files import csv_text, number_text
from sedistill.common.integrity import file_hash
from sedistill.common.reading import NAMES, TO_BE_READ
from sedistill.common.report.markdown import markdown_table, markdown_text
from sedistill.common.yaml_files import yaml_text
from sedistill.evaluation.metrics import METRICS
from sedistill.evaluation.scores import (
    ALL_CLIPS,
    CLIPS,
    CLIPS_HASH,
    FACTS,
    NOISY,
    SetScores,
    Statistic,
)

CLIP_COLUMNS = ("model", "clip", "seconds", "snr_db", "noise_class", "utterance", "noise_recording")
SUMMARY, SUMMARY_TEXT = "summary.csv", "summary.md"
SUMMARY_COLUMNS = (
    "set", "model", "snr", "noise_class", "metric", "unit", "n", "of", "mean", "sd",
    "improvement", "improvement_sd", "improvement_n",
)  # fmt: skip


def write_scores(folder: Path, scores: SetScores) -> None:
    """Write clips.csv, summary.csv, summary.md and evaluation.yaml into an existing folder."""
    (folder / CLIPS).write_text(csv_text(_clip_rows(scores)), **NAMES)
    (folder / SUMMARY).write_text(csv_text(_summary_rows(scores)), **NAMES)
    (folder / SUMMARY_TEXT).write_text(summary_text(scores), **TO_BE_READ)
    facts = {"name": scores.name, **scores.facts, CLIPS_HASH: file_hash(folder / CLIPS)}
    (folder / FACTS).write_text(yaml_text(facts), encoding="utf-8")


def _clip_rows(scores: SetScores) -> Iterator[list[Any]]:
    """Every clip and model, every metric and its improvement, and the reason where one is undefined."""
    columns = [column for metric in scores.metrics for column in (metric, f"{metric}_improvement")]
    yield [*CLIP_COLUMNS, *columns, "undefined"]
    for row in scores.clips:
        reasons = " | ".join(
            f"{name}: {reason.replace(' | ', ' / ')}" for name, reason in row.reasons.items()
        )
        values = [
            number_text(value)
            for metric in scores.metrics
            for value in (row.values[metric], scores.improvement(row, metric))
        ]
        about = [
            row.model, row.clip, number_text(row.seconds), number_text(row.snr_db), row.noise_class,
            row.utterance, row.noise_recording,
        ]  # fmt: skip
        yield [*about, *values, reasons]


def _summary_rows(scores: SetScores) -> Iterator[Sequence[Any]]:
    """All clips first, then every SNR, every noise class, and every SNR of every noise class."""
    yield SUMMARY_COLUMNS
    snrs, classes = scores.snr_bins, scores.noise_classes
    groups = [
        (ALL_CLIPS, ALL_CLIPS),
        *((snr, ALL_CLIPS) for snr in snrs),
        *((ALL_CLIPS, noise_class) for noise_class in classes),
        *((snr, noise_class) for noise_class in classes for snr in snrs),
    ]
    for model in scores.models:
        for group in groups:
            for metric in scores.metrics:
                score = scores.statistic(model, metric, *group)
                gain = scores.improvement_statistic(model, metric, *group)
                if score.of:
                    yield [
                        scores.name, model, *group, metric, METRICS[metric].unit, score.n, score.of,
                        number_text(score.mean), number_text(score.sd),
                        number_text(gain.mean), number_text(gain.sd), gain.n,
                    ]  # fmt: skip


def summary_text(scores: SetScores) -> str:
    """The summary as Markdown: means with spread and n; by SNR and noise class; what was measured how."""
    explanation = f"Mean ± standard deviation over clips; in brackets the mean improvement over {NOISY}."
    facts = yaml_text(scores.facts)
    parts = [
        f"# {markdown_text(scores.name)}",
        explanation,
        _means_table(scores),
        count_text(scores),
        "## By SNR",
        *(_snr_table(scores, metric) for metric in scores.metrics),
    ]
    if scores.noise_classes:
        parts += ["## By noise class", *(_noise_table(scores, metric) for metric in scores.metrics)]
    parts += ["## What was measured", f"```yaml\n{facts}```"]
    return "\n\n".join(parts) + "\n"


def _means_table(scores: SetScores) -> str:
    header = ["", *(scores.label(metric) for metric in scores.metrics)]
    rows = [
        [model, *(score_cell(scores, model, metric) for metric in scores.metrics)] for model in scores.models
    ]
    return markdown_table(header, rows)


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
    return markdown_table(header, rows)


def _noise_table(scores: SetScores, metric: str) -> str:
    """Classes downwards: there may be dozens."""
    rows = []
    for noise_class in scores.noise_classes:
        statistics = [scores.statistic(model, metric, ALL_CLIPS, noise_class) for model in scores.models]
        cells = (mean_cell(statistic, metric) for statistic in statistics)
        rows.append([f"{noise_class} (n = {statistics[0].of})", *cells])
    return markdown_table([scores.label(metric), *scores.models], rows)


def score_cell(scores: SetScores, model: str, metric: str, spread: bool = True) -> str:
    """Mean, ± spread, improvement, and n where clips are missing."""
    digits = METRICS[metric].digits
    score = scores.statistic(model, metric)
    text = mean_cell(score, metric)
    if spread and math.isfinite(score.sd):
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
