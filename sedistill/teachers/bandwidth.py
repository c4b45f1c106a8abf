"""What lies above a teacher's bandwidth is nothing to learn from it."""

import torch
from torch import Tensor


def below(waves: Tensor, share: float) -> Tensor:
    """Waveforms (B, T) without what lies above `share` of half their rate; no gradient passes there either.

    In one transform over the whole of each clip, so that the edge is sharp: what student, teacher and clean
    speech have above it is silence for every objective, whatever it compares.

    >>> high = torch.tensor([[1.0, -1.0] * 8])
    >>> below(high + 0.5, 0.5)[0, :3]
    tensor([0.5000, 0.5000, 0.5000])
    """
    with torch.autocast(waves.device.type, enabled=False):
        spectrum = torch.fft.rfft(waves.float())
        kept = int(share * (spectrum.shape[-1] - 1)) + 1
        mask = (torch.arange(spectrum.shape[-1], device=waves.device) < kept).to(spectrum.dtype)
        return torch.fft.irfft(spectrum * mask, n=waves.shape[-1])
