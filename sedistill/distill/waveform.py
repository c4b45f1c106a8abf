"""Distillation on waveforms: the teacher's output as the target of the enhancement loss."""

from dataclasses import dataclass

from torch import Tensor

from sedistill.audio.si_snr import negative_si_snr
from sedistill.distill.checks import check_choice


@dataclass(frozen=True)
class SISNRTarget:
    """Minus SI-SNR of the student towards the teacher's output: the positive control of every comparison.

    target: "teacher", or "clean" for the same loss without a teacher. Raises UserError for anything else.
    Waveforms (B, T) -> scalar in dB, the mean over clips; the gradient goes into the student only.
    """

    target: str = "teacher"

    def __post_init__(self) -> None:
        check_choice("target", self.target, ("teacher", "clean"))

    @property
    def needs_teacher(self) -> bool:
        return self.target == "teacher"

    @property
    def needs_clean(self) -> bool:
        return self.target == "clean"

    def __call__(self, student: Tensor, teacher: Tensor | None = None, clean: Tensor | None = None) -> Tensor:
        target = teacher if self.target == "teacher" else clean
        if target is None:
            raise ValueError(f"SISNRTarget(target='{self.target}') needs the {self.target} waveform")
        return negative_si_snr(student, target.detach()).mean()

    def with_parts(
        self, student: Tensor, teacher: Tensor | None = None, clean: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and what to log of it by name (0-dim tensors without gradient)."""
        loss = self(student, teacher, clean)
        return loss, {"loss": loss.detach()}
