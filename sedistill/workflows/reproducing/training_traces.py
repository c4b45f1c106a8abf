"""What was seen while runs trained: KDRL's ratios, DISPatch's categories of patches."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sedistill.analyzing import analyze
from sedistill.analyzing.categories import CATEGORIES
from sedistill.analyzing.command import PAGE, THRESHOLD
from sedistill.analyzing.patch_figures import category_curves_svg
from sedistill.analyzing.report_text import category_curves
from sedistill.analyzing.trends import RunTrends, Sorting, read_runs
from sedistill.common.report.document import Figure
from sedistill.common.report.ratios import RatioFigure, ratios_svg
from sedistill.training.kdrl.ratio_log import RATIOS, read_ratios
from sedistill.training.patch_record.record import NAME as PATCHES
from sedistill.workflows.reproducing.cells import Observed
from sedistill.workflows.reproducing.finished import Finished
from sedistill.workflows.reproducing.table import Row

LAST_SHARE = 0.1
"""A ratio at the end is the mean over this last share of the steps."""
ANALYSIS = "analysis"


def observed(finished: Finished) -> dict[str, Observed]:
    """The numbers of every row by its key, of the kinds that the table shows."""
    seen: dict[str, Observed] = {}
    for row in finished.table.rows:
        ratios = last_ratios(finished, row) if finished.table.shows("ratio") else {}
        shares = patch_shares(finished, row) if finished.table.shows("patches") else {}
        seen[row.key] = {seed: ratios.get(seed, {}) | shares.get(seed, {}) for seed in {**ratios, **shares}}
    return seen


def last_ratios(finished: Finished, row: Row) -> dict[int, dict[str, float]]:
    """KDRL's mean ratio at the end of the training, by seed."""
    last = {}
    for seed, path in _ratio_files(finished, row):
        steps, _, ratios = read_ratios(path)
        if len(steps):
            last[seed] = {"ratio": float(np.mean(ratios[steps > steps.max() * (1 - LAST_SHARE)]))}
    return last


def patch_shares(finished: Finished, row: Row) -> dict[int, dict[str, float]]:
    """The percentage of the patches in each category, by seed."""
    trends = {seed: _trends([folder])[0] for seed, folder in _recorded(finished, row)}
    return {
        seed: dict(zip(CATEGORIES, (100 * one.shares()).tolist(), strict=True))
        for seed, one in trends.items()
    }


def figures(finished: Finished) -> list[Figure]:
    """What the table shows, drawn for the first seed of every row."""
    return [
        *(_ratio_figures(finished) if finished.table.shows("ratio") else []),
        *(_patch_figures(finished) if finished.table.shows("patches") else []),
    ]


def write_analysis(finished: Finished, place: Path) -> Path | None:
    """The patch analysis of the first seed of every row, as `sedistill analyze` writes it.

    Returns its page; None where the table does not show patches or nothing is trained.
    """
    rows = _first_seeds(finished)
    if not finished.table.shows("patches") or not rows:
        return None
    taught_by = {finished.teachers.get(row.key) for row in rows.values()}
    teacher = next((folder for folder, row in rows.items() if row.key in taught_by), None)
    analyze(list(rows), place / ANALYSIS, teacher, overwrite=True)
    return place / ANALYSIS / PAGE


def _ratio_figures(finished: Finished) -> Iterator[Figure]:
    for row in finished.table.rows:
        for seed, path in list(_ratio_files(finished, row))[:1]:
            caption = f"{row.label}: the ratio over training, seed {seed}"
            svg = ratios_svg(RatioFigure(caption, *read_ratios(path)))
            yield Figure(f"ratios-{row.key}", svg, caption=caption)


def _patch_figures(finished: Finished) -> Iterator[Figure]:
    rows = _first_seeds(finished)
    pictures = category_curves(_trends(list(rows)))
    for row, picture in zip(rows.values(), pictures, strict=True):
        caption = f"{row.label}: the mean error of the patches in each category, and their share"
        yield Figure(f"patches-{row.key}", category_curves_svg(picture), caption=caption)


def _trends(folders: list[Path]) -> list[RunTrends]:
    return read_runs(folders, Sorting(-THRESHOLD, THRESHOLD))


def _first_seeds(finished: Finished) -> dict[Path, Row]:
    """The folder of the first run of each row that recorded its patches; rows may share one."""
    found: dict[Path, Row] = {}
    for row in finished.table.rows:
        for _, folder in list(_recorded(finished, row))[:1]:
            found.setdefault(folder, row)
    return found


def _ratio_files(finished: Finished, row: Row) -> Iterator[tuple[int, Path]]:
    for seed, folder in _folders(finished, row):
        path = folder / RATIOS
        if path.exists():
            yield seed, path


def _recorded(finished: Finished, row: Row) -> Iterator[tuple[int, Path]]:
    """Seed and folder of the runs of a row that recorded their patches."""
    return ((seed, folder) for seed, folder in _folders(finished, row) if (folder / PATCHES).exists())


def _folders(finished: Finished, row: Row) -> Iterator[tuple[int, Path]]:
    """Seed and folder of the runs of a row that are finished."""
    for run in finished.runs_of(row):
        yield run.seed, finished.output / run.folder
