"""Our number beside the paper's for every cell of a table, from evaluations of its runs."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sedistill.analyzing.categories import CATEGORIES
from sedistill.common.csv_files import csv_text, number_text
from sedistill.evaluation.metrics import METRICS
from sedistill.evaluation.scores import ALL_CLIPS, NOISY, ClipScore, SetScores, Statistic
from sedistill.workflows.reproducing.table import NOISY_ROW, Row, Table, View

QUANTITIES = {
    "parameters": ("parameters, M", 3),
    "macs": ("MAC/s, G", 2),
    "ratio": ("mean ratio at the end", 2),
    **{category: (f"{category} (%)", 1) for category in CATEGORIES},
}
"""Label and digits of what is no metric."""

MOST_GROUPS = 10
"""Noises or SNRs of a set of our own that are shown."""

Scores = Mapping[int, Mapping[str, SetScores]]
"""The scores of a row: seed -> set -> scores."""

Observed = Mapping[int, Mapping[str, float]]
"""What was seen while a row was trained: seed -> quantity -> value."""


@dataclass(frozen=True)
class Cell:
    """One number of a row: ours by seed and the paper's, both in the paper's unit; NaN where not known.

    `clips` of `of` clips have a value, fewest over seeds; 0 of 0 for what is no mean over clips.
    """

    by_seed: Sequence[float]
    paper: float
    clips: int = 0
    of: int = 0

    @property
    def leaves_out(self) -> bool:
        """Whether some clips have no value, so that this is the mean of fewer than the row's others."""
        return self.clips < self.of

    @property
    def ours(self) -> float:
        """The mean over seeds."""
        return statistics.fmean(self.by_seed) if self.by_seed else math.nan

    @property
    def spread(self) -> float:
        """The standard deviation over seeds; NaN for one seed."""
        return statistics.stdev(self.by_seed) if len(self.by_seed) > 1 else math.nan

    @property
    def difference(self) -> float:
        return self.ours - self.paper


@dataclass(frozen=True)
class Line:
    """A row of a view. `clips` were scored; 0 where nothing was."""

    row: Row
    seeds: int
    clips: int
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Block:
    """A view with its numbers; of the `columns` shown some may have no number of the paper's."""

    key: str
    view: View
    columns: Sequence[tuple[str, str]]
    lines: Sequence[Line]


def block(
    key: str,
    table: Table,
    scores: Mapping[str, Scores],
    sizes: Mapping[str, Mapping[str, float]],
    observed: Mapping[str, Observed],
) -> Block:
    """The numbers of a view.

    Args:
        scores: of every row by its key; the noisy row's have one "seed".
        sizes: of the network of every row: "parameters" in millions, "macs" in 10^9 a second.
        observed: of every row: KDRL's ratio at the end, the percentage of each category of patches.
    """
    view = table.views[key]
    columns = _columns(view, scores)
    lines = []
    for row in table.shown(key):
        of_row = scores.get(row.key, {})
        ours = {column: _ours(view, column, row, scores, sizes, observed) for column in columns}
        printed = dict(zip(view.columns, row.paper.get(key, []), strict=False))
        cells = [
            Cell(
                [factor_of(view, column) * value for value in ours[column]],
                math.nan if (value := printed.get(column)) is None else value,
                *_counted(view, column, of_row),
            )
            for column in columns
        ]
        lines.append(Line(row, _seeds(view, row, ours), _clips(view, of_row), cells))
    return Block(key, view, columns, lines)


def _columns(view: View, scores: Mapping[str, Scores]) -> list[tuple[str, str]]:
    """The view's columns; where our set has none of the paper's groups, its own with the most clips."""
    found = (sets.get(view.set or "") for by_seed in scores.values() for sets in by_seed.values())
    one = next((scored for scored in found if scored is not None), None)
    if view.by is None or one is None:
        return list(view.columns)
    own = one.snr_bins if view.by == "snr" else one.noise_classes
    if set(view.groups) & set(own):
        return list(view.columns)
    sizes = {group: len(rows_of(view, one, group)) for group in own}
    kept = set(sorted(own, key=lambda group: -sizes[group])[:MOST_GROUPS])
    return [(metric, group) for group in own if group in kept for metric in view.metrics]


def rows_of(view: View, scores: SetScores, group: str) -> list[ClipScore]:
    """The one network of an evaluation on the clips of a group."""
    if view.by == "snr" and group:
        return scores.rows(model_of(scores), snr=group)
    return scores.rows(model_of(scores), noise_class=group or ALL_CLIPS)


def _ours(
    view: View,
    column: tuple[str, str],
    row: Row,
    scores: Mapping[str, Scores],
    sizes: Mapping[str, Mapping[str, float]],
    observed: Mapping[str, Observed],
) -> list[float]:
    quantity = column[0]
    if view.statistic == "size":
        return [sizes[row.key][quantity]] if row.key in sizes else []
    if view.statistic in ("ratio", "patches"):
        return [values[quantity] for values in observed.get(row.key, {}).values() if quantity in values]
    of_row = scores.get(row.key, {})
    if view.statistic == "t_test":
        if row.key in (view.against, NOISY_ROW):
            return []
        metric, value = quantity.split(":")
        both = by_shared_seed(view, of_row, scores.get(view.against or "", {}))
        return [two_sample_t_test(*(_clip_values(one, metric) for one in pair))[value] for pair in both]
    found = [one.mean if view.statistic == "mean" else one.sd for one in _statistics(view, column, of_row)]
    return [value for value in found if math.isfinite(value)]


def on_set(view: View, scores: Scores) -> dict[int, SetScores]:
    """A row's scores on the view's set, by seed."""
    name = view.set or ""
    return {seed: sets[name] for seed, sets in scores.items() if name in sets}


def by_shared_seed(view: View, scores: Scores, others: Scores) -> list[tuple[SetScores, SetScores]]:
    """The scores of two rows on the view's set, for each seed that both have."""
    ours, theirs = on_set(view, scores), on_set(view, others)
    return [(ours[seed], theirs[seed]) for seed in ours if seed in theirs]


def _statistics(view: View, column: tuple[str, str], scores: Scores) -> list[Statistic]:
    """Over the clips of a column, of each seed."""
    metric, group = column
    found = on_set(view, scores).values()
    return [Statistic.over([row.values[metric] for row in rows_of(view, one, group)]) for one in found]


def _counted(view: View, column: tuple[str, str], scores: Scores) -> tuple[int, int]:
    """Of how many clips a mean is, and how many there are: of the seed with the fewest."""
    if view.statistic not in ("mean", "sd"):
        return 0, 0
    return min(((one.n, one.of) for one in _statistics(view, column, scores)), default=(0, 0))


def model_of(scores: SetScores) -> str:
    """The one network of an evaluation, or noisy where there is none."""
    return next((model for model in scores.models if model != NOISY), NOISY)


def _clip_values(scores: SetScores, metric: str) -> np.ndarray:
    values = np.array([row.values[metric] for row in scores.rows(model_of(scores))])
    return values[np.isfinite(values)]


def two_sample_t_test(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """Student's t-test of two independent samples with one variance, two-tailed: {"t": ..., "p": ...}.

    t = (mean a - mean b) / (s sqrt(1/n_a + 1/n_b)) with the pooled s^2; NaN where a sample is too small.
    """
    if min(len(a), len(b)) < 2 or np.ptp(a) == np.ptp(b) == 0:
        return {"t": math.nan, "p": math.nan}
    from scipy.stats import ttest_ind

    found = ttest_ind(a, b)
    return {"t": float(found.statistic), "p": float(found.pvalue)}


def factor_of(view: View, column: tuple[str, str]) -> int:
    """From our unit to the paper's."""
    return 100 if column[0] in view.percent and view.statistic in ("mean", "sd") else 1


def _seeds(view: View, row: Row, ours: Mapping[tuple[str, str], Sequence[float]]) -> int:
    if row.recipe is None or view.statistic == "size":
        return 0
    return max((len(values) for values in ours.values()), default=0)


def _clips(view: View, scores: Scores) -> int:
    one = next(iter(on_set(view, scores).values()), None)
    return 0 if one is None else len(one.rows(model_of(one)))


def label_of(view: View, column: tuple[str, str]) -> str:
    """The head of a column."""
    quantity, group = column
    if quantity in QUANTITIES:
        return QUANTITIES[quantity][0]
    metric, _, value = quantity.partition(":")
    label = METRICS[metric].label
    if value:
        return f"{label}: {value}"
    unit = " (%)" if metric in view.percent else ", dB" if METRICS[metric].unit == "dB" else ""
    return f"{label}{unit}{', ' + group if group else ''}"


def digits_of(view: View, column: tuple[str, str]) -> int:
    """Digits after the point."""
    quantity = column[0]
    if quantity in QUANTITIES:
        return QUANTITIES[quantity][1]
    if ":" in quantity:
        return 3
    digits = METRICS[quantity].digits
    return digits - 2 if quantity in view.percent else digits


CSV_COLUMNS = (
    "view", "set", "row", "label", "quantity", "group", "seeds", "clips",
    "ours", "spread_over_seeds", "by_seed", "paper", "difference",
)  # fmt: skip


def numbers_csv(blocks: Sequence[Block]) -> str:
    """Every cell in full precision, a line each; what is not known is empty.

    Clips are those that a cell is over, of the seed with the fewest.
    """
    return csv_text([CSV_COLUMNS, *(line for one in blocks for line in _csv_lines(one))])


def _csv_lines(one: Block) -> list[list[object]]:
    return [
        [
            one.key, one.view.set or "", line.row.key, line.row.label, *column, line.seeds,
            cell.clips if cell.of else line.clips,
            number_text(cell.ours), number_text(cell.spread), " ".join(map(number_text, cell.by_seed)),
            number_text(cell.paper), number_text(cell.difference),
        ]
        for line in one.lines
        for column, cell in zip(one.columns, line.cells, strict=True)
    ]  # fmt: skip
