"""Each layer of the student learns from a mixture of the teacher's layers that attention finds."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from sedistill.common.argument_checks import check_declared, check_kind, check_whole
from sedistill.common.errors import UserError
from sedistill.common.setting_faults import value_text
from sedistill.distill.feature_objective import (
    NO_PATCHES,
    Features,
    MisfitError,
    MostFrames,
    StudentTimeDim,
    TeacherTimeDim,
    averaged,
    by_frames,
    feature,
    stretched,
)
from sedistill.distill.taps import features_of

Width = Annotated[int, Field(ge=2, le=8192, description="Channels to which all layers are projected.")]


class LayerAttention(nn.Module):
    """Distance of the student's layers from mixtures of the teacher's. An approximation of ABC-KD (2023).

        kd = LayerAttention.for_features(student_taps.take(), teacher_taps.take())  # after one forward pass
        optimiser = Adam([*student.parameters(), *kd.parameters()])

    Approximation: of "ABC-KD: Attention-Based-Compression Knowledge Distillation for Deep Learning-Based
    Noise Suppression" (2023) it could only be read that attention compresses the teacher's many layers into
    targets for fewer of the student's. Projections and loss are chosen here:

        w_ij = softmax over j of <q_i, k_j> / sqrt(width),  target_i = sum_j w_ij v_j,
        loss of a clip = mean over i of the mean square of v_i - target_i

    with i the student's layers, j the teacher's. Query q_i and key k_j come from a linear map of the mean
    over time, values v_i (B, width, K) from one of every frame (channels and frequencies flattened). Longer
    activations are first averaged down to `frames` frames, then the teacher's values are interpolated
    linearly where the student's layer has another number.

    The teacher's values are layer-normalized (width), and their maps stay as drawn (orthogonal): targets that
    could be trained would collapse to something easy. With a normalization alone they still can, since behind
    a ReLU one map to a single direction turns every frame into the same vector. Queries and keys are
    layer-normalized too, so that large activations do not saturate the softmax at the start.

    student_sizes, teacher_sizes: values of one frame (channels, times frequencies) by tapped module.
    width: of the common space.
    frames: the bound on frames; None: all, which takes several times as long for layers near the waveform.
    student_time_dim, teacher_time_dim: which dimension of an activation is time: the last in most networks,
        2 in GTCRN's (B, C, K, F).
    seed: of the initial maps; torch's global generator is not touched.

    The maps are trained with the student and are no part of it. Computed in float32 at least, also under
    autocast. Raises UserError for impossible settings and activations that do not fit.
    """

    needs = ("student_features", "teacher_features")
    why_no_patches: ClassVar[str] = NO_PATCHES

    def __init__(
        self,
        student_sizes: Mapping[str, int],
        teacher_sizes: Mapping[str, int],
        width: Width = 64,
        frames: MostFrames = 256,
        student_time_dim: StudentTimeDim = -1,
        teacher_time_dim: TeacherTimeDim = -1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_declared("width", width, Width)
        check_declared("frames", frames, MostFrames)
        check_declared("student_time_dim", student_time_dim, StudentTimeDim)
        check_declared("teacher_time_dim", teacher_time_dim, TeacherTimeDim)
        check_whole("seed", seed, 0, 2**63 - 1)
        for whose, sizes in (("student", student_sizes), ("teacher", teacher_sizes)):
            check_kind(f"{whose}_sizes", sizes, Mapping, "sizes by the name of a module")
            if not sizes:
                raise UserError(
                    f"layer attention needs at least one tapped module of the {whose}; name some."
                )
            for name, size in sizes.items():
                check_whole(f"{whose}_sizes['{value_text(name)}']", size, 1, 10**6)
        self.student_taps, self.teacher_taps = tuple(student_sizes), tuple(teacher_sizes)
        self.student_time_dim, self.teacher_time_dim = student_time_dim, teacher_time_dim
        self.frames = frames
        generator = torch.Generator().manual_seed(seed)
        self.queries = nn.ModuleList(_linear(size, width, generator) for size in student_sizes.values())
        self.keys = nn.ModuleList(_linear(size, width, generator) for size in teacher_sizes.values())
        self.student_values = nn.ModuleList(
            _linear(size, width, generator) for size in student_sizes.values()
        )
        for number, size in enumerate(teacher_sizes.values()):
            fixed = nn.init.orthogonal_(torch.empty(width, size), generator=generator)
            self.register_buffer(f"teacher_values_{number}", fixed)

    @classmethod
    def between(
        cls, student: nn.Module, teacher: nn.Module, *,
        student_layers: Annotated[
            Sequence[str], Field(min_length=1, description="Modules of the student, dotted names.")
        ],
        teacher_layers: Annotated[
            Sequence[str], Field(min_length=1, description="Modules of the teacher, dotted names.")
        ],
        **settings: Any,
    ) -> "LayerAttention":  # fmt: skip
        """For two networks whose layers are looked at once, and found to be of what size."""
        return cls.for_features(
            features_of(student, student_layers, "student"),
            features_of(teacher, teacher_layers, "teacher"),
            **settings,
        )

    @classmethod
    def for_features(
        cls, student_features: Features, teacher_features: Features, **settings: Any
    ) -> "LayerAttention":
        """For activations such as these, of a clip of any length; their values do not matter."""
        student_sizes = _sizes(student_features, "student", settings.get("student_time_dim", -1))
        teacher_sizes = _sizes(teacher_features, "teacher", settings.get("teacher_time_dim", -1))
        return cls(student_sizes, teacher_sizes, **settings)

    def forward(self, *, student_features: Features, teacher_features: Features) -> Tensor:
        return self.with_parts(student_features=student_features, teacher_features=teacher_features)[0]

    def with_parts(
        self, *, student_features: Features, teacher_features: Features
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and what to log of it by name (0-dim, without gradient).

        "loss"; "entropy" of the weights, 1 where all teacher layers weigh alike, 0 where one has all (and
        where there is but one); "top/NAME", the share of (clip, student layer) that weigh most that
        teacher layer.
        """
        ours = [
            averaged(_frames(student_features, name, "student", self.student_time_dim), self.frames)
            for name in self.student_taps
        ]
        theirs = [
            averaged(_frames(teacher_features, name, "teacher", self.teacher_time_dim).detach(), self.frames)
            for name in self.teacher_taps
        ]
        precision = self.get_buffer("teacher_values_0").dtype  # which a network need not have
        ours, theirs = ([layer.to(precision) for layer in layers] for layers in (ours, theirs))
        with torch.autocast(ours[0].device.type, enabled=False):
            weights = self._weights(ours, theirs)
            loss = self._per_clip(ours, theirs, weights).mean()
        return loss, {"loss": loss.detach()} | self._described(weights.detach())

    def _weights(self, ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
        """w_ij of each clip, (B, I, J)."""
        queries = _of_means(self.queries, ours)
        keys = _of_means(self.keys, theirs)
        return torch.softmax(queries @ keys.mT / math.sqrt(queries.shape[-1]), dim=-1)

    def _per_clip(self, ours: list[Tensor], theirs: list[Tensor], weights: Tensor) -> Tensor:
        values = [
            _normalized(self.get_buffer(f"teacher_values_{number}") @ layer)
            for number, layer in enumerate(theirs)
        ]
        distances = []
        for layer, linear, shares in zip(ours, self.student_values, weights.unbind(1), strict=True):
            as_long = torch.stack([stretched(value, layer.shape[-1]) for value in values], dim=1)
            target = torch.einsum("bj,bjwk->bkw", shares, as_long)
            distances.append((linear(layer.mT) - target).square().mean(dim=(1, 2)))
        return torch.stack(distances).mean(dim=0)

    def _described(self, weights: Tensor) -> dict[str, Tensor]:
        evenness = torch.special.entr(weights).sum(dim=-1).mean() / math.log(max(2, len(self.teacher_taps)))
        top = weights.argmax(dim=-1)
        shares = {f"top/{name}": (top == j).float().mean() for j, name in enumerate(self.teacher_taps)}
        return {"entropy": evenness} | shares


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    linear = nn.utils.skip_init(nn.Linear, inputs, outputs)
    bound = 1 / math.sqrt(inputs)  # as nn.Linear begins, but from the given generator
    nn.init.uniform_(linear.weight, -bound, bound, generator=generator)
    nn.init.zeros_(linear.bias)
    return linear


def _sizes(features: Features, whose: str, time_dim: int) -> dict[str, int]:
    return {name: _frames(features, name, whose, time_dim).shape[1] for name in features}


def _frames(features: Features, name: str, whose: str, time_dim: int) -> Tensor:
    """One activation as (B, D, K)."""
    try:
        return by_frames(feature(features, name, whose), time_dim)
    except MisfitError as misfit:
        raise UserError(f"'{name}' of the {whose}: {misfit}") from misfit


def _of_means(maps: nn.ModuleList, layers: list[Tensor]) -> Tensor:
    """Each layer's mean over time, mapped and normalized: (B, layers, width)."""
    mapped = [linear(layer.mean(dim=-1)) for linear, layer in zip(maps, layers, strict=True)]
    stacked = torch.stack(mapped, dim=1)
    return functional.layer_norm(stacked, stacked.shape[-1:])


def _normalized(values: Tensor) -> Tensor:
    """(B, width, K), each frame with mean 0 and deviation 1 over the width."""
    return functional.layer_norm(values.mT, values.shape[1:2]).mT
