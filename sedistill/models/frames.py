"""Waveforms to frames of their spectrum and back, in a form that a stream can take one frame at a time."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.models.base import SpeechEnhancer
from sedistill.models.layers.memory import Memory, carried_over, with_past


class Frames(nn.Module):
    """Waveform (B, K H) to K frames (B, K, W/2 + 1, 2), real and imaginary parts, and back.

    Analysis with a power of a periodic Hann window; synthesis with its dual, w / sum of w^2 over all shifts
    by the hop, so that overlapping frames add up to the waveform and nothing is divided afterwards. At half
    overlap the dual of the root is the root itself. Frame 0 holds the first `hop` samples at its end, after
    silence, so what comes back is `delay` = W - H samples late.

    Args: window: W, samples, even. hop: H, samples, at most W / 2. power: of the Hann window, 0.5 its root.
    """

    window: Tensor
    dual: Tensor

    def __init__(self, window: int, hop: int, power: float = 0.5) -> None:
        super().__init__()
        self.length, self.hop, self.delay, self.power = window, hop, window - hop, power
        shape = torch.hann_window(window, dtype=torch.float64) ** power
        place = torch.arange(window) % hop
        energy = torch.zeros(hop, dtype=torch.float64).index_add(0, place, shape**2)
        self.register_buffer("window", shape.float(), persistent=False)
        self.register_buffer("dual", (shape / energy[place]).float(), persistent=False)

    def forward(self, waveform: Tensor, memory: Memory) -> Tensor:
        """(B, K H) to (B, K, W/2 + 1, 2); half precision is transformed in float32."""
        joined = with_past(waveform, self.delay, 1, memory)
        return self.analyzed(joined.unfold(1, self.length, self.hop))

    def inverse(self, frames: Tensor, memory: Memory) -> Tensor:
        """(B, K, W/2 + 1, 2) to the waveform (B, K H), `delay` samples late."""
        pieces = self.synthesized(frames).transpose(1, 2)  # (B, W, K)
        count = pieces.shape[2]
        samples = self.length + (count - 1) * self.hop
        if count == 1:
            whole = pieces[..., 0]
        else:
            whole = F.fold(pieces, (1, samples), (1, self.length), stride=(1, self.hop))[:, 0, 0]
        return carried_over(whole, count * self.hop, memory)

    def analyzed(self, pieces: Tensor) -> Tensor:
        """Pieces (..., W) of a waveform to their spectra (..., W/2 + 1, 2)."""
        return torch.view_as_real(torch.fft.rfft(pieces * self.window.to(pieces.dtype)))

    def synthesized(self, spectra: Tensor) -> Tensor:
        """Spectra (..., W/2 + 1, 2) to pieces (..., W) that, added where they overlap, are the waveform."""
        pieces = torch.fft.irfft(torch.view_as_complex(spectra.contiguous()), self.length)
        return pieces * self.dual.to(spectra.dtype)


def complex_product(a: Tensor, b: Tensor) -> Tensor:
    """Of numbers as pairs in the last axis."""
    (a_real, a_imag), (b_real, b_imag) = a.unbind(-1), b.unbind(-1)
    return torch.stack([a_real * b_real - a_imag * b_imag, a_real * b_imag + a_imag * b_real], dim=-1)


class FrameEnhancer(SpeechEnhancer):
    """A network of `frames` that hears of earlier frames through states alone, and of later ones not at all.

    A subclass sets `frames` and defines `enhance_frames`.
    """

    causal = True
    frames: Frames

    def use_frames(self, window: int, hop: int) -> None:
        self.frames = Frames(window, hop)
        self.latency_samples, self.step_samples = window, hop

    def piece(self, noisy: Tensor, memory: Memory) -> Tensor:
        return self.frames.inverse(self.enhance_frames(self.frames(noisy, memory), memory), memory)

    def enhance_frames(self, frames: Tensor, memory: Memory) -> Tensor:
        """Noisy frames (B, K, W/2 + 1, 2) to enhanced ones; K = 1 is a step of a stream."""
        raise NotImplementedError
