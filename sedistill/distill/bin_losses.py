"""Losses as maps over time-frequency bins: how far is an estimate from a target, bin by bin."""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from sedistill.common.argument_checks import Declared
from sedistill.distill.frequency_adapter import FrequencyAdapter
from sedistill.distill.magnitudes import (
    COMPRESSION_EPS,
    compressed_magnitude,
    compressed_spectrum,
    squared_magnitude,
)
from sedistill.distill.shapes import spectra_of

# Beyond a power of 16 float32 holds neither speech nor silence.
Power = Annotated[float, Field(gt=0, le=16, description="Compress magnitudes to |.|^power.")]

# Magnitudes below this count as this in Kullback-Leibler divergences, which know no zeros.
KL_FLOOR = 1e-8


class BinLoss(Declared):
    """A loss bin by bin: loss(estimate, target, low_band=None) -> real map >= 0, (B, F, K).

    estimate, target: complex (B, F, K), or real (B, F, K, 2); low_band: bool (B, F, K), for losses that know
    two bands.
    To add one, write a frozen dataclass with `compare`; what it needs of a single spectrogram belongs into
    `view`, because DISPatch compares three spectrograms in pairs and takes the view of each only once. Fields
    with a description are keys of recipes.
    """

    # Set by losses whose formula differs between a low and a high band.
    adapter: FrequencyAdapter | None = None

    def __call__(self, estimate: Tensor, target: Tensor, low_band: Tensor | None = None) -> Tensor:
        ours = spectra_of(estimate)
        theirs = spectra_of(target).to(ours.dtype)  # soundfile and numpy give float64
        if ours.shape != theirs.shape:
            raise ValueError(
                f"estimate {tuple(estimate.shape)} and target {tuple(target.shape)} differ in shape"
            )
        return self.compare(self.view(ours), self.view(theirs), low_band)

    def view(self, spectrum: Tensor) -> Any:
        """What `compare` needs of one complex spectrogram (B, F, K)."""
        return spectrum

    def compare(self, estimate: Any, target: Any, low_band: Tensor | None) -> Tensor:
        """The map (B, F, K) from two views; the gradient flows into `estimate`."""
        raise NotImplementedError


@dataclass(frozen=True)
class MagnitudeL1(BinLoss):
    """| |S|^p - |T|^p |, the distance of magnitudes ("L1" in DISPatch 2025, table 1, for p = 1).

    power: p; below 1 it compresses, so that quiet bins count too. Raises UserError unless 0 < p <= 16.

    >>> MagnitudeL1()(torch.tensor([[[3 + 4j]]]), torch.tensor([[[0 + 1j]]]))
    tensor([[[4.]]])
    """

    power: Power = 1.0

    def view(self, spectrum: Tensor) -> Tensor:
        return compressed_magnitude(spectrum, self.power)

    def compare(self, estimate: Tensor, target: Tensor, low_band: Tensor | None) -> Tensor:
        return (estimate - target).abs()


@dataclass(frozen=True)
class MagnitudeL2(BinLoss):
    """(|S|^p - |T|^p)^2, the squared distance of magnitudes ("L2" in DISPatch 2025, table 1, for p = 1).

    power: p; below 1 it compresses, so that quiet bins count too. Raises UserError unless 0 < p <= 16.

    >>> MagnitudeL2()(torch.tensor([[[3 + 4j]]]), torch.tensor([[[0 + 1j]]]))
    tensor([[[16.]]])
    """

    power: Power = 1.0

    def view(self, spectrum: Tensor) -> Tensor:
        return compressed_magnitude(spectrum, self.power)

    def compare(self, estimate: Tensor, target: Tensor, low_band: Tensor | None) -> Tensor:
        return (estimate - target).square()


@dataclass(frozen=True)
class LogMagnitudeL1(BinLoss):
    """| log |S| - log |T| |, the distance of log-magnitudes, natural, each magnitude at least about 1e-4.

    A ratio: it does not follow the level of loud bins, and quiet ones count as much.

    >>> LogMagnitudeL1()(torch.tensor([[[3 + 4j]]]), torch.tensor([[[0 + 10j]]]))  # log 2
    tensor([[[0.6931]]])
    """

    def view(self, spectrum: Tensor) -> Tensor:
        return (squared_magnitude(spectrum) + COMPRESSION_EPS).log() / 2

    def compare(self, estimate: Tensor, target: Tensor, low_band: Tensor | None) -> Tensor:
        return (estimate - target).abs()


@dataclass(frozen=True)
class ComplexL1(BinLoss):
    """|S' - T'| with S' = |S|^p S/|S|, the distance in the complex plane: magnitudes and phases in one.

    power: p; 1 compares the spectra as they are, below 1 their magnitudes are compressed and their phases
    kept. Raises UserError unless 0 < p <= 16.

    >>> ComplexL1()(torch.tensor([[[3 + 4j]]]), torch.tensor([[[0 + 4j]]]))
    tensor([[[3.]]])
    """

    power: Power = 1.0

    def view(self, spectrum: Tensor) -> Tensor:
        return compressed_spectrum(spectrum, self.power)

    def compare(self, estimate: Tensor, target: Tensor, low_band: Tensor | None) -> Tensor:
        return (estimate - target).abs()


@dataclass(frozen=True)
class ComplexL2(BinLoss):
    """|S' - T'|^2 with S' = |S|^p S/|S|, the squared distance in the complex plane.

    The default is the consistency-preserving loss of speech enhancement without its magnitude term (Braun &
    Tashev 2021, p = 0.3). ComplexL2(power=1) is the plain squared error of complex spectra.

    power: p; below 1 magnitudes are compressed and phases kept. Raises UserError unless 0 < p <= 16.

    >>> ComplexL2(power=1)(torch.tensor([[[3 + 4j]]]), torch.tensor([[[0 + 4j]]]))
    tensor([[[9.]]])
    """

    power: Power = 0.3

    def view(self, spectrum: Tensor) -> Tensor:
        return compressed_spectrum(spectrum, self.power)

    def compare(self, estimate: Tensor, target: Tensor, low_band: Tensor | None) -> Tensor:
        return squared_magnitude(estimate - target)


@dataclass(frozen=True)
class GeneralizedKL(BinLoss):
    """t log(t / s) - t + s of the magnitudes s = |S|, t = |T|, each at least 1e-8.

    The Kullback-Leibler divergence of what does not sum to 1, KL(target || estimate): a reading of "KL" in
    DFKD 2025 that has a value >= 0 in every bin, so that patches can be selected. It grows with the level.

    >>> GeneralizedKL()(torch.tensor([[[1 + 0j]]]), torch.tensor([[[2 + 0j]]]))  # 2 log 2 - 2 + 1
    tensor([[[0.3863]]])
    """

    def view(self, spectrum: Tensor) -> Tensor:
        return spectrum.abs().clamp(min=KL_FLOOR)

    def compare(self, estimate: Tensor, target: Tensor, low_band: Tensor | None) -> Tensor:
        # With u = log(t / s) it is t (u + e^-u - 1), which keeps its digits where t and s are close. An
        # expm1 that errs by one unit in the last place, as on some devices, may fall below 0 by as much.
        log_ratio = (target / estimate).log()
        return (target * (log_ratio + torch.expm1(-log_ratio))).clamp(min=0)
