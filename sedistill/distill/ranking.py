"""How the patches of a clip are ranked, before the foremost are selected."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from sedistill.distill.knowledge_gap import PatchErrors

# The knowledge gap (DISPatch 2025, equation 5), the errors of its table 3; without clean speech, how much of
# the noisy input the teacher removes, and how well several teachers agree; and chance, a control.
Criterion = Literal[
    "kgs", "teacher_top", "teacher_bottom", "student_top", "student_bottom", "removed", "agreement", "random"
]

Score = Annotated[
    Criterion,
    Field(
        description="DISPatch: what ranks the patches: the knowledge gap, an error towards clean, or, "
        "without clean speech, how much the teacher removes, how well several teachers agree, or chance."
    ),
]

# What rankings without clean speech look at.
WITHOUT_CLEAN = {"removed": {"teacher", "noisy"}, "agreement": {"teacher", "teachers"}, "random": set[str]()}


def signals_of(criterion: Criterion) -> set[str]:
    """The signals that a ranking looks at, beside the student's."""
    if criterion in WITHOUT_CLEAN:
        return WITHOUT_CLEAN[criterion]
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
    if criterion == "agreement":
        return -errors.disagreement
    whose, _, end = criterion.partition("_")
    return errors[whose] if end == "top" else -errors[whose]
