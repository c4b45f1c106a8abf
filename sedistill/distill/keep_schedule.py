"""What share of the patches is kept at which time of a training."""

import math
from typing import Annotated, Literal

from pydantic import Field

# constant: `keep` all along; linear, cosine: from `keep_start` at the first step to `keep` at the last;
# positive_gaps: the share of patches with a knowledge gap above 0, at most `keep`.
KeepSchedule = Annotated[
    Literal["constant", "linear", "cosine", "positive_gaps"],
    Field(
        description="constant: keep all along; linear, cosine: from keep_start to keep over the training "
        "(of two_step over the first stage); positive_gaps: the share with a gap above 0, at most keep."
    ),
]

Keep = Annotated[float, Field(gt=0, le=1, description="DISPatch: share of patches distilled; 1 is plain KD.")]
KeepStart = Annotated[
    float, Field(gt=0, le=1, description="keep_schedule linear or cosine: the share at the start.")
]

BY_TIME: tuple[KeepSchedule, ...] = ("linear", "cosine")
"""What depends on the share of the training that is done."""


def share_kept(schedule: KeepSchedule, start: float, end: float, share_done: float | None) -> float:
    """The share to keep when a share of the training is done, from 0 to 1; `end` where it does not matter.

    Always between start and end, and exactly these at 0 and 1.

    >>> share_kept("cosine", 1.0, 0.5, share_done=0.25)  # 1/4 of the time, (1 - cos 45 deg) / 2 of the way
    0.9267766952966369
    """
    if schedule not in BY_TIME:
        return end
    if share_done is None:
        raise ValueError(f"keep_schedule = '{schedule}' needs share_done, but got None")
    done = min(max(share_done, 0.0), 1.0)
    if schedule == "cosine":
        done = (1 - math.cos(math.pi * done)) / 2
    return min(max((1 - done) * start + done * end, min(start, end)), max(start, end))
