"""Similarities inside an activation, compared between student and teacher by Gram matrices."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from sedistill.distill.feature_objective import (
    MostFrames,
    PairedFeatures,
    StudentTimeDim,
    TeacherTimeDim,
    averaged,
    by_frames,
    stretched,
)

SILENT_NORM = 1e-12


@dataclass(frozen=True)
class GramSimilarity(PairedFeatures):
    """Distance of normalized Gram matrices, summed over pairs. An approximation of Two-step KD (2024).

    Approximation: of "Two-Step Knowledge Distillation for Tiny Speech Enhancement" (2024) only the abstract
    could be read, which names intra-activation Gram matrices; shapes, norms and layers are chosen here. Its
    two steps (distillation alone, then the enhancement loss alone) are a schedule of weights, not this loss.

    gram: "frames": per clip the K x K inner products of its frames (channels and frequencies flattened), rows
        brought to unit l2 norm, mean squared difference. "batch": the B x B inner products of whole clips,
        rows likewise, squared Frobenius norm of the difference over B^2 (similarity-preserving distillation,
        Tung & Mori 2019); a clip's value then depends on the others, and a batch of one gives 0.
    frames: at most so many frames: longer activations are averaged down to that (our own bound; None: all).
        Time and memory go with its square: 256 frames are 0.26 MB a clip and matrix in float32, the 3,200 of
        4 s in a Conv-TasNet 41 MB. Where the numbers still differ the teacher's frames are interpolated
        linearly. In "batch" the frames stay as they are.
    student_time_dim, teacher_time_dim: which dimension of an activation is time: the last in most networks,
        2 in GTCRN's (B, C, K, F).

    Networks may differ in width and level. Raises UserError for impossible settings.
    """

    gram: Annotated[Literal["frames", "batch"], Field(description="Among what similarity is taken.")] = (
        "frames"
    )
    frames: MostFrames = 256
    student_time_dim: StudentTimeDim = -1
    teacher_time_dim: TeacherTimeDim = -1

    @property
    def over_batch(self) -> bool:
        """Whether a clip's value hangs on the others."""
        return self.gram == "batch"

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The distance in each clip, (B,), between activations (B, C, ...)."""
        if self.gram == "batch":
            difference = row_normalized_gram(student.flatten(1)) - row_normalized_gram(teacher.flatten(1))
        else:
            ours = averaged(by_frames(student, self.student_time_dim), self.frames)
            theirs = averaged(by_frames(teacher, self.teacher_time_dim), self.frames)
            theirs = stretched(theirs, ours.shape[-1])
            difference = row_normalized_gram(ours.mT) - row_normalized_gram(theirs.mT)
        # In both cases a row's mean square; the mean over B rows of a batch's matrix is its norm over B^2.
        return difference.square().flatten(1).mean(dim=1)


def row_normalized_gram(rows: Tensor) -> Tensor:
    """(..., N, D) -> (..., N, N): inner products of all rows, each row of them brought to unit norm.

    >>> import torch
    >>> row_normalized_gram(torch.tensor([[3.0, 0.0], [0.0, 2.0]]))
    tensor([[1., 0.],
            [0., 1.]])
    """
    return functional.normalize(rows @ rows.mT, dim=-1, eps=SILENT_NORM)
