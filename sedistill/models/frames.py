"""Waveforms to frames of their spectrum and back, in a form that a stream can take one frame at a time."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Frames(nn.Module):
    """Waveform (B, T) to complex frames (B, K, W/2 + 1) and back; K = ceil(T / H) + W / H - 1, rounded down.

    Analysis with the root of a periodic Hann window; synthesis with its dual, w / sum of w^2 over all shifts
    by the hop, so that overlapping frames add up to the waveform and nothing is divided afterwards. At half
    overlap the dual is the window itself. Frame 0 holds the first `hop` samples at its end, after silence.

    Args: window: W, samples, even. hop: H, samples, at most W / 2.
    """

    window: Tensor
    dual: Tensor

    def __init__(self, window: int, hop: int) -> None:
        super().__init__()
        self.length, self.hop = window, hop
        root = torch.hann_window(window, dtype=torch.float64).sqrt()
        place = torch.arange(window) % hop
        power = torch.zeros(hop, dtype=torch.float64).index_add(0, place, root**2)
        self.register_buffer("window", root.float(), persistent=False)
        self.register_buffer("dual", (root / power[place]).float(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """(B, T), T >= 1, to (B, K, W/2 + 1); half precision is transformed in float32."""
        before = self.length - self.hop
        samples = before + waveform.shape[1]
        last_start = (samples - 1) // self.hop * self.hop  # of the frames that hold the last sample
        padded = F.pad(waveform, (before, last_start + self.length - samples))
        return self.analysed(padded.unfold(1, self.length, self.hop))

    def inverse(self, frames: Tensor, length: int) -> Tensor:
        """(B, K, W/2 + 1) to the waveform (B, length)."""
        pieces = self.synthesised(frames)
        samples = self.length + (frames.shape[1] - 1) * self.hop
        whole = F.fold(pieces.transpose(1, 2), (1, samples), (1, self.length), stride=(1, self.hop))
        before = self.length - self.hop
        return whole[:, 0, 0, before : before + length]

    def analysed(self, pieces: Tensor) -> Tensor:
        """Pieces (..., W) of a waveform to their spectra (..., W/2 + 1)."""
        return torch.fft.rfft(pieces * self.window.to(pieces.dtype))

    def synthesised(self, spectra: Tensor) -> Tensor:
        """Spectra (..., W/2 + 1) to the pieces (..., W) that, added where they overlap, are the waveform."""
        return torch.fft.irfft(spectra, self.length) * self.dual.to(spectra.real.dtype)
