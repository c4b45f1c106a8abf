"""Which layer of the student is compared with which of the teacher, and what all such losses share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from sedistill.audio.spectrum import at_least_float32
from sedistill.common.argument_checks import Declared
from sedistill.common.errors import UserError
from sedistill.common.reading import printable

Features = Mapping[str, Tensor]
"""Activation (B, C, ...) by the name of the tapped module."""

Pairs = Annotated[
    Sequence[tuple[str, str]],
    Field(
        min_length=1,
        description="[[module of the student, module of the teacher], ...], dotted names as in "
        "named_modules().",
    ),
]
NO_PATCHES = "it compares features, not spectrograms; take it out."
MostFrames = Annotated[
    int | None, Field(ge=2, le=10**6, description="At most so many frames, by averaging; null = all.")
]
StudentTimeDim = Annotated[
    int, Field(ge=-4, le=3, description="Which dimension of the student's features is time.")
]
TeacherTimeDim = Annotated[
    int, Field(ge=-4, le=3, description="Which dimension of the teacher's features is time.")
]


@dataclass(frozen=True)
class PairedFeatures(Declared):
    """A loss over pairs (student's module, teacher's module), named as `named_modules()` gives them.

    The value of each clip is the sum over pairs; the loss is the mean over clips. Computed in float32 at
    least, also under autocast; complex activations count by magnitude. The gradient goes into the student.
    Raises UserError for pairs that are no pairs, and for activations that do not fit together.

    To write one, write a frozen dataclass with `compare`. Fields with a description are keys of recipes.
    """

    needs: ClassVar[tuple[str, ...]] = ("student_features", "teacher_features")
    why_no_patches: ClassVar[str] = NO_PATCHES

    pairs: Pairs

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "pairs", checked_pairs("pairs", self.pairs))

    @property
    def student_taps(self) -> tuple[str, ...]:
        return distinct(student for student, _ in self.pairs)

    @property
    def teacher_taps(self) -> tuple[str, ...]:
        return distinct(teacher for _, teacher in self.pairs)

    def __call__(self, *, student_features: Features, teacher_features: Features) -> Tensor:
        return self.with_parts(student_features=student_features, teacher_features=teacher_features)[0]

    def with_parts(
        self, *, student_features: Features, teacher_features: Features
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and "loss" to log (0-dim, without gradient)."""
        loss = self._sum_over(self.pairs, student_features, teacher_features).mean()
        return loss, {"loss": loss.detach()}

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The value of each clip, (B,), from one pair of real activations (B, C, ...)."""
        raise NotImplementedError

    def _sum_over(self, pairs: Sequence[tuple[str, str]], student: Features, teacher: Features) -> Tensor:
        """(B,): the sum of `compare` over the pairs."""
        terms = []
        for pair in pairs:
            ours, theirs = feature(student, pair[0], "student"), feature(teacher, pair[1], "teacher").detach()
            if len(ours) != len(theirs):
                raise UserError(
                    f"'{pair[0]}' of the student and '{pair[1]}' of the teacher differ in their first "
                    f"dimension ({len(ours)} and {len(theirs)}), which must be the clips of the batch; "
                    "tap other modules."
                )
            with torch.autocast(ours.device.type, enabled=False):
                try:
                    terms.append(self.compare(ours, theirs))
                except MisfitError as misfit:
                    raise UserError(
                        f"'{pair[0]}' of the student and '{pair[1]}' of the teacher: {misfit}"
                    ) from misfit
        return torch.stack(terms).sum(dim=0)


class MisfitError(Exception):
    """Why two activations cannot be compared; whoever knows their names makes a UserError of it."""


def checked_pairs(setting: str, pairs: Iterable[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    """The pairs as tuples. Raises UserError unless they are distinct pairs of names, at least one."""
    checked = []
    for pair in pairs if isinstance(pairs, list | tuple) else [pairs]:
        names = list(pair) if isinstance(pair, list | tuple) else []
        if len(names) != 2 or not all(isinstance(name, str) for name in names):
            shown = printable(repr(pair), keep="")[:200]
            raise UserError(
                f"{setting}: {shown} is no pair; give [student's module, teacher's module], such as "
                "[encoder.3, encoder.4]."
            )
        checked.append((names[0], names[1]))
    if not checked:
        raise UserError(f"{setting} is empty; give at least one [student's module, teacher's module].")
    for pair in checked:
        if checked.count(pair) > 1:
            raise UserError(f"{setting} names [{pair[0]}, {pair[1]}] twice; give every pair once.")
    return tuple(checked)


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def feature(features: Features, name: str, whose: str) -> Tensor:
    """One activation, real and in float32 at least. Raises ValueError when it was not given."""
    if name not in features:
        raise ValueError(f"the {whose}'s features lack '{name}'; there are {', '.join(features) or 'none'}")
    values = at_least_float32(features[name])
    if values.ndim < 3:
        raise UserError(
            f"'{name}' of the {whose} has the shape {tuple(values.shape)}, but (batch, channels, time) "
            "or more dimensions are needed; tap another module."
        )
    return values.abs() if values.is_complex() else values  # abs has the slope 0 at 0


def by_frames(values: Tensor, time_dim: int) -> Tensor:
    """(B, C, ...) -> (B, D, K): whatever one frame holds, channels times frequencies, and the K frames."""
    if not -values.ndim <= time_dim < values.ndim or time_dim % values.ndim < 2:
        raise MisfitError(f"dimension {time_dim} of {tuple(values.shape)} cannot be time.")
    return values.movedim(time_dim, -1).flatten(1, -2)


def averaged(values: Tensor, frames: int | None) -> Tensor:
    """(B, D, K) -> (B, D, min(K, frames)): longer activations as means of neighbouring frames."""
    if frames is None or values.shape[-1] <= frames:
        return values
    return functional.adaptive_avg_pool1d(values, frames)


def stretched(values: Tensor, frames: int) -> Tensor:
    """(B, D, K) -> (B, D, frames), interpolated linearly between the frames' centres."""
    if values.shape[-1] == frames:
        return values
    return functional.interpolate(values, size=frames, mode="linear", align_corners=False)
