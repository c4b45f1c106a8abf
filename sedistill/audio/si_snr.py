"""Scale-invariant signal-to-noise ratio as a loss."""

import torch
from torch import Tensor

from sedistill.audio.spectrum import at_least_float32


def negative_si_snr(estimate: Tensor, target: Tensor, eps: float = 1e-8) -> Tensor:
    """How far `estimate` is from `target`, whatever its level or sign: minus SI-SNR in dB, (B, T) -> (B,).

    Both are made zero-mean; with p the projection of the estimate on the target,
    -10 log10((|p|^2 + eps) / (|estimate - p|^2 + eps)) (Luo & Mesgarani 2019, equation 12). `eps`, in units
    of energy, keeps values and gradients finite on silence. In float32 at least, also under autocast.
    Raises ValueError when the shapes differ or are not (B, T).

    The energy of what is added here is a hundredth of the target's, that is 20 dB, at any level:

    >>> target, added = torch.tensor([[1.0, -1.0, 1.0, -1.0]]), torch.tensor([[0.1, 0.1, -0.1, -0.1]])
    >>> negative_si_snr(target + added, target).round(decimals=3)
    tensor([-20.])
    >>> negative_si_snr(5 * (target + added), target).round(decimals=3)
    tensor([-20.])
    """
    if estimate.ndim != 2 or estimate.shape != target.shape:
        raise ValueError(
            f"estimate {tuple(estimate.shape)} and target {tuple(target.shape)} must both be (batch, samples)"
        )
    with torch.autocast(estimate.device.type, enabled=False):
        estimate, target = at_least_float32(estimate), at_least_float32(target)
        estimate = estimate - estimate.mean(dim=1, keepdim=True)
        target = target - target.mean(dim=1, keepdim=True)
        energy = target.square().sum(dim=1, keepdim=True)
        projection = (estimate * target).sum(dim=1, keepdim=True) / (energy + eps) * target
        signal = projection.square().sum(dim=1)
        noise = (estimate - projection).square().sum(dim=1)
        return 10 * (torch.log10(noise + eps) - torch.log10(signal + eps))
