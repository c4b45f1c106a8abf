"""How the patches of a clip are ranked, before the foremost are selected."""

from typing import Literal

import torch
from torch import Tensor

from sedistill.distill.knowledge_gap import PatchErrors

# The knowledge gap (DISPatch 2025, equation 5), the errors of its table 3, and a control.
Criterion = Literal["kgs", "teacher_top", "teacher_bottom", "student_top", "student_bottom", "random"]


def rank_patches(criterion: Criterion, errors: PatchErrors) -> Tensor:
    """The score of every patch, (B, P, K): the higher, the sooner it is selected.

    "random" is drawn anew at each call from torch's global generator.
    """
    if criterion == "random":
        counts = errors.patches.counts
        return torch.rand(counts.shape, device=counts.device)
    if criterion == "kgs":
        return errors.gap
    whose, _, end = criterion.partition("_")
    return errors[whose] if end == "top" else -errors[whose]
