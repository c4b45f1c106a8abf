"""Gates: a patch counts only, or counts the more, where the teacher is nearer to the clean speech."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

# Whom the teacher has to beat; of "both", the better one.
Gate = Literal["teacher_over_student", "teacher_over_noisy", "teacher_over_both"]

RIVALS: dict[Gate, tuple[str, ...]] = {
    "teacher_over_student": ("student",),
    "teacher_over_noisy": ("noisy",),
    "teacher_over_both": ("student", "noisy"),
}

GateSoftness = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="0: patches count in full or not at all; else by the teacher's lead, in full from a "
        "relative gap (E - E_teacher) / (E + E_teacher) of this, E the error of whom it beats.",
    ),
]


def gate_weight(rival: Tensor, teacher: Tensor, softness: float) -> Tensor:
    """The weight of a patch from the errors of rival and teacher towards clean, >= 0, in any one shape.

    With the relative gap r = (rival - teacher) / (rival + teacher), in [-1, 1], it is min(1, r / softness)
    where r > 0 and 0 elsewhere; for softness 0 it is 1 where r > 0. A ratio: it does not follow the level of
    the signals. In [0, 1], never falling as the rival's error grows or the teacher's shrinks, never rising
    with softness. r = 1/3 means that the teacher's error is half the rival's. NaN for errors not finite.

    >>> gate_weight(torch.tensor([3.0, 2.0, 1.0]), torch.tensor([1.0, 1.0, 1.0]), softness=0.5)
    tensor([1.0000, 0.6667, 0.0000])
    """
    gap, total = rival - teacher, rival + teacher
    if softness == 0:
        return (gap > 0).to(gap.dtype).masked_fill(~total.isfinite(), torch.nan)
    relative = gap / total.clamp(min=torch.finfo(total.dtype).tiny)
    return (relative / softness).clamp(0, 1).masked_fill(~total.isfinite(), torch.nan)
