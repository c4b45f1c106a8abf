"""The networks' own enhancement losses, by the name a network carries in `se_loss`."""

from collections.abc import Callable

import torch
from torch import Tensor

from sedistill.audio.clean_and_noise import clean_and_noise_loss
from sedistill.audio.multi_resolution import multi_resolution_distance
from sedistill.audio.pesq_hearing import pesq_distance
from sedistill.audio.si_snr import negative_si_snr
from sedistill.audio.spectrum import at_least_float32, transform
from sedistill.common.extensions import find_part

# (estimate, clean, noisy: (B, T)) -> one value a clip, (B,); lower is better.
EnhancementLoss = Callable[[Tensor, Tensor, Tensor], Tensor]

WINDOW = 512  # samples, of the losses with one resolution


def si_snr(estimate: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    """Minus SI-SNR in dB; 0, and so nothing to learn from, where the clean signal is exact silence."""
    return torch.where((clean != 0).any(dim=1), negative_si_snr(estimate, clean), 0.0)


def mean_squared_error(estimate: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    """Mean over time of the squared difference of the waveforms (D of KDRL for Wave-U-Net)."""
    with torch.autocast(estimate.device.type, enabled=False):
        return (at_least_float32(estimate) - at_least_float32(clean)).square().mean(dim=1)


def waveform_and_resolutions(estimate: Tensor, clean: Tensor, spectral_weight: float) -> Tensor:
    """Mean over time of |difference| of the waveforms, plus the weighted distance at three resolutions."""
    with torch.autocast(estimate.device.type, enabled=False):
        waveforms = (at_least_float32(estimate) - at_least_float32(clean)).abs().mean(dim=1)
        return waveforms + spectral_weight * multi_resolution_distance(estimate, clean)


def demucs_loss(estimate: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    """L1 of the waveforms + 0.1 (spectral convergence + L1 of log magnitudes), the spectra at 3 resolutions.

    0.1 is the weight that DEMUCS's authors name for their causal networks; their paper prints 0.5.
    """
    return waveform_and_resolutions(estimate, clean, spectral_weight=0.1)


def clean_unet_loss(estimate: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    """L1 of the waveforms + 0.5 (spectral convergence + L1 of log magnitudes), the spectra at 3 resolutions.

    Over all frequencies, as CleanUNet's "full" configuration.
    """
    return waveform_and_resolutions(estimate, clean, spectral_weight=0.5)


def tstnn_loss(estimate: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    """0.4 MSE of the waveforms + 0.6 L1 of |real| + |imaginary| of the spectra (the loss of TSTNN's authors).

    Hamming window of 512 samples, hop of 256; a bin's two parts are added first, then compared.
    """
    with torch.autocast(estimate.device.type, enabled=False):
        estimate, clean = at_least_float32(estimate), at_least_float32(clean)
        window = torch.hamming_window(WINDOW, dtype=estimate.dtype, device=estimate.device)
        estimated, wanted = (_spectrum(part, window) for part in (estimate, clean))
        missed = (estimated.real.abs() + estimated.imag.abs()) - (wanted.real.abs() + wanted.imag.abs())
        waveforms = (estimate - clean).square().mean(dim=1)
        return 0.4 * waveforms + 0.6 * missed.abs().mean(dim=(1, 2))


def e3net_loss(estimate: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    """Half MSE of magnitudes + half MSE of complex spectra, an approximation of E3Net's loss.

    Both with magnitudes to the power of 0.3 and phases kept, as in the power-law compressed phase-aware loss
    that E3Net's authors use elsewhere (Eskimez et al. 2021); weights and window (512 samples, hop of 256,
    root of a Hann window) are our choice, and their second loss, of a speech recognizer, is left out.
    """
    with torch.autocast(estimate.device.type, enabled=False):
        parts, magnitudes = _compressed_distances(estimate, clean)
        return 0.5 * magnitudes + 0.5 * parts


def gtcrn_loss(estimate: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    """30 (MSE of real parts + of imaginary parts) + 70 MSE of magnitudes + minus SI-SNR in bel.

    All spectra with their magnitudes to the power of 0.3 and phases kept; window of 512 samples, hop of 256,
    root of a Hann window (the loss of GTCRN's authors).
    """
    with torch.autocast(estimate.device.type, enabled=False):
        parts, magnitudes = _compressed_distances(estimate, clean)
        return 30 * parts + 70 * magnitudes + si_snr(estimate, clean, noisy) / 10


def fast_enhancer_loss(estimate: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    """0.3 MSE of magnitudes + 0.5 MSE of complex spectra, both compressed, + 0.2 L1 of the waveforms.

    Magnitudes are to the power of 0.3, phases kept; window of 512 samples, hop of 256, root of a Hann window.

    Ahn et al., "FastEnhancer" (2026). Its authors compare complex spectra twice, as the network gives them
    (0.2) and as they are of the resynthesized waveform (0.3, "consistency"). Here everything is of the
    waveform, which is what is heard, so both weights fall together. Their PESQ term comes by a recipe's
    `pesq_weight: 0.001`.
    """
    with torch.autocast(estimate.device.type, enabled=False):
        parts, magnitudes = _compressed_distances(estimate, clean)
        waveforms = (at_least_float32(estimate) - at_least_float32(clean)).abs().mean(dim=1)
        return 0.3 * magnitudes + 0.5 * parts + 0.2 * waveforms


def _compressed_distances(estimate: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
    """MSE of compressed complex spectra and of their magnitudes, (B, T) -> (B,) each."""
    estimated, wanted = _compressed(estimate), _compressed(clean)
    parts = (estimated[0] - wanted[0]).square().sum(dim=1).mean(dim=(1, 2))
    magnitudes = (estimated[1] - wanted[1]).square().mean(dim=(1, 2))
    return parts, magnitudes


def _compressed(waveform: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T) to real and imaginary parts (B, 2, F, K) and magnitudes (B, F, K)."""
    waveform = at_least_float32(waveform)
    window = torch.hann_window(WINDOW, dtype=waveform.dtype, device=waveform.device).sqrt()
    spectrum = _spectrum(waveform, window)
    parts = torch.stack([spectrum.real, spectrum.imag], dim=1)
    magnitude = (parts.square().sum(dim=1) + 1e-12).sqrt()
    return parts / magnitude[:, None] ** 0.7, magnitude**0.3


def _spectrum(waveform: Tensor, window: Tensor) -> Tensor:
    """(B, T) to complex (B, F, K), half overlapping; short clips are padded until they can be reflected."""
    return transform(waveform, window, WINDOW // 2)


ENHANCEMENT_LOSSES: dict[str, EnhancementLoss] = {
    "si_snr": si_snr,  # ConvTasNet, DCCRN, DPTNet
    "mse": mean_squared_error,  # Wave-U-Net
    "manner": clean_and_noise_loss,  # MANNER
    "demucs": demucs_loss,  # DEMUCS
    "clean_unet": clean_unet_loss,  # CleanUNet
    "tstnn": tstnn_loss,  # TSTNN
    "e3net": e3net_loss,  # E3Net
    "gtcrn": gtcrn_loss,  # GTCRN
    "fast_enhancer": fast_enhancer_loss,  # FastEnhancer
}


def enhancement_loss(name: str) -> EnhancementLoss:
    """The loss of that name or path (`sedistill.common.extensions`). Raises UserError where there is none."""
    return find_part("enhancement_losses", name, ENHANCEMENT_LOSSES, "enhancement loss", callable)


def with_pesq(loss: EnhancementLoss, weight: float) -> EnhancementLoss:
    """That loss plus `weight` times `pesq_distance`; the loss itself where the weight is 0."""
    if weight == 0:
        return loss

    def both(estimate: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
        return loss(estimate, clean, noisy) + weight * pesq_distance(estimate, clean)

    return both


def loss_text(name: str, value: float) -> str:
    """A value of a loss with its unit: "-8.421 dB (minus SI-SNR)"; one that has none is told by its name."""
    return f"{value:#.4g} dB (minus SI-SNR)" if name == "si_snr" else f"{value:#.4g} ({name})"
