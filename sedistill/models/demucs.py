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
from sedistill.models.base import SampleRate, Size
from sedistill.models.layers.memory import Memory, delayed, recurred, with_past
from sedistill.models.layers.waveform_layers import rescale
from sedistill.models.strided_u_net import StridedUNet

KERNEL = 8
ZEROS = 56  # zero crossings of the resampling filter on each side
RESAMPLING = (1, 2, 4)


class DEMUCS(StridedUNet):
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

    Without `normalize` and `bidirectional` the network is causal and streams in steps of 16 ms, with the
    latency of one frame of the deepest layer and of the resampling there and back: 48 ms for stride and
    resampling of 4, 14 ms and steps of 1 ms for 2. The filters' last taps are so small that in single
    precision the furthest 5 and 2 ms seldom show. Between `encoder` and `decoder` is `recurrent`.

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
        self.resampler = Resampler()
        self.add_layers([1, *(channels * 2**layer for layer in range(depth))], KERNEL, stride)
        self.recurrent = Recurrent(channels * 2 ** (depth - 1), bidirectional)
        rescale(self)
        self.causal, self.latency_samples = not (bidirectional or normalize), None
        if self.causal:
            self.step_samples = self.hop // math.gcd(self.hop, resample)
            self.latency_samples = self.step_samples + Resampler.late(resample) + -(-self.late // resample)

    def whole(self, noisy: Tensor) -> Tensor:
        length, times = noisy.shape[-1], self.resample
        fitting = self.fitting(length * times)
        padded = F.pad(noisy, (0, -(-fitting // times) - length))
        x = self.through(self.resampler.faster(padded, times)[:, :fitting])
        return self.resampler.slower(F.pad(x, (0, -fitting % times)), times)[:, :length]

    def piece(self, noisy: Tensor, memory: Memory) -> Tensor:
        x = self.through(self.resampler.faster(noisy, self.resample, memory), memory)
        return self.resampler.slower(delayed(x, -self.late % self.resample, 1, memory), self.resample, memory)

    def middle(self, x: Tensor, memory: Memory | None) -> Tensor:
        return self.recurrent(x, memory or Memory())


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

    def faster(self, x: Tensor, times: int, memory: Memory | None = None) -> Tensor:
        """(B, T) to (B, times T); `times` is a power of 2."""
        for _ in range(times.bit_length() - 1):
            around = _around(x, ZEROS - 1, ZEROS, ZEROS, memory)
            kept = around[:, ZEROS - 1 : -ZEROS]
            x = torch.stack([kept, self._between(around)], dim=-1).flatten(-2)
        return x

    def slower(self, x: Tensor, times: int, memory: Memory | None = None) -> Tensor:
        """(B, times T) to (B, T); `times` is a power of 2."""
        for stage in range(times.bit_length() - 1, 0, -1):
            kept, between = x.unflatten(-1, (-1, 2)).unbind(-1)
            late = ZEROS if stage > 1 else ZEROS - 1  # even, where samples are still to be parted in two
            kept = kept if memory is None else delayed(kept, late, 1, memory)
            x = (kept + self._between(_around(between, ZEROS, ZEROS - 1, late, memory))) / 2
        return x

    @staticmethod
    def late(times: int) -> int:
        """How many samples later pieces of a clip are, there and back."""
        stages = times.bit_length() - 1
        both_ways = sum(2 * ZEROS // 2**stage for stage in range(stages))
        return both_ways - min(stages, 1)

    def _between(self, around: Tensor) -> Tensor:
        return F.conv1d(around[:, None], self.taps)[:, 0]


def _around(x: Tensor, before: int, after: int, late: int, memory: Memory | None) -> Tensor:
    """`x` with its neighbours on both sides; in pieces of a clip it is that much `late`, at least `after`."""
    if memory is None:
        return F.pad(x, (before, after))
    return with_past(x, before + late, 1, memory)[:, : x.shape[1] + before + after]


class Recurrent(nn.Module):
    """LSTM of two layers, (B, C, T) to the same shape; both ways with a linear layer that joins them."""

    def __init__(self, channels: int, bidirectional: bool) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, channels, 2, batch_first=True, bidirectional=bidirectional)
        self.join = nn.Linear(2 * channels, channels) if bidirectional else nn.Identity()

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        return self.join(recurred(self.lstm, x.transpose(1, 2), memory)).transpose(1, 2)
