"""How the error of each patch goes over a training: a running regression, and some of the records.

For the patch analysis of DISPatch (2025, section 2.1). Nothing here grows with the number of records: the
line of equation 2 needs four values a patch, and of the past only a bounded number of records is kept.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sedistill.common.argument_checks import check_choice
from sedistill.distill.bin_losses import MagnitudeL2
from sedistill.distill.patches import UniformPatches, partition

Floats = NDArray[np.float64]


def patch_errors(estimate: Tensor, clean: Tensor, patch_size: int = 20, bin_reduction: str = "sum") -> Tensor:
    """e_p = || |s_p| - |estimate_p| ||^2 of every patch (equation 1), (B, P, K).

    estimate, clean: complex spectrograms (B, F, K). bin_reduction: "sum" as printed, or "mean" over the bins
    that a patch has. Bins that pad the top patch do not count. The error grows with the level squared.
    Raises UserError for another reduction, ValueError for shapes that differ.
    """
    check_choice("bin_reduction", bin_reduction, ("sum", "mean"))
    error = MagnitudeL2()(estimate, clean)
    patches = partition(UniformPatches(patch_size), error)
    sums = patches.sums(error)
    return sums if bin_reduction == "sum" else sums / patches.counts


@dataclass(frozen=True)
class PatchTrends:
    """The regression of e over j = 0 .. J for every patch, from sums kept up to date (equation 2).

    count: J + 1 records so far; sums: of e; moments: of j e; last: e at J. Arrays of one shape, float64. The
    fit is that of the whole sequence at any length.

    >>> trends = PatchTrends.empty(1)
    >>> for error in (3.0, 2.0, 1.0):
    ...     trends = trends.with_record(np.array([error]))
    >>> trends.slopes, trends.changes
    (array([-1.]), array([-2.]))
    """

    count: int
    sums: Floats
    moments: Floats
    last: Floats

    @classmethod
    def empty(cls, *shape: int) -> "PatchTrends":
        return cls(0, np.zeros(shape), np.zeros(shape), np.zeros(shape))

    def with_record(self, errors: NDArray) -> "PatchTrends":
        """The trends with one more record at the end."""
        last = np.array(errors, dtype=np.float64)
        return PatchTrends(self.count + 1, self.sums + last, self.moments + self.count * last, last)

    def with_first(self, errors: NDArray) -> "PatchTrends":
        """The trends with one more record before all others, such as that of the untrained network."""
        first = np.array(errors, dtype=np.float64)
        last = self.last if self.count else first
        return PatchTrends(self.count + 1, self.sums + first, self.moments + self.sums, last)

    def divided_by(self, counts: NDArray) -> "PatchTrends":
        """The trends of e / counts, for means over bins instead of sums."""
        return replace(self, sums=self.sums / counts, moments=self.moments / counts, last=self.last / counts)

    @property
    def slopes(self) -> Floats:
        """a of equation 2, the change from one record to the next; 0 for a single record."""
        centre = (self.count - 1) / 2
        spread = self.count * (self.count**2 - 1) / 12  # sum of (j - centre)^2
        return (self.moments - centre * self.sums) / spread if spread else np.zeros_like(self.sums)

    @property
    def changes(self) -> Floats:
        """Delta e = a J, the change over the fitted line."""
        return self.slopes * max(self.count - 1, 0)


@dataclass(frozen=True)
class ThinnedRecords:
    """Every `interval`-th record of a sequence, never more than `capacity` of them, for curves.

    When it is full, every second one is dropped and the interval doubles; so what is kept is always evenly
    spaced and begins with the first record.

    steps: training step of each (R,); errors: (R, ...), float32; seen: records offered so far.
    """

    steps: NDArray[np.int64]
    errors: NDArray[np.float32]
    seen: int = 0
    interval: int = 1
    capacity: int = 64

    @classmethod
    def empty(cls, *shape: int, capacity: int = 64) -> "ThinnedRecords":
        if capacity < 2 or capacity % 2:
            raise ValueError(f"capacity {capacity}: an even number of records, so that it can be halved")
        return cls(np.zeros(0, np.int64), np.zeros((0, *shape), np.float32), capacity=capacity)

    def with_record(self, step: int, errors: NDArray) -> "ThinnedRecords":
        """The records with one more, where it falls on the interval."""
        if self.seen % self.interval:
            return replace(self, seen=self.seen + 1)
        steps = np.append(self.steps, step)
        kept = np.concatenate([self.errors, np.asarray(errors, dtype=np.float32)[None]])
        full = len(steps) == self.capacity
        every = 2 if full else 1
        return replace(
            self, steps=steps[::every].copy(), errors=kept[::every].copy(), seen=self.seen + 1,
            interval=self.interval * every,
        )  # fmt: skip


def patch_bins(bins: int, patch_size: int) -> NDArray[np.int64]:
    """The patch of each bin, (F,)."""
    return UniformPatches(patch_size).layouts(bins).ids[0].numpy()


def bins_of_patches(bins: int, patch_size: int) -> NDArray[np.int64]:
    """How many bins each patch of a frame has, (P,)."""
    return np.bincount(patch_bins(bins, patch_size))
