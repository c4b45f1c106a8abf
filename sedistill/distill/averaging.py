"""What counts alike in the mean of a loss: every bin, or every patch."""

from collections.abc import Iterable
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from sedistill.distill.patches import Partition
from sedistill.distill.selection import RankOver

Normalizer = Annotated[
    Literal["bins", "patches", "eq6"],
    Field(
        description="DISPatch: what counts alike, each selected bin or each selected patch; eq6 divides "
        "the sum of patch means by P * keep, as printed."
    ),
]

Reduction = Annotated[
    Literal["bins", "bands"],
    Field(
        description="DFKD: bins is one mean over all bins (the default), bands the sum of both bands' "
        "means, as its Eq. 10 prints it."
    ),
]


def patch_weights(
    normalizer: Normalizer, keep: float, patches: Partition, bins: Tensor | None, selected: Tensor,
    gate: Tensor | None, dtype: torch.dtype, over: RankOver,
) -> Tensor:  # fmt: skip
    """By how much the sum of the loss over each patch counts in its clip's loss, (B, P, J).

    bins: those in which the loss was summed, bool (B, F, K); None: all. selected: bool (B, P, J); gate: by
    how much each patch may count, (B, P, J); None: in full. keep: DISPatch's share, for its equation 6.
    over: what the mean is of, so that one selected patch counts as much as another: of a batch the losses are
    parts of its mean, times the number of clips.
    """

    def total(counts: Tensor) -> Tensor:
        if over == "clip":
            return counts.sum(dim=(1, 2), keepdim=True)
        return counts.sum()

    share = selected.to(dtype) if gate is None else gate.to(dtype).masked_fill(~selected, 0)
    if over == "batch":
        share = share * len(share)
    if normalizer == "bins":
        counts = patches.counts if bins is None else patches.sums(bins.long())
        return share / total(selected * counts).clamp(min=1)
    if normalizer == "patches":
        return share / patches.counts.clamp(min=1) / total(selected).clamp(min=1)
    return share / patches.counts.clamp(min=1) / (total(patches.present).to(dtype) * keep)


def mean_within(bin_map: Tensor, bins: Tensor | None) -> Tensor:
    """Mean of a map (B, F, K) over all bins of each clip, or over some; 0 where there are none: (B,)."""
    if bins is None:
        return bin_map.mean(dim=(1, 2))
    return (bin_map * bins).sum(dim=(1, 2)) / bins.sum(dim=(1, 2)).clamp(min=1)


def total_of(parts: Iterable[Tensor]) -> Tensor:
    """The sum of tensors of one shape."""
    return torch.stack(list(parts)).sum(dim=0)
