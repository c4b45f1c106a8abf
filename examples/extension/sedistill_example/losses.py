"""Two losses of distillation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sedistill import BinLoss, SignalObjective


@dataclass(frozen=True)
class LogMagnitudeL1(BinLoss):
    """| log(|S| + floor) - log(|T| + floor) |, bin by bin, so DISPatch can select from it."""

    floor: Annotated[float, Field(gt=0, le=1, description="Magnitudes far below it count as equal.")] = 1e-3

    def view(self, spectrum: Tensor) -> Tensor:
        return (spectrum.abs() + self.floor).log()

    def compare(self, estimate: Tensor, target: Tensor, low_band: Tensor | None) -> Tensor:
        return (estimate - target).abs()


@dataclass(frozen=True)
class Envelope(SignalObjective):
    """Mean absolute difference of the waveforms' envelopes, student towards teacher."""

    frame: Annotated[
        int, Field(ge=2, le=16_000, description="Samples over which the envelope is averaged.")
    ] = 160

    def per_clip(self, signals: Mapping[str, Tensor]) -> Tensor:
        student, teacher = (self._envelope(signals[name]) for name in ("student", "teacher"))
        return (student - teacher).abs().mean(dim=1)

    def _envelope(self, waveform: Tensor) -> Tensor:
        size = min(self.frame, waveform.shape[1])
        return F.avg_pool1d(waveform.abs()[:, None], size)[:, 0]
