"""A patch analysis as CSV files, in full precision: shares with means, and curves."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sedistill.analyzing.categories import CATEGORIES
from sedistill.analyzing.gaps import Gap, distilled_shares, mean_over_bins
from sedistill.analyzing.trends import RunTrends
from sedistill.common.csv_files import csv_text, number_text

ALL_CLIPS = "all"
SHARE_COLUMNS = (
    "run", "clip", "category", "patches", "share", "mean_change", "mean_first_error", "mean_last_error",
    "distilled_share", "teacher", "teacher_ahead_share", "selected_share",
)  # fmt: skip
CURVE_COLUMNS = ("run", "category", "step", "mean_error")


def shares_csv(runs: Sequence[RunTrends], gaps: Sequence[Gap]) -> str:
    """A row a run, clip (and all together) and category; what is not known is left empty."""
    return csv_text([SHARE_COLUMNS, *(row for run in runs for row in _share_rows(run, gaps))])


def curves_csv(runs: Sequence[RunTrends]) -> str:
    """The mean error of each category at each step that was kept, over all clips."""
    rows = [
        (run.name, name, step, number_text(error))
        for run in runs
        for category, name in enumerate(CATEGORIES)
        for step, error in zip(run.steps.tolist(), run.curve(category), strict=True)
    ]
    return csv_text([CURVE_COLUMNS, *rows])


def _share_rows(run: RunTrends, gaps: Sequence[Gap]) -> Iterator[list[Any]]:
    gap = next((gap for gap in gaps if gap.student is run), None)
    distilled = distilled_shares(run.record)
    if distilled is not None:
        distilled = mean_over_bins(distilled, run.record.facts["patch_size"])
    places = [(ALL_CLIPS, slice(None)), *zip(run.record.clips, run.record.frame_slices, strict=True)]
    for clip, frames in places:
        for category, name in enumerate(CATEGORIES):
            inside = run.categories[:, frames] == category
            values = [run.trends.changes, run.errors[0], run.trends.last, distilled]
            numbers = [_mean(one, frames, inside) for one in values]
            compared = [None, None] if gap is None else [gap.gap > 0, gap.selected]
            yield [
                run.name, clip, name, int(inside.sum()), number_text(inside.mean()), *numbers,
                gap.teacher.name if gap else "", *(_mean(one, frames, inside) for one in compared),
            ]  # fmt: skip


def _mean(values: np.ndarray | None, frames: slice, inside: np.ndarray) -> str:
    return "" if values is None or not inside.any() else number_text(values[:, frames][inside].mean())
