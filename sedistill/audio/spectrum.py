"""Waveforms to complex spectrograms and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from sedistill.common.argument_checks import check_whole
from sedistill.common.errors import UserError

LONGEST_WINDOW = 65_536  # samples: four seconds at 16 kHz, beyond which no frame of speech goes


@dataclass(frozen=True)
class Stft:
    """The STFT in which spectrogram losses are computed (DISPatch 2025, section 3.2).

    The defaults are 32 ms windows every 8 ms at 16 kHz. Periodic Hann window, centred frames with reflected
    edges, one-sided, not normalized, so magnitudes follow the waveform's level. `stft(waveform)` maps (B,
    T) to complex (B, F, K) with F = window_length // 2 + 1 bins and K = 1 + T // hop_length frames. A
    waveform too short to be reflected (T < F) is first padded with zeros to F samples. Half precision is
    computed in float32, also under autocast; float64 stays float64.

    window_length, hop_length: in samples. Raises UserError for lengths that are not
    0 < hop <= window <= 65,536.

    >>> stft = Stft(window_length=512, hop_length=128)
    >>> waveform = torch.randn(2, 16_000)
    >>> stft(waveform).shape  # 257 bins, 126 frames
    torch.Size([2, 257, 126])
    >>> torch.allclose(stft.inverse(stft(waveform), length=16_000), waveform, atol=1e-5)
    True
    """

    window_length: int = 512
    hop_length: int = 128

    def __post_init__(self) -> None:
        check_whole("window_length", self.window_length, 2, LONGEST_WINDOW, "samples")
        check_whole("hop_length", self.hop_length, 1, LONGEST_WINDOW, "samples")
        if self.hop_length > self.window_length:
            raise UserError(
                f"window_length = {self.window_length} with hop_length = {self.hop_length} samples"
                " is not possible; choose 0 < hop_length <= window_length."
            )

    @property
    def bins(self) -> int:
        return self.window_length // 2 + 1

    def __call__(self, waveform: Tensor) -> Tensor:
        """(B, T) -> complex (B, F, K). Raises ValueError for any other shape."""
        if waveform.ndim != 2:
            raise ValueError(f"a waveform has the shape (batch, samples), not {tuple(waveform.shape)}")
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = at_least_float32(waveform)
            return transform(waveform, self._window(waveform), self.hop_length)

    def inverse(self, spectrum: Tensor, length: int) -> Tensor:
        """Complex (B, F, K) -> the waveform (B, length); undoes `stft(waveform)` for length = T."""
        with torch.autocast(spectrum.device.type, enabled=False):
            spectrum = at_least_float32(spectrum)
            window = self._window(spectrum.real)
            return torch.istft(spectrum, self.window_length, self.hop_length, window=window, length=length)

    def level_db(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Levels in dB (F, K) of samples (T,), for pictures; none is below -120."""
        magnitudes = self(torch.from_numpy(samples)[None])[0].abs()
        return (20 * magnitudes.clamp(min=1e-6).log10()).numpy()

    def _window(self, like: Tensor) -> Tensor:
        return torch.hann_window(self.window_length, dtype=like.dtype, device=like.device)


def transform(waveform: Tensor, window: Tensor, hop_length: int) -> Tensor:
    """The STFT of (B, T) with a window (N,) of as many samples as the transform, complex (B, N // 2 + 1, K).

    Centred frames with reflected edges, one-sided, not normalized. Short clips are filled up with zeros until
    they can be reflected. It is `torch.stft` with a faster gradient.
    """
    half = len(window) // 2
    waveform = functional.pad(waveform, (0, max(0, half + 1 - waveform.shape[1])))
    centred = functional.pad(waveform[:, None], (half, half), mode="reflect")[:, 0]
    return _Transform.apply(centred, window, hop_length)


class _Transform(torch.autograd.Function):
    """The gradient is an inverse transform to real samples, where autograd computes one to complex ones."""

    @staticmethod
    def forward(ctx: Any, waveform: Tensor, window: Tensor, hop_length: int) -> Tensor:
        ctx.save_for_backward(window)
        ctx.hop_length, ctx.shape = hop_length, waveform.shape
        return torch.stft(waveform, len(window), hop_length, window=window, center=False, return_complex=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (window,), hop = ctx.saved_tensors, ctx.hop_length
        size, bins = len(window), gradient.transpose(1, 2) / 2
        bins[..., 0] *= 2  # irfft takes all others twice, for their mirror images
        if size % 2 == 0:
            bins[..., -1] *= 2
        frames = torch.fft.irfft(bins, n=size, norm="forward").mul_(window)
        samples = frames.new_zeros(ctx.shape)
        for start in range(0, size, hop):  # hops of all frames at once, none of which overlaps another
            hops = frames[..., start : start + hop]
            samples.as_strided(hops.shape, (samples.stride(0), hop, 1), start).add_(hops)
        return samples, None, None


_PROMOTED = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.complex32: torch.complex64}


def at_least_float32(values: Tensor) -> Tensor:
    """Half precision as float32 (complex: complex64); float32 and float64 as they are.

    >>> at_least_float32(torch.zeros(1, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return values.to(_PROMOTED.get(values.dtype, values.dtype))
