"""A comparison as one CSV file: a row a set, metric and method, in full precision."""

import math
from typing import Any

from sedistill.common.csv_files import csv_text, number_text
from sedistill.evaluation.comparing.comparison import Comparison, Difference
from sedistill.evaluation.comparing.significance import PairedTest
from sedistill.evaluation.metrics import METRICS

TEST_COLUMNS = ("low", "high", "t", "p_t", "p_t_holm", "p_wilcoxon", "p_wilcoxon_holm", "d_z")
COLUMNS = (
    "set", "metric", "unit", "method", "baseline", "clips", "of",
    "utterances", "noise_recordings", "clips_degrees_of_freedom", "mean", "baseline_mean", "difference",
    *(f"clips_{name}" for name in TEST_COLUMNS), "gap_closed", "gap_closed_low", "gap_closed_high",
    "seeds", "difference_by_seed", *(f"seeds_{name}" for name in TEST_COLUMNS), "holm_over_at_most",
)  # fmt: skip


def comparison_csv(comparison: Comparison) -> str:
    """The text of the file; what is not known or was not tested is left empty."""
    return csv_text([COLUMNS, *(_row(comparison, row) for row in comparison.differences)])


def _row(comparison: Comparison, row: Difference) -> list[Any]:
    closed, corrected = row.gap_closed, row.corrected
    share = [closed.value, closed.low, closed.high] if closed else [math.nan] * 3
    return [
        row.set_name, row.metric, METRICS[row.metric].unit, row.method, comparison.baseline,
        row.clips, row.of, *_recordings(row),
        *map(number_text, (row.method_mean, row.baseline_mean, row.over_clips.mean)),
        *_tested(row.over_clips, corrected.clips_t, corrected.clips_wilcoxon), *map(number_text, share),
        " ".join(map(str, row.seeds)), " ".join(map(number_text, row.by_seed)),
        *_tested(row.over_seeds, corrected.seeds_t, corrected.seeds_wilcoxon),
        comparison.family_size if row.method in comparison.methods else "",
    ]  # fmt: skip


def _recordings(row: Difference) -> list[Any]:
    """How many there are and the degrees of freedom that leaves; empty where clips are independent."""
    if row.clusters is None:
        return ["", "", max(row.clips - 1, 0)]
    return [row.clusters.utterance_count, row.clusters.noise_count, row.clusters.fewest - 1]


def _tested(test: PairedTest, p_t_holm: float, p_wilcoxon_holm: float) -> list[str]:
    values = (test.low, test.high, test.t, test.p_t, p_t_holm, test.p_wilcoxon, p_wilcoxon_holm, test.d_z)
    return [number_text(value) for value in values]
