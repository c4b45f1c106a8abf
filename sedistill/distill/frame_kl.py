"""Distillation of spectra as if each frame were a probability distribution over frequency."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from sedistill.audio.spectrum import Stft
from sedistill.common.errors import UserError
from sedistill.distill.bin_losses import KL_FLOOR
from sedistill.distill.signal_objective import SignalObjective, Target


@dataclass(frozen=True)
class FrameKL(SignalObjective):
    """KL(target || student) of the magnitudes of every frame, mean over frames ("KL" in DFKD 2025).

    A spectrum is no distribution, so one has to be made of it; the paper does not say how.

    distribution: "softmax" over the frequencies of a frame, as for the classes of a classifier (Hinton et
        al. 2015); it ignores a constant added to all magnitudes of a frame. Or "normalized": magnitudes,
        at least 1e-8, divided by their sum; it ignores the level of a frame.
    temperature: tau of softmax(magnitudes / tau), the result multiplied by tau^2; for "softmax" only.
        None: 1.
    target: "teacher", or "clean" for the same loss without a teacher.

    The bins of a frame depend on one another and their terms may be negative, so there are no patches from
    which DISPatch could select; `GeneralizedKL` is the divergence for that. Raises UserError for settings
    that cannot work.

    Of a frame (3/4, 1/4) and one (1/2, 1/2), that is 3/4 log(3/2) + 1/4 log(1/2):

    >>> import torch
    >>> student, target = torch.tensor([[[1.0], [1.0]]]), torch.tensor([[[3.0], [1.0]]])
    >>> FrameKL(distribution="normalized").divergence(student, target)
    tensor([[0.1308]])
    """

    distribution: Annotated[
        Literal["softmax", "normalized"],
        Field(description="How magnitudes become a distribution: softmax, or divided by their sum."),
    ] = "softmax"
    temperature: Annotated[float | None, Field(gt=0, le=1e6, description="Of the softmax; default 1.")] = None
    target: Target = "teacher"
    stft: Stft = field(default_factory=Stft)

    why_no_patches: ClassVar[str] = (
        "it compares whole frames as distributions, so there are no independent bins to select; "
        "loss: kl_generalized has them."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.distribution != "softmax" and self.temperature is not None:
            raise UserError("temperature belongs to distribution: softmax; take it out.")

    @classmethod
    def log_name(cls, name: str, settings: Mapping[str, Any]) -> str:
        """Which of the two it is."""
        return name if settings["distribution"] == "softmax" else f"{name}_{settings['distribution']}"

    def per_clip(self, signals: Mapping[str, Tensor]) -> Tensor:
        student, target = (self.stft(signals[name]).abs() for name in self.needs)
        return self.divergence(student, target).mean(dim=1)

    def divergence(self, student: Tensor, target: Tensor) -> Tensor:
        """Magnitudes (B, F, K) each -> the divergence of every frame, (B, K)."""
        wanted, given = self._log_distribution(target), self._log_distribution(student)
        return (self.temperature or 1.0) ** 2 * (wanted.exp() * (wanted - given)).sum(dim=2)

    def _log_distribution(self, magnitudes: Tensor) -> Tensor:
        """(B, F, K) -> logarithms of probabilities, (B, K, F)."""
        frames = magnitudes.transpose(1, 2)  # frequency innermost, as torch.stft leaves it in memory
        if self.distribution == "softmax":
            return (frames / (self.temperature or 1.0)).log_softmax(dim=2)
        frames = frames.clamp(min=KL_FLOOR)
        return frames.log() - frames.sum(dim=2, keepdim=True).log()
