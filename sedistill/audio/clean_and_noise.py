"""MANNER's loss: waveforms and spectrograms at three resolutions, of the speech and of what it left out.

It is the enhancement loss of MANNER and, with the teacher's estimate as the target, the output loss of
multi-view attention transfer (2022, equation 6).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from sedistill.audio.spectrum import at_least_float32

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))  # FFT, hop and window in samples


def clean_and_noise_loss(estimate: Tensor, target: Tensor, noisy: Tensor) -> Tensor:
    """Distance of an estimate from its target, and of the noise either leaves, (B, T) each -> (B,).

    a l(target, estimate) + (1 - a) l(noisy - target, noisy - estimate), where a is the target's share of the
    energy of target and noise, and l = mean |difference| + half the spectral convergence + half the mean
    difference of log magnitudes; the spectral terms are means over three resolutions. Clips too short to be
    reflected by the longest window (1024 samples or fewer) are first padded with zeros. In float32 at least.
    """
    with torch.autocast(estimate.device.type, enabled=False):
        estimate, target, noisy = (at_least_float32(part) for part in (estimate, target, noisy))
        speech_energy = target.square().sum(dim=1)
        noise_energy = (noisy - target).square().sum(dim=1)
        share = speech_energy / (speech_energy + noise_energy + 2e-7)
        of_speech, of_noise = _spectral_distances(estimate, target, noisy)
        # The waveforms' differences are the same for speech and noise.
        return (estimate - target).abs().mean(dim=1) + share * of_speech + (1 - share) * of_noise


def _spectral_distances(estimate: Tensor, target: Tensor, noisy: Tensor) -> tuple[Tensor, Tensor]:
    of_speech, of_noise = estimate.new_zeros(len(estimate)), estimate.new_zeros(len(estimate))
    for fft, hop, window_length in RESOLUTIONS:
        window = torch.hann_window(window_length, dtype=estimate.dtype, device=estimate.device)
        estimated, wanted, given = (
            torch.stft(_reflectable(part, fft), fft, hop, window_length, window, return_complex=True)
            for part in (estimate, target, noisy)
        )
        of_speech = of_speech + _distance(estimated, wanted)
        of_noise = of_noise + _distance(given - estimated, given - wanted)  # the transform is linear
    return of_speech / len(RESOLUTIONS), of_noise / len(RESOLUTIONS)


def _distance(estimated: Tensor, wanted: Tensor) -> Tensor:
    """Half the spectral convergence and half the distance of log magnitudes, complex (B, F, K) -> (B,)."""
    estimated, wanted = _magnitude(estimated).flatten(1), _magnitude(wanted).flatten(1)
    missed = torch.linalg.vector_norm(wanted - estimated, dim=1)
    convergence = missed / torch.linalg.vector_norm(wanted, dim=1)
    return 0.5 * convergence + 0.5 * (wanted.log() - estimated.log()).abs().mean(dim=1)


def _magnitude(spectrum: Tensor) -> Tensor:
    """Bounded from below, so that logarithms and gradients are finite on silence."""
    return (spectrum.real.square() + spectrum.imag.square()).clamp(min=1e-7).sqrt()


def _reflectable(waveform: Tensor, fft: int) -> Tensor:
    return F.pad(waveform, (0, max(0, fft // 2 + 1 - waveform.shape[1])))
