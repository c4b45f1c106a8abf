"""Partitions of a spectrogram into patches: some neighbouring bins of one frame, or of several."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from sedistill.common.argument_checks import Declared

MOST_BINS = MOST_FRAMES = 65_536

Frames = Annotated[
    int,
    Field(
        ge=1, le=MOST_FRAMES, alias="patch_frames",
        description="Frames a patch, side by side; the last patch of a clip may be shorter; default 1.",
    ),
]  # fmt: skip


@dataclass(frozen=True)
class UniformPatches(Declared):
    """`size` bins from bin 0 upward in every frame (DISPatch 2025, section 2.1, size 20).

    The top patch may be shorter; only its real bins count. frames: how many neighbouring frames a patch goes
    over; the paper's is one. Raises UserError unless both are whole numbers of at least 1.

    >>> UniformPatches(2).layouts(bins=5).ids
    tensor([[0, 0, 1, 1, 2]])
    """

    size: Annotated[
        int, Field(ge=1, le=MOST_BINS, alias="patch_size", description="Bins a patch; default 20.")
    ] = 20
    frames: Frames = 1

    needs_crossover = False

    @property
    def largest(self) -> int:
        return self.size

    def layouts(self, bins: int) -> "Layouts":
        return Layouts.of(torch.arange(bins).unsqueeze(0) // self.size)


@dataclass(frozen=True)
class MultiScalePatches(Declared):
    """Small patches below a frame's crossover, large ones above (MSSP: DISPatch 2025, section 2.3, 10/40).

    Each band is cut from its lowest bin upward, so no patch straddles the crossover; the last patch of a band
    may be shorter. Equal sizes are the uniform grid, which is how the paper's 20/20 must be read.
    low, high: sizes in bins; frames: how many neighbouring frames a patch goes over, whose crossover is then
    the median of theirs (of two middle ones the lower). Raises UserError unless whole numbers of at least 1.

    >>> MultiScalePatches(low=1, high=2).layouts(bins=5).ids[1]  # the crossover at bin 1
    tensor([0, 1, 2, 2, 3])
    """

    low: Annotated[
        int, Field(ge=1, le=MOST_BINS, alias="low_patch_size", description="MSSP, low band; default 10.")
    ] = 10
    high: Annotated[
        int, Field(ge=1, le=MOST_BINS, alias="high_patch_size", description="MSSP, high band; default 40.")
    ] = 40
    frames: Frames = 1

    @property
    def needs_crossover(self) -> bool:
        return self.low != self.high

    @property
    def largest(self) -> int:
        return max(self.low, self.high)

    def layouts(self, bins: int) -> "Layouts":
        if not self.needs_crossover:
            return UniformPatches(self.low).layouts(bins)
        crossover = torch.arange(bins - 1).unsqueeze(1)
        bin_index = torch.arange(bins)
        low_patches = crossover // self.low + 1
        ids = torch.where(
            bin_index <= crossover,
            bin_index // self.low,
            low_patches + (bin_index - crossover - 1) // self.high,
        )
        return Layouts.of(ids, low_patches)


PATCHES: dict[str, type[UniformPatches] | type[MultiScalePatches]] = {
    "uniform": UniformPatches,
    "multi-scale": MultiScalePatches,
}


@dataclass(frozen=True)
class Layouts:
    """Every way in which one frame can be cut: one row if all frames are alike, else one row a crossover.

    ids: the patch of each bin, int64 (rows, F); counts: bins of each patch, int64 (rows, P), 0 for a patch
    that the row lacks; low: whether a patch lies below the crossover, bool (rows, P).
    """

    ids: Tensor
    counts: Tensor
    low: Tensor

    @classmethod
    def of(cls, ids: Tensor, low_patches: Tensor | int = 0) -> "Layouts":
        patches = int(ids.max()) + 1
        counts = torch.zeros(len(ids), patches, dtype=torch.int64).scatter_add(1, ids, torch.ones_like(ids))
        return cls(ids, counts, (torch.arange(patches) < low_patches).expand_as(counts))


@dataclass(frozen=True)
class Partition:
    """The patches of a batch, P one above the other at most; patch p of block j is entry (p, j).

    frames: of a block, the J-th of which may be shorter. ids: the patch of each bin within its block, int64
    (B, F, K); counts: bins of each patch, int64 (B, P, J), 0 where a block has fewer patches; low: which
    patches lie below the crossover, bool (B, P, J).
    """

    ids: Tensor
    counts: Tensor
    low: Tensor
    frames: int = 1

    @property
    def present(self) -> Tensor:
        """Which patches exist, bool (B, P, J)."""
        return self.counts > 0

    def sums(self, values: Tensor) -> Tensor:
        """Sum of a map (B, F, K) over each patch, (B, P, J)."""
        batch, patches, _ = self.counts.shape
        # Frequency innermost, as torch.stft leaves it in memory: twice as fast, and the same sums.
        totals = values.new_zeros(batch, values.shape[2], patches)
        totals.scatter_add_(2, self.ids.transpose(1, 2), values.transpose(1, 2))
        return _over_blocks(totals, self.frames).transpose(1, 2)

    def of_bins(self, values: Tensor) -> Tensor:
        """What a patch has (B, P, J) for each of its bins, (B, F, K)."""
        return values_of_bins(values, self.ids, self.frames)


def values_of_bins(values: Tensor, ids: Tensor, frames: int) -> Tensor:
    """What a patch has (B, P, J) for each of its bins, (B, F, K), as `Partition` has ids and frames."""
    if frames > 1:
        values = values.repeat_interleave(frames, dim=2)[..., : ids.shape[2]]
    return values.gather(1, ids)


def _over_blocks(values: Tensor, frames: int) -> Tensor:
    """Sums (B, J, P) over blocks of so many frames of (B, K, P); the last block may be shorter."""
    if frames == 1:
        return values
    missing = -values.shape[1] % frames
    return functional.pad(values, (0, 0, 0, missing)).unflatten(1, (-1, frames)).sum(dim=2)


def partition(
    patches: UniformPatches | MultiScalePatches, like: Tensor, crossover: Tensor | None = None
) -> Partition:
    """Cut spectrograms shaped like `like` (B, F, K); `crossover` (B, K) is the last low bin of each frame."""
    batch, bins, frames = like.shape
    layouts = _layouts(patches, bins, like.device)
    if crossover is not None and patches.needs_crossover:
        crossover = _of_blocks(crossover, patches.frames)

    def frame_by_frame(table: Tensor) -> Tensor:
        if crossover is None or not patches.needs_crossover:
            return table[0].view(1, -1, 1).expand(batch, -1, frames)
        return table.index_select(0, crossover.flatten()).view(batch, frames, -1).transpose(1, 2)

    ids, counts, low = map(frame_by_frame, (layouts.ids, layouts.counts, layouts.low))
    if patches.frames > 1:
        counts = _over_blocks(counts.transpose(1, 2), patches.frames).transpose(1, 2)
        low = low[..., :: patches.frames]
    return Partition(ids, counts, low, patches.frames)


def _of_blocks(crossover: Tensor, frames: int) -> Tensor:
    """The median of a block's frames for each of them, (B, K); of two middle ones the lower."""
    if frames == 1:
        return crossover
    missing = -crossover.shape[1] % frames
    blocks = functional.pad(crossover.double(), (0, missing), value=torch.nan).unflatten(1, (-1, frames))
    medians = blocks.nanmedian(dim=2).values.long()
    return medians.repeat_interleave(frames, dim=1)[:, : crossover.shape[1]]


@lru_cache(maxsize=32)
def _layouts(patches: UniformPatches | MultiScalePatches, bins: int, device: torch.device) -> Layouts:
    # Kept for later calls, which may need gradients: so never as inference tensors.
    with torch.inference_mode(False):
        layouts = patches.layouts(bins)
        return Layouts(layouts.ids.to(device), layouts.counts.to(device), layouts.low.to(device))
