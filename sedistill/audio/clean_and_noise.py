"""MANNER's loss: waveforms and spectrograms at three resolutions, of the speech and of what it left out.

It is the enhancement loss of MANNER and, with the teacher's estimate as the target, the output loss of
multi-view attention transfer (2022, L_KD of equation 4).
"""

import torch
from torch import Tensor

from sedistill.audio.multi_resolution import at_resolutions, spectral_distance
from sedistill.audio.spectrum import at_least_float32


def clean_and_noise_loss(
    estimate: Tensor, target: Tensor, noisy: Tensor, weigh_by: Tensor | None = None
) -> Tensor:
    """Distance of an estimate from its target, and of the noise either leaves, (B, T) each -> (B,).

    a l(target, estimate) + (1 - a) l(noisy - target, noisy - estimate), where a is the share of speech in the
    energy of speech and noise, the speech being `weigh_by` (B, T), by default the target, and l = mean
    |difference| + half the spectral convergence + half the mean difference of log magnitudes; the spectral
    terms are means over three resolutions. Clips too short to be reflected by the longest window (1024
    samples or fewer) are first padded with zeros. In float32 at least.
    """
    with torch.autocast(estimate.device.type, enabled=False):
        estimate, target, noisy = (at_least_float32(part) for part in (estimate, target, noisy))
        speech = target if weigh_by is None else at_least_float32(weigh_by)
        speech_energy = speech.square().sum(dim=1)
        noise_energy = (noisy - speech).square().sum(dim=1)
        share = speech_energy / (speech_energy + noise_energy + 2e-7)
        of_speech, of_noise = _spectral_distances(estimate, target, noisy)
        # The waveforms' differences are the same for speech and noise.
        waveforms = (estimate - target).abs().mean(dim=1)
        return waveforms + 0.5 * (share * of_speech + (1 - share) * of_noise)


def _spectral_distances(estimate: Tensor, target: Tensor, noisy: Tensor) -> Tensor:
    """Of speech and of noise, (2, B), means over the resolutions."""
    distances = [
        torch.stack(
            [
                spectral_distance(estimated, wanted),
                spectral_distance(given - estimated, given - wanted),  # the transform is linear
            ]
        )
        for estimated, wanted, given in at_resolutions(estimate, target, noisy)
    ]
    return torch.stack(distances).mean(dim=0)
