"""Objectives that compare what goes on inside the networks, at modules named by their dotted names."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from sedistill.distill.attention import AttentionTransfer
from sedistill.distill.gram import GramSimilarity
from sedistill.distill.layer_attention import LayerAttention
from sedistill.distill.multi_view import MultiViewAttentionTransfer
from sedistill.distill.taps import Taps
from sedistill.errors import UserError
from sedistill.models.modes import evaluating
from sedistill.training.objectives.base import WithoutPatches

Pairs = list[tuple[str, str]]
PAIRS = "[[module of the student, module of the teacher], ...], dotted names as in named_modules()."
NO_PATCHES = "it compares features, not spectrograms; take it out."
PROBE_SAMPLES = 16_000


class AttentionSettings(WithoutPatches):
    """How two attention maps are compared."""

    compares_features: ClassVar[bool] = True
    why_no_patches: ClassVar[str] = NO_PATCHES
    map_power: float = Field(2.0, ge=1, le=16, description="Exponent of the activations in a map.")
    distance: Literal["l1", "l2", "mse"] = Field("l1", description="Between two maps.")
    reduction: Literal["mean", "sum"] = Field(
        "mean", description="Over time, of |.|^p before its root; sum gives the norms of equation 2."
    )
    interpolate_to: Literal["student", "teacher"] = Field("student", description="Whose frames are kept.")

    def _of_maps(self) -> dict[str, Any]:
        return {
            key: getattr(self, key) for key in AttentionSettings.model_fields if key not in ("loss", "weight")
        }


class AttentionObjective(AttentionSettings):
    """Attention transfer: where in time each layer is active, all channels seen as one."""

    loss: Literal["attention"]
    pairs: Pairs = Field(description=PAIRS, min_length=1)

    def build(self, student: nn.Module, teacher: nn.Module | None) -> AttentionTransfer:
        given(teacher, self.loss)
        return AttentionTransfer(self.pairs, **self._of_maps())


class MultiViewObjective(AttentionSettings):
    """Multi-view attention transfer between networks with MANNER's attention block."""

    loss: Literal["multi_view_attention"]
    views: list[Literal["channel", "global", "local"]] = Field(["channel", "global", "local"], min_length=1)
    """Of the three attentions of MANNER's blocks, those that are compared."""
    tap: Literal["view", "after"] = Field(
        "view", description="The attention itself, or the convolution behind."
    )
    pairs: Pairs | None = Field(
        None,
        description="[[layer of the student, of the teacher], ...], such as encoder.3; default: by depth.",
    )
    dual_depth: bool = Field(
        True, description="By depth: the student's deepest also learns from the next one."
    )
    fallback: Literal["single_view"] | None = Field(
        None, description="By depth: compare layers without the block by their output."
    )

    @model_validator(mode="after")
    def _pairs_or_depth(self) -> "MultiViewObjective":
        if self.pairs is not None and {"dual_depth", "fallback"} & self.model_fields_set:
            raise ValueError("dual_depth and fallback find pairs by depth; take them out or take out pairs.")
        return self

    def build(self, student: nn.Module, teacher: nn.Module | None) -> MultiViewAttentionTransfer:
        teacher = given(teacher, self.loss)
        settings = {"views": tuple(self.views), "tap": self.tap, **self._of_maps()}
        if self.pairs is not None:
            return MultiViewAttentionTransfer(self.pairs, **settings)
        return MultiViewAttentionTransfer.between(
            student, teacher, dual_depth=self.dual_depth, fallback=self.fallback, **settings
        )


class GramObjective(WithoutPatches):
    """Similarity-preserving features: Gram matrices of frames, or of the clips of a batch."""

    compares_features: ClassVar[bool] = True
    why_no_patches: ClassVar[str] = NO_PATCHES
    loss: Literal["gram"]
    pairs: Pairs = Field(description=PAIRS, min_length=1)
    gram: Literal["frames", "batch"] = Field("frames", description="Among what similarity is taken.")
    frames: int | None = Field(
        256, ge=2, le=10**6, description="At most so many frames, by averaging; null = all."
    )
    student_time_dim: int = Field(
        -1, ge=-4, le=3, description="Which dimension of the student's features is time."
    )
    teacher_time_dim: int = Field(
        -1, ge=-4, le=3, description="Which dimension of the teacher's features is time."
    )

    def build(self, student: nn.Module, teacher: nn.Module | None) -> GramSimilarity:
        given(teacher, self.loss)
        return GramSimilarity(
            self.pairs, self.gram, self.frames, self.student_time_dim, self.teacher_time_dim
        )


class LayerAttentionObjective(WithoutPatches):
    """ABC-KD (an approximation): attention compresses the teacher's layers into targets for the student's."""

    compares_features: ClassVar[bool] = True
    why_no_patches: ClassVar[str] = NO_PATCHES
    loss: Literal["layer_attention"]
    student_layers: list[str] = Field(min_length=1, description="Modules of the student, dotted names.")
    teacher_layers: list[str] = Field(min_length=1, description="Modules of the teacher, dotted names.")
    width: int = Field(64, ge=2, le=8192, description="Channels to which all layers are projected.")
    frames: int | None = Field(
        256, ge=2, le=10**6, description="At most so many frames, by averaging; null = all."
    )
    student_time_dim: int = Field(
        -1, ge=-4, le=3, description="Which dimension of the student's features is time."
    )
    teacher_time_dim: int = Field(
        -1, ge=-4, le=3, description="Which dimension of the teacher's features is time."
    )

    def build(self, student: nn.Module, teacher: nn.Module | None) -> LayerAttention:
        of_student = features_of(student, self.student_layers, "student")
        of_teacher = features_of(given(teacher, self.loss), self.teacher_layers, "teacher")
        return LayerAttention.for_features(
            of_student, of_teacher, self.width, self.frames, self.student_time_dim, self.teacher_time_dim
        )


def given(teacher: nn.Module | None, loss: str) -> nn.Module:
    """The teacher, which has to be there. Raises UserError."""
    if teacher is None:
        raise UserError(
            f"loss: {loss} compares features with a teacher's, but `teacher` is missing; name a saved model."
        )
    return teacher


def features_of(network: nn.Module, names: Sequence[str], whose: str) -> dict[str, Tensor]:
    """What modules give for a second of faint noise, by name; the network is left as it was."""
    with Taps(network, names, whose) as taps, evaluating(network), torch.random.fork_rng():
        torch.manual_seed(0)
        network(0.01 * torch.randn(1, PROBE_SAMPLES))
        return taps.take()
