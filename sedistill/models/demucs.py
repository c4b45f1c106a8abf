"""DEMUCS: a convolutional encoder-decoder on the waveform around an LSTM, without norms.

Source: A. Défossez, G. Synnaeve and Y. Adi, "Real Time Speech Enhancement in the Waveform Domain" (2020), in
the shape that fits the parameters and operations of "Multi-View Attention Transfer for Efficient Speech
Enhancement" (2022) for DEMUCS small and large.
"""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.common.errors import UserError
from sedistill.models.base import SampleRate, Size, SpeechEnhancer
from sedistill.models.layers.waveform_layers import DecoderLayer, EncoderLayer, fitting_length, rescale

KERNEL = 8
ZEROS = 56  # zero crossings of the resampling filter on each side
RESAMPLING = (1, 2, 4)


class DEMUCS(SpeechEnhancer):
    """DEMUCS, with an LSTM that looks back only or both ways.

    Arguments (the paper's symbols in brackets)
        channels: of the first layer; each layer down doubles them (H).
        depth: layers down, and as many up (L).
        stride: of every layer's kernel of 8 taps, at most 8 (S).
        resample: how often faster the network's own sample rate is: 1, 2 or 4 (U).
        bidirectional: LSTM both ways: the paper's networks that are not causal.
        normalize: divide the clip by its deviation and multiply the output by it, as the paper does; the
            output then follows the input's level, but every sample waits for the whole clip.
        sample_rate: Hz.

    Without `normalize` and `bidirectional` the network is causal, with the latency of one frame of the
    deepest layer and of the resampling there and back: 48 ms for stride and resampling of 4, 14 ms for 2. The
    filters' last taps are so small that in single precision the furthest 5 and 2 ms seldom show.

    Layers are named by their depth, 1 nearest to the waveform, in `encoder` and `decoder`; between them is
    `recurrent`.

    Differs from the authors' code in that the deviation is defined for a clip of one sample too (0). Their
    streaming form, which follows the level so far and cuts the resampling filters, is not built.

    Raises UserError on impossible settings.
    """

    se_loss = "demucs"

    def __init__(
        self,
        channels: Size = 48,
        depth: Annotated[int, Field(ge=1, le=8)] = 5,
        stride: Size = 4,
        resample: Size = 4,
        bidirectional: bool = False,
        normalize: bool = True,
        sample_rate: SampleRate = 16_000,
    ) -> None:
        super().__init__()
        if stride > KERNEL:
            raise UserError(f"stride = {stride}: it must be at most {KERNEL}, the taps of a kernel.")
        if resample not in RESAMPLING:
            raise UserError(f"resample = {resample}: it must be 1, 2 or 4.")
        self.stride, self.resample, self.normalize = stride, resample, normalize
        self.causal = not (bidirectional or normalize)
        self.latency_samples = _lookahead(depth, stride, resample) + 1 if self.causal else None
        self.resampler = Resampler()
        self.encoder, self.decoder = nn.ModuleDict(), nn.ModuleDict()
        widths = [1, *(channels * 2**layer for layer in range(depth))]
        for layer in range(1, depth + 1):
            outer, inner = widths[layer - 1], widths[layer]
            self.encoder[str(layer)] = EncoderLayer(outer, inner, KERNEL, stride)
            self.decoder[str(layer)] = DecoderLayer(inner, outer, KERNEL, stride, last=layer == 1)
        self.recurrent = Recurrent(widths[depth], bidirectional)
        rescale(self)

    def forward(self, noisy: Tensor) -> Tensor:
        """Enhance `noisy` (B, T), T >= 1; returns (B, T)."""
        if not self.normalize:
            return self._enhanced(noisy)
        deviation = noisy.std(dim=-1, keepdim=True, correction=0)  # defined for one sample too
        return deviation * self._enhanced(noisy / (1e-3 + deviation))

    def output_layer(self) -> nn.Module:
        first = self.decoder["1"]
        assert isinstance(first, DecoderLayer)
        return first.up

    def _enhanced(self, noisy: Tensor) -> Tensor:
        length, times = noisy.shape[-1], self.resample
        fitting = fitting_length(length * times, len(self.encoder), KERNEL, self.stride)
        padded = F.pad(noisy, (0, -(-fitting // times) - length))
        x, skips = self.resampler.faster(padded, times)[:, None, :fitting], []
        for encode in self.encoder.values():
            x = encode(x)
            skips.append(x)
        x = self.recurrent(x)
        for decode in reversed(list(self.decoder.values())):
            x = decode(x + skips.pop())
        whole = F.pad(x[:, 0], (0, -fitting % times))
        return self.resampler.slower(whole, times)[:, :length]


class Resampler(nn.Module):
    """Twice or half the sample rate by band-limited interpolation, as often as wanted, (B, T) to (B, T').

    Samples in the middle between two others come from a sinc of 112 taps under a Hann window. They are added
    to the old ones, which stay; back again they are interpolated at the places of the old ones and the mean
    of both is kept, which takes off what half the rate cannot hold.
    """

    taps: Tensor

    def __init__(self) -> None:
        super().__init__()
        time = torch.arange(2 * ZEROS, dtype=torch.float64) - ZEROS + 0.5
        taps = torch.sinc(time) * torch.cos(math.pi / 2 * time / ZEROS).square()
        self.register_buffer("taps", taps.float()[None, None], persistent=False)

    def faster(self, x: Tensor, times: int) -> Tensor:
        """(B, T) to (B, times T); `times` is a power of 2."""
        for _ in range(times.bit_length() - 1):
            between = self._interpolated(x, ZEROS - 1, ZEROS)
            x = torch.stack([x, between], dim=-1).flatten(-2)
        return x

    def slower(self, x: Tensor, times: int) -> Tensor:
        """(B, times T) to (B, T); `times` is a power of 2."""
        for _ in range(times.bit_length() - 1):
            kept, between = x.unflatten(-1, (-1, 2)).unbind(-1)
            x = (kept + self._interpolated(between, ZEROS, ZEROS - 1)) / 2
        return x

    def _interpolated(self, x: Tensor, before: int, after: int) -> Tensor:
        return F.conv1d(F.pad(x, (before, after))[:, None], self.taps)[:, 0]


class Recurrent(nn.Module):
    """LSTM of two layers, (B, C, T) to the same shape; both ways with a linear layer that joins them."""

    def __init__(self, channels: int, bidirectional: bool) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, channels, 2, batch_first=True, bidirectional=bidirectional)
        self.join = nn.Linear(2 * channels, channels) if bidirectional else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.join(self.lstm(x.transpose(1, 2))[0]).transpose(1, 2)


def _lookahead(depth: int, stride: int, resample: int) -> int:
    """Samples behind its own position that an output sample may depend on.

    Followed from output 0 backwards; `latest` is the last sample needed, at the rate of each stage.
    """
    latest = 0
    for _ in range(resample.bit_length() - 1):  # slower: the furthest is a sample in between
        latest = 2 * (latest + ZEROS - 1) + 1
    latest += fitting_length(1, depth, KERNEL, stride) - 1  # a frame gives output from its first sample on
    for _ in range(resample.bit_length() - 1):  # faster
        latest = (latest - 1) // 2 + ZEROS
    return latest
