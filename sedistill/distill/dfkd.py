"""Dynamic frequency-adaptive distillation: phase alone below a crossover, phase and amplitude above it."""

from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd.function import once_differentiable

from sedistill.distill.bin_losses import BinLoss
from sedistill.distill.frequency_adapter import FrequencyAdapter

# Quieter bins have no phase: far below the noise floor of 16-bit audio in this STFT (about 6e-5).
SILENT_MAGNITUDE = 1e-6


@dataclass(frozen=True)
class DFKDLoss(BinLoss):
    """Low bins: 1 - cos; high bins: beta (1 - cos) + (1 - beta) (|S| - |T|)^2 (DFKD 2025, equations 7-10).

    cos is the cosine of the angle between estimate and target in one bin; where either has no phase
    (magnitude <= 1e-6) that term is 0. The paper prints cos - 1, which would drive phases apart; here the
    sign follows its aim. beta in [0, 1], else UserError.

    Averaged over all bins. Equation 10 to the letter, the mean over the low bins plus that over the high,
    is `DISPatch(DFKDLoss(), keep=1, reduction="bands")`.

    `low_band` says which bins are low; without it the bands are read from the target by `adapter`.
    When scoring against clean speech, pass the teacher's: DISPatch does.

    Equal magnitudes a quarter turn apart cost 1 in the low bin and beta in the high one:

    >>> estimate, target = torch.tensor([[[2 + 0j], [2 + 0j]]]), torch.tensor([[[0 + 2j], [0 + 2j]]])
    >>> DFKDLoss(beta=0.5)(estimate, target, low_band=torch.tensor([[[True], [False]]])).flatten()
    tensor([1.0000, 0.5000])
    """

    beta: Annotated[
        float, Field(ge=0, le=1, description="DFKD: share of phase in the high band; default 0.5.")
    ] = 0.5
    adapter: FrequencyAdapter = field(default_factory=FrequencyAdapter)

    def view(self, spectrum: Tensor) -> "PolarView":
        return PolarView(*_Polar.apply(spectrum))

    def compare(self, estimate: "PolarView", target: "PolarView", low_band: Tensor | None) -> Tensor:
        if low_band is None:
            low_band = self.adapter.low_band(self.adapter(target.magnitude), target.magnitude.shape[1])
        # 1 in low bins, beta in high ones
        phase_weight = low_band.to(target.magnitude.dtype).clamp_(min=self.beta)
        return _Distance.apply(*estimate, *target, phase_weight)


class PolarView(NamedTuple):
    """A spectrogram in real planes, each (B, F, K).

    cosine, sine: of the phase, 0 where there is none; has_phase: bool; magnitude: |z|.
    """

    cosine: Tensor
    sine: Tensor
    has_phase: Tensor
    magnitude: Tensor


# Both derivatives are written by hand: autograd through the single steps costs several times as much.


class _Distance(torch.autograd.Function):
    """Of two views, w (1 - cos(a - b)) + (1 - w) (difference of magnitudes)^2; constant in the second."""

    @staticmethod
    def forward(
        ctx: Any, cosine: Tensor, sine: Tensor, has_phase: Tensor, magnitude: Tensor,
        cosine_b: Tensor, sine_b: Tensor, has_phase_b: Tensor, magnitude_b: Tensor, phase_weight: Tensor,
    ) -> Tensor:  # fmt: skip
        # 0 where a phase is missing; in place, because at this size memory costs most.
        phase = (has_phase & has_phase_b).to(magnitude.dtype)
        phase.addcmul_(cosine, cosine_b, value=-1).addcmul_(sine, sine_b, value=-1).clamp_(0, 2)
        apart = magnitude - magnitude_b
        ctx.save_for_backward(cosine_b, sine_b, phase_weight, phase, apart)
        return (apart * apart).lerp_(phase, phase_weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        cosine_b, sine_b, phase_weight, phase, apart = ctx.saved_tensors
        by_phase = gradient * phase_weight
        by_magnitude = (gradient - by_phase).mul_(apart).mul_(2)
        by_phase.mul_(phase > 0).neg_()  # where both agree nothing is left of the phase, nor of rounding
        return by_phase * cosine_b, by_phase * sine_b, None, by_magnitude, *5 * (None,)


class _Polar(torch.autograd.Function):
    """Complex z -> PolarView; bins without a phase get no gradient."""

    @staticmethod
    def forward(ctx: Any, spectrum: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # Separate dense planes, in the memory order of the spectrum, are what elementwise steps run fast on;
        # a product is faster than a square, which is a power.
        cosine, sine = (plane.clone() for plane in torch.view_as_real(spectrum).unbind(-1))
        magnitude = (cosine * cosine).addcmul_(sine, sine).sqrt_()
        has_phase = magnitude > SILENT_MAGNITUDE
        inverse = has_phase / magnitude.clamp(min=SILENT_MAGNITUDE)
        cosine.mul_(inverse)
        sine.mul_(inverse)
        ctx.save_for_backward(cosine, sine, inverse)
        ctx.mark_non_differentiable(has_phase)
        return cosine, sine, has_phase, magnitude

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, by_cosine: Tensor, by_sine: Tensor, by_has_phase: Tensor, by_magnitude: Tensor
    ) -> Tensor:
        cosine, sine, inverse = ctx.saved_tensors
        # The phase moves with what is perpendicular to z, the magnitude with what is along it.
        along = (by_cosine * cosine).addcmul_(by_sine, sine)
        radial = torch.addcmul(by_magnitude, along, inverse, value=-1)
        gradient = torch.empty_like(by_magnitude, dtype=radial.dtype.to_complex())
        parts = torch.view_as_real(gradient)
        torch.addcmul(by_cosine * inverse, radial, cosine, out=along)
        parts[..., 0] = along
        torch.addcmul(by_sine * inverse, radial, sine, out=along)
        parts[..., 1] = along
        return gradient
