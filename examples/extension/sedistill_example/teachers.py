"""A teacher that is no network of sedistill's: whatever makes an estimate from noisy speech may be one."""

import torch
from torch import Tensor


class SpectralGate:
    """A noise gate: in every band, what is near the quietest fifth of the frames is turned down.

    A teacher is made without arguments and says: its name, for messages; a hash, another one whenever its
    output may be another; the rate (Hz) of what it takes and gives; by how many samples its output is late.
    """

    name, hash, sample_rate, latency = "spectral gate", "v1-spectral-gate", 16_000, 0

    def __call__(self, noisy: Tensor) -> Tensor:
        """(B, T) to (B, T)."""
        window = torch.hann_window(512, device=noisy.device)
        spectrum = torch.stft(noisy, 512, 128, window=window, return_complex=True)
        magnitude = spectrum.abs()
        floor = magnitude.quantile(0.2, dim=2, keepdim=True)
        gain = (1 - 2 * floor / magnitude.clamp(min=1e-8)).clamp(min=0.1)
        return torch.istft(gain * spectrum, 512, 128, window=window, length=noisy.shape[1])
