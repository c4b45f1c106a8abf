"""The networks' own enhancement losses, by the name a network carries in `se_loss`."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from sedistill.audio.clean_and_noise import clean_and_noise_loss
from sedistill.audio.si_snr import negative_si_snr
from sedistill.audio.spectrum import at_least_float32

# (estimate, clean, noisy: (B, T)) -> one value a clip, (B,); lower is better.
EnhancementLoss = Callable[[Tensor, Tensor, Tensor], Tensor]


def si_snr(estimate: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    """Minus SI-SNR in dB."""
    return negative_si_snr(estimate, clean)


def mean_squared_error(estimate: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    """Mean over time of the squared difference of the waveforms (D of KDRL for Wave-U-Net)."""
    with torch.autocast(estimate.device.type, enabled=False):
        return (at_least_float32(estimate) - at_least_float32(clean)).square().mean(dim=1)


def compressed_spectrum_and_si_snr(estimate: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    """30 (MSE of real parts + of imaginary parts) + 70 MSE of magnitudes + minus SI-SNR in bel.

    All spectra with their magnitudes to the power of 0.3 and phases kept; window of 512 samples, hop of 256,
    root of a Hann window (the loss of GTCRN's authors).
    """
    with torch.autocast(estimate.device.type, enabled=False):
        estimated, wanted = _compressed(estimate), _compressed(clean)
        parts = (estimated[0] - wanted[0]).square().sum(dim=1).mean(dim=(1, 2))
        magnitudes = (estimated[1] - wanted[1]).square().mean(dim=(1, 2))
        return 30 * parts + 70 * magnitudes + negative_si_snr(estimate, clean) / 10


def _compressed(waveform: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T) to real and imaginary parts (B, 2, F, K) and magnitudes (B, F, K)."""
    waveform = at_least_float32(waveform)
    waveform = F.pad(waveform, (0, max(0, 257 - waveform.shape[1])))  # long enough to be reflected
    window = torch.hann_window(512, dtype=waveform.dtype, device=waveform.device).sqrt()
    spectrum = torch.stft(waveform, 512, 256, window=window, return_complex=True)
    parts = torch.stack([spectrum.real, spectrum.imag], dim=1)
    magnitude = (parts.square().sum(dim=1) + 1e-12).sqrt()
    return parts / magnitude[:, None] ** 0.7, magnitude**0.3


ENHANCEMENT_LOSSES: dict[str, EnhancementLoss] = {
    "si_snr": si_snr,  # ConvTasNet, DCCRN, DPTNet
    "mse": mean_squared_error,  # Wave-U-Net
    "manner": clean_and_noise_loss,  # MANNER
    "gtcrn": compressed_spectrum_and_si_snr,  # GTCRN
}
