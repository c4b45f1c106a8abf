"""How the patches of a clip are ranked, before the foremost are selected."""

from typing import Literal

import torch
from torch import Tensor

from sedistill.distill.knowledge_gap import PatchErrors

# The knowledge gap (DISPatch 2025, equation 5), the errors of its table 3; without clean speech, how much of
# the noisy input the teacher removes; and chance, a control.
Criterion = Literal[
    "kgs", "teacher_top", "teacher_bottom", "student_top", "student_bottom", "removed", "random"
]


def signals_of(criterion: Criterion) -> set[str]:
    """The signals that a ranking looks at, beside the student's."""
    if criterion in ("removed", "random"):
        return {"removed": {"teacher", "noisy"}, "random": set()}[criterion]
    return {"clean"} if criterion.startswith("student") else {"clean", "teacher"}


def rank_patches(criterion: Criterion, errors: PatchErrors) -> Tensor:
    """The score of every patch, (B, P, K): the higher, the sooner it is selected.

    "random" is drawn anew at each call from torch's global generator.
    """
    if criterion == "random":
        counts = errors.patches.counts
        return torch.rand(counts.shape, device=counts.device)
    if criterion == "kgs":
        return errors.gap
    if criterion == "removed":
        return errors.removed
    whose, _, end = criterion.partition("_")
    return errors[whose] if end == "top" else -errors[whose]
