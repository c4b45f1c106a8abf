"""Which patches count: the top share of each clip or batch, and those above a threshold."""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

# Keeps shares such as 0.29 of 100 patches from losing one to rounding.
ROUNDING = 1e-6


# Among what patches are ranked: those of their own clip, or of all clips of the batch.
RankOver = Annotated[
    Literal["clip", "batch"],
    Field(description="DISPatch: rank patches within each clip, or over all clips of the batch."),
]

Threshold = Annotated[
    float | None,
    Field(ge=-1e9, le=1e9, description="Of the patches kept, only those with a score above this."),
]

# What a threshold is in: the score's own unit, or its standard deviations above its mean.
ThresholdUnit = Annotated[
    Literal["score", "deviations"],
    Field(description="score: as it is; deviations: standard deviations above its mean."),
]


def select_patches(
    score: Tensor,
    present: Tensor,
    keep: float,
    over: RankOver,
    positive: Tensor | None,
    threshold: float | None,
    unit: ThresholdUnit,
) -> Tensor:
    """Of the share `keep` of highest score, those whose score is above the threshold, bool (B, P, J).

    score: (B, P, J); present: bool, which patches there are. positive: bool; no larger share is kept than
    that of these patches (but one patch at least). over: among what shares, means and deviations are taken.
    """
    if over == "batch":
        score_, present_ = score.reshape(1, -1, 1), present.reshape(1, -1, 1)
        positive_ = None if positive is None else positive.reshape(1, -1, 1)
        return select_patches(score_, present_, keep, "clip", positive_, threshold, unit).view(score.shape)
    if positive is None:
        selected = keep_top(score, present, keep)
    else:
        shares = ((positive & present).sum(dim=(1, 2)) / present.sum(dim=(1, 2)).double()).clamp(max=keep)
        clips = zip(score.split(1), present.split(1), shares.tolist(), strict=True)
        selected = torch.cat([keep_top(*clip) for clip in clips])
    if threshold is not None:
        selected &= score > _limit(score, present, threshold, unit)
    return selected


def _limit(score: Tensor, present: Tensor, threshold: float, unit: ThresholdUnit) -> Tensor | float:
    if unit == "score":
        return threshold
    count = present.sum(dim=(1, 2), keepdim=True)
    mean = score.masked_fill(~present, 0).sum(dim=(1, 2), keepdim=True) / count
    variance = (score - mean).masked_fill(~present, 0).square().sum(dim=(1, 2), keepdim=True) / count
    return mean + threshold * variance.sqrt()


def keep_top(score: Tensor, present: Tensor, keep: float) -> Tensor:
    """The m patches of largest score in each clip, m = max(1, floor(keep * P + 1e-6)) of its P present ones.

    score: (B, patches, frames); present: bool, same shape, at least one patch a clip. Returns bool, same
    shape, with exactly m entries True a clip. Among equal scores the lowest flat index wins, patch-major,
    then frame; hence a larger `keep` never drops a patch. NaN ranks highest, as in torch's sorting.

    >>> gaps = torch.tensor([[[0.3], [-0.1], [0.9], [0.5]]])
    >>> keep_top(gaps, torch.ones_like(gaps, dtype=torch.bool), keep=0.5).flatten()
    tensor([False, False,  True,  True])
    """
    scores, present = score.flatten(1), present.flatten(1)
    scores = scores.masked_fill(scores.isnan(), math.inf)
    wanted = _wanted(present.sum(dim=1, keepdim=True), keep)
    threshold = _nth_largest(scores, present, wanted, keep)
    above = present & (scores > threshold)
    tied = present & (scores == threshold)
    room = wanted - above.sum(dim=1, keepdim=True)
    selected = above | (tied & (tied.cumsum(dim=1) <= room))
    return selected.view(score.shape)


def _wanted(patches: Tensor, keep: float) -> Tensor:
    return (patches.double() * keep + ROUNDING).floor().long().clamp(min=1)


def _nth_largest(scores: Tensor, present: Tensor, wanted: Tensor, keep: float) -> Tensor:
    """The wanted-th largest present score of each clip, (B, 1), by one selection instead of a sort.

    Clips differ in their number of patches, but one call of kthvalue has one rank. So of a clip's absent
    patches as many go to the top as bring its threshold to the common rank, and the others to the bottom.
    """
    slots = scores.shape[1]
    rank = max(1, math.floor(slots * keep + ROUNDING))
    absent = ~present
    at_top = absent & (absent.cumsum(dim=1) <= rank - wanted)
    filled = scores.masked_fill(absent, -math.inf).masked_fill(at_top, math.inf)
    return torch.kthvalue(filled, slots - rank + 1, dim=1, keepdim=True).values
