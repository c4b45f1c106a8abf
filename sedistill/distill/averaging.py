"""What counts alike in the mean of a loss: every bin, or every patch."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from sedistill.distill.patches import Partition

Normalizer = Literal["bins", "patches", "eq6"]


def patch_weights(
    normalizer: Normalizer, keep: float, patches: Partition, bins: Tensor | None, selected: Tensor,
    gate: Tensor | None, dtype: torch.dtype,
) -> Tensor:  # fmt: skip
    """By how much the sum of the loss over each patch counts in its clip's loss, (B, P, K).

    bins: those in which the loss was summed, bool (B, F, K); None: all. selected: bool (B, P, K); gate: by
    how much each patch may count, (B, P, K); None: in full. keep: DISPatch's share, for its equation 6.
    """
    share = selected.to(dtype) if gate is None else gate.to(dtype).masked_fill(~selected, 0)
    if normalizer == "bins":
        counts = patches.counts if bins is None else patches.sums(bins.long())
        total = (selected * counts).sum(dim=(1, 2), keepdim=True)
        return share / total.clamp(min=1)
    if normalizer == "patches":
        total = selected.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    else:
        total = patches.present.sum(dim=(1, 2), keepdim=True).to(dtype) * keep
    return share / patches.counts.clamp(min=1) / total


def mean_within(bin_map: Tensor, bins: Tensor | None) -> Tensor:
    """Mean of a map (B, F, K) over all bins of each clip, or over some; 0 where there are none: (B,)."""
    if bins is None:
        return bin_map.mean(dim=(1, 2))
    return (bin_map * bins).sum(dim=(1, 2)) / bins.sum(dim=(1, 2)).clamp(min=1)


def total_of(parts: Iterable[Tensor]) -> Tensor:
    """The sum of tensors of one shape."""
    return torch.stack(list(parts)).sum(dim=0)
