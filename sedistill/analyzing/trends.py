"""From the records of runs to categories, their shares and their curves (DISPatch 2025, section 2.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedistill.analyzing.categories import CATEGORIES, categorize
from sedistill.common.argument_checks import check_choice
from sedistill.common.errors import UserError
from sedistill.training.patch_record.patch_trends import PatchTrends, bins_of_patches
from sedistill.training.patch_record.record import PatchRecord, read_patch_record


@dataclass(frozen=True)
class Sorting:
    """How patches are sorted. The thresholds are on Delta e, the change over the fitted line."""

    converging_below: float
    exploding_above: float
    bin_reduction: str = "sum"
    include_init: bool = False

    def __post_init__(self) -> None:
        check_choice("bin_reduction", self.bin_reduction, ("sum", "mean"))
        if not -np.inf < self.converging_below <= 0 <= self.exploding_above < np.inf:
            raise UserError(
                f"converging_below = {self.converging_below:g} and exploding_above = "
                f"{self.exploding_above:g} are not possible; give a number up to 0 and one from 0 on."
            )

    def widened(self, factor: float) -> "Sorting":
        """The same with thresholds `factor` times as far from 0."""
        below, above = factor * self.converging_below, factor * self.exploding_above
        return Sorting(below, above, self.bin_reduction, self.include_init)


@dataclass(frozen=True)
class RunTrends:
    """The patches of one run, P a frame and K frames of all clips side by side.

    Attributes:
        folder, name: where the run is, and what it is called here.
        record: as it was read.
        trends: of the errors in the reduction asked for, (P, K).
        steps, errors: the records that were kept and the last one, (R,) and (R, P, K).
        categories: indices into CATEGORIES (P, K).
    """

    folder: Path
    name: str
    record: PatchRecord
    trends: PatchTrends
    steps: NDArray[np.int64]
    errors: NDArray[np.float64]
    sorting: Sorting
    categories: NDArray[np.int8]

    def shares(self, frames: slice = slice(None)) -> NDArray[np.float64]:
        """The share of each category among the patches (4,), of some frames or all."""
        return shares_of(self.categories[:, frames])

    def curve(self, category: int) -> NDArray[np.float64]:
        """Mean error of the category's patches at each of `steps`, NaN where it has none, (R,)."""
        inside = self.categories == category
        return self.errors[:, inside].mean(axis=1) if inside.any() else np.full(len(self.steps), np.nan)

    def shares_at(self, factor: float) -> NDArray[np.float64]:
        """The shares with other thresholds."""
        return shares_of(sort_patches(self.record, self.trends, self.sorting.widened(factor)))


def shares_of(categories: NDArray[np.int8]) -> NDArray[np.float64]:
    """The share of each category (4,); together they are 1."""
    return np.bincount(categories.ravel(), minlength=len(CATEGORIES)) / categories.size


def sort_patches(record: PatchRecord, trends: PatchTrends, sorting: Sorting) -> NDArray[np.int8]:
    """The category of every patch (P, K); the mean that divides stable patches is each clip's own."""
    changes = trends.changes
    parts = [
        categorize(
            changes[:, frames], trends.last[:, frames], sorting.converging_below, sorting.exploding_above
        )
        for frames in record.frame_slices
    ]
    return np.concatenate(parts, axis=1)


def read_runs(folders: Sequence[Path], sorting: Sorting) -> list[RunTrends]:
    """The runs, in the order given.

    Raises UserError for runs that recorded nothing, a single observation, errors that are not finite, or
    other clips, patches or levels than the first.
    """
    places = [folder.resolve() for folder in folders]
    if len(set(places)) < len(places):
        raise UserError("a run is given twice; name each run once.")
    records = [read_patch_record(folder) for folder in folders]
    for folder, record in zip(folders, records, strict=True):
        _refuse_too_little(folder, record, sorting)
        _refuse_incomparable(folder, record, folders[0], records[0])
    names = [f"{record.facts['run']}/seed-{record.facts['seed']}" for record in records]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    columns = zip(folders, names, records, strict=True)
    return [_run_trends(folder, name, record, sorting) for folder, name, record in columns]


def _run_trends(folder: Path, name: str, record: PatchRecord, sorting: Sorting) -> RunTrends:
    seen = record.with_untrained() if sorting.include_init else record
    steps, errors = seen.past.steps, seen.past.errors.astype(np.float64)
    if steps[-1] != record.step:
        steps = np.append(steps, record.step)
        errors = np.concatenate([errors, seen.trends.last[None]])
    trends = seen.trends
    if sorting.bin_reduction == "mean":
        bins = record.facts["window_length"] // 2 + 1
        counts = bins_of_patches(bins, record.facts["patch_size"])[:, None]
        trends, errors = trends.divided_by(counts), errors / counts
    return RunTrends(
        folder, name, record, trends, steps, errors, sorting, sort_patches(record, trends, sorting)
    )


def _refuse_too_little(folder: Path, record: PatchRecord, sorting: Sorting) -> None:
    observations = record.trends.count + sorting.include_init
    if record.trends.count == 0 or observations < 2:
        count = "no record" if record.trends.count == 0 else "one record"
        raise UserError(
            f"{folder} has {count} after training began, which shows no trend; train it further, or with a "
            "lower patch_record.every_steps."
        )
    kept = (record.trends.sums, record.trends.moments, record.untrained, record.past.errors)
    if not all(np.isfinite(errors).all() for errors in kept):
        raise UserError(f"{folder}: its errors are not all finite; the training diverged.")


def _refuse_incomparable(folder: Path, record: PatchRecord, first_folder: Path, first: PatchRecord) -> None:
    if record.facts["clips_hash"] != first.facts["clips_hash"]:
        raise UserError(
            f"{folder} and {first_folder} recorded different clips; runs that are analyzed together need one "
            "data, one patch_record.split and one patch_record.clips."
        )
    for key in ("patch_size", "level_db", "correct_level"):
        here, there = record.facts[key], first.facts[key]
        if here != there:
            raise UserError(
                f"{folder} was recorded with patch_record.{key} = {here}, {first_folder} with {there}; "
                "analyze them apart, or train one again."
            )
