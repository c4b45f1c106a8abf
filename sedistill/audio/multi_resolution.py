"""Distance of spectrograms at three resolutions, which several waveform networks are trained with.

Source: R. Yamamoto, E. Song and J.-M. Kim, "Parallel WaveGAN" (2020), equations 3 to 6: spectral convergence
and the mean difference of log magnitudes.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from sedistill.audio.spectrum import at_least_float32

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))  # FFT, hop and window in samples


def multi_resolution_distance(estimate: Tensor, target: Tensor) -> Tensor:
    """Spectral convergence plus distance of log magnitudes, means over three resolutions, (B, T) -> (B,).

    In float32 at least, also under autocast; short clips as in `at_resolutions`.

    >>> waveform = torch.randn(2, 4_000)
    >>> multi_resolution_distance(waveform, waveform)
    tensor([0., 0.])
    """
    with torch.autocast(estimate.device.type, enabled=False):
        estimate, target = at_least_float32(estimate), at_least_float32(target)
        distances = [
            spectral_distance(estimated, wanted) for estimated, wanted in at_resolutions(estimate, target)
        ]
        return torch.stack(distances).mean(dim=0)


def at_resolutions(*waveforms: Tensor) -> Iterator[list[Tensor]]:
    """Complex spectrograms (B, F, K) of waveforms (B, T), all of them at one resolution after the other.

    Clips too short to be reflected by the longest window (1024 samples or fewer) are first padded with zeros.
    """
    for fft, hop, window_length in RESOLUTIONS:
        like = waveforms[0]
        window = torch.hann_window(window_length, dtype=like.dtype, device=like.device)
        yield [
            torch.stft(_reflectable(waveform, fft), fft, hop, window_length, window, return_complex=True)
            for waveform in waveforms
        ]


def spectral_distance(estimated: Tensor, wanted: Tensor) -> Tensor:
    """Spectral convergence plus the mean distance of log magnitudes, complex (B, F, K) -> (B,).

    Spectral convergence is the norm of the magnitudes' difference over that of the wanted magnitudes.
    """
    estimated, wanted = _magnitude(estimated).flatten(1), _magnitude(wanted).flatten(1)
    missed = torch.linalg.vector_norm(wanted - estimated, dim=1)
    convergence = missed / torch.linalg.vector_norm(wanted, dim=1)
    return convergence + (wanted.log() - estimated.log()).abs().mean(dim=1)


def _magnitude(spectrum: Tensor) -> Tensor:
    """Bounded from below, so that logarithms and gradients are finite on silence."""
    return (spectrum.real.square() + spectrum.imag.square()).clamp(min=1e-7).sqrt()


def _reflectable(waveform: Tensor, fft: int) -> Tensor:
    return F.pad(waveform, (0, max(0, fft // 2 + 1 - waveform.shape[1])))
