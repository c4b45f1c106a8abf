"""What the objectives on whole signals have in common."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from sedistill.audio.spectrum import at_least_float32
from sedistill.common.argument_checks import Declared
from sedistill.distill.shapes import clips_of

Target = Annotated[
    Literal["teacher", "clean"],
    Field(description="Towards what; clean is the control that tells the teacher's share."),
]


class SignalObjective(Declared):
    """A loss of the student's waveforms towards another signal, one number a clip, averaged over clips.

        loss = objective(student=student, teacher=teacher)               # (B, T) each -> scalar
        loss, parts = objective.with_parts(student=student, teacher=teacher)

    Waveforms may be (B, 1, T) or (B, C, T) too: every channel is a clip of its own.

    `needs` names the signals that are used; others are ignored and may be None. The gradient goes into the
    student only. Computed in float32 at least, also under autocast; finite on silence. Raises ValueError for
    a missing signal or an unfitting shape.

    To write one, write a frozen dataclass with `per_clip`, and with `target` or `needs`. Fields with
    a description are keys of recipes.
    """

    # The signal that the student is to come near.
    target: str = "teacher"
    # Why DISPatch cannot select from it, as a recipe that asks for that is told.
    why_no_patches: ClassVar[str] = "it has no patches; take it out."

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of the signals that are used, the student's first."""
        return ("student", self.target)

    def per_clip(self, signals: Mapping[str, Tensor]) -> Tensor:
        """The loss of every clip, (B,), from the needed signals by name."""
        raise NotImplementedError

    def expected_shape(self, name: str, student: Tensor) -> tuple[int, ...]:
        """The shape that the signal of this name has to have beside the student's (B, T)."""
        return tuple(student.shape)

    def __call__(
        self,
        student: Tensor,
        teacher: Tensor | None = None,
        clean: Tensor | None = None,
        noisy: Tensor | None = None,
        band_teachers: Tensor | None = None,
    ) -> Tensor:
        others = {"teacher": teacher, "clean": clean, "noisy": noisy, "band_teachers": band_teachers}
        signals = self._needed(student, others)
        with torch.autocast(student.device.type, enabled=False):
            return self.per_clip(signals).mean()

    def with_parts(self, *signals: Tensor | None, **named: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and what to log of it by name (0-dim tensors without gradient)."""
        loss = self(*signals, **named)  # type: ignore[arg-type]
        return loss, {"loss": loss.detach()}

    def _needed(self, student: Tensor, others: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        clips = clips_of(student)
        if clips.ndim != 2:
            raise ValueError(f"student has the shape (batch, samples), not {tuple(student.shape)}")
        signals = {"student": at_least_float32(clips)}
        for name in self.needs[1:]:
            signal, shape = others[name], self.expected_shape(name, clips)
            if signal is None:
                raise ValueError(f"{type(self).__name__} needs the {name} signal, but got None")
            formed = clips_of(signal, len(shape) - 1).detach()
            if tuple(formed.shape) != shape or len(signal) != len(student):
                given = f"{name} {tuple(signal.shape)} does not fit student {tuple(student.shape)}"
                raise ValueError(f"{given}: {shape} expected")
            signals[name] = formed.to(signals["student"].dtype)  # soundfile and numpy give float64
        return signals
