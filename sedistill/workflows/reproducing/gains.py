"""How much better a row is than its baseline: ours, clip by clip and seed by seed, beside the paper's."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sedistill.common.csv_files import csv_text, number_text
from sedistill.evaluation.comparing.clusters import Clusters
from sedistill.evaluation.comparing.significance import standard_error
from sedistill.evaluation.scores import SetScores
from sedistill.workflows.reproducing.cells import Block, Scores, by_shared_seed, factor_of, rows_of
from sedistill.workflows.reproducing.table import Row, Table, View


@dataclass(frozen=True)
class Gain:
    """Row minus baseline in the paper's unit; NaN where not known.

    by_seed: the mean over clips, of each seed that both have. error: the standard error over clips of the
    mean over these seeds, between recordings where clips share one. clips: those on which the metric is
    defined for both with each of them.
    """

    by_seed: Sequence[float]
    error: float
    clips: int
    paper: float

    @property
    def ours(self) -> float:
        """The mean over seeds."""
        return statistics.fmean(self.by_seed) if self.by_seed else math.nan


@dataclass(frozen=True)
class GainLine:
    """A row over its baseline, a gain for each column of the block."""

    row: Row
    baseline: Row
    gains: Sequence[Gain]


def gain_lines(block: Block, table: Table, scores: Mapping[str, Scores]) -> list[GainLine]:
    """Of a view of means over all clips: every row that is there and names a baseline."""
    if block.view.statistic != "mean" or block.view.by is not None:
        return []
    by_key = {row.key: row for row in table.rows}
    lines = [
        _line(block, row, by_key[row.baseline], scores)
        for row in table.shown(block.key)
        if row.baseline is not None
    ]
    return [line for line in lines if any(gain.by_seed for gain in line.gains)]


def _line(block: Block, row: Row, baseline: Row, scores: Mapping[str, Scores]) -> GainLine:
    view = block.view
    pairs = by_shared_seed(view, scores.get(row.key, {}), scores.get(baseline.key, {}))
    printed = _printed(block.key, view, row, baseline)
    return GainLine(
        row, baseline, [_gain(view, column, pairs, printed.get(column)) for column in block.columns]
    )


def _gain(
    view: View, column: tuple[str, str], pairs: Sequence[tuple[SetScores, SetScores]], printed: float | None
) -> Gain:
    metric = column[0]
    by_clip: dict[str, list[float]] = {}
    recordings: dict[str, tuple[str, str]] = {}
    for one, other in pairs:
        before = {row.clip: row.values[metric] for row in rows_of(view, other, "")}
        for row in rows_of(view, one, ""):
            by_clip.setdefault(row.clip, []).append(row.values[metric] - before.get(row.clip, math.nan))
            recordings[row.clip] = row.utterance, row.noise_recording
    seen = {
        clip: values
        for clip, values in by_clip.items()
        if len(values) == len(pairs) and np.isfinite(values).all()
    }
    differences = factor_of(view, column) * np.array([*seen.values()]).reshape(len(seen), len(pairs))
    return Gain(
        by_seed=differences.mean(axis=0).tolist() if differences.size else [],
        error=_error(differences, [recordings[clip] for clip in seen]),
        clips=len(differences),
        paper=math.nan if printed is None else printed,
    )


def _error(differences: NDArray[np.float64], recordings: Sequence[tuple[str, str]]) -> float:
    """Of the mean over clips and seeds; between recordings where clips share them."""
    if not differences.size:
        return math.nan
    utterances, noises = zip(*recordings, strict=True)
    return standard_error(differences.mean(axis=1), Clusters(utterances, noises))[0]


def _printed(key: str, view: View, row: Row, baseline: Row) -> dict[tuple[str, str], float]:
    """The paper's gains, of the columns where it has both numbers."""
    numbers = zip(view.columns, row.paper.get(key, []), baseline.paper.get(key, []), strict=False)
    return {column: one - other for column, one, other in numbers if one is not None and other is not None}


CSV_COLUMNS = (
    "view", "set", "row", "baseline", "metric", "seeds", "clips",
    "gain", "error_over_clips", "by_seed", "paper",
)  # fmt: skip


def gains_csv(lines: Sequence[tuple[Block, Sequence[GainLine]]]) -> str:
    """Every gain in full precision, a line each; what is not known is empty."""
    return csv_text([CSV_COLUMNS, *(row for block, of_block in lines for row in _csv_lines(block, of_block))])


def _csv_lines(block: Block, lines: Sequence[GainLine]) -> list[list[object]]:
    return [
        [
            block.key, block.view.set or "", line.row.key, line.baseline.key, column[0], len(gain.by_seed),
            gain.clips, number_text(gain.ours), number_text(gain.error),
            " ".join(map(number_text, gain.by_seed)), number_text(gain.paper),
        ]
        for line in lines
        for column, gain in zip(block.columns, line.gains, strict=True)
    ]  # fmt: skip
