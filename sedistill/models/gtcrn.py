"""GTCRN: a tiny causal network that masks the complex spectrogram; phones run it.

Source: X. Rong et al., "GTCRN: A Speech Enhancement Model Requiring Ultralow Computational Resources" (2024),
in the shape of its authors' code.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.common.errors import UserError
from sedistill.models.base import SampleRate
from sedistill.models.folding import fold_into
from sedistill.models.frames import FrameEnhancer, complex_product
from sedistill.models.layers.fast_gru import GRU
from sedistill.models.layers.memory import Memory, with_past

SAMPLE_RATE, WINDOW, HOP = 16_000, 512, 256
LOW_BINS, BANDS = 65, 64  # bins kept as they are; bands in place of the other 192
CHANNELS, WIDTH = 16, 33  # WIDTH: bands left after two layers that halve them
DILATIONS = (1, 2, 5)  # in frames


class GTCRN(FrameEnhancer):
    """Grouped temporal convolutional recurrent network, of one size.

    Window of 512 samples and hop of 256 with the root of a Hann window; frames of a clip begin one hop before
    it. Encoder of two strided convolutions and three blocks dilated in time, two dual-path recurrent
    layers, and a decoder like the encoder. Nothing looks ahead, so the latency is the window.

    Of the 48,245 parameters 24,576 are the filter bank and its inverse, which are not trained.

    Raises UserError for a sample rate other than 16 kHz, for which window and bands are made.
    """

    se_loss = "gtcrn"

    def __init__(self, sample_rate: SampleRate = SAMPLE_RATE) -> None:
        super().__init__()
        if sample_rate != SAMPLE_RATE:
            raise UserError(f"sample_rate = {sample_rate}: GTCRN works at {SAMPLE_RATE} Hz alone.")
        self.use_frames(WINDOW, HOP)
        self.bands = FilterBank()
        self.encoder = nn.ModuleList(
            [
                Strided(9, CHANNELS, groups=1),
                Strided(CHANNELS, CHANNELS, groups=2),
                *(TemporalBlock(dilation) for dilation in DILATIONS),
            ]
        )
        self.recurrent = nn.ModuleList([DualPath(), DualPath()])
        self.decoder = nn.ModuleList(
            [
                *(TemporalBlock(dilation) for dilation in reversed(DILATIONS)),
                Strided(CHANNELS, CHANNELS, groups=2, transposed=True),
                Strided(CHANNELS, 2, groups=1, transposed=True, activation=nn.Tanh()),
            ]
        )

    def enhance_frames(self, frames: Tensor, memory: Memory) -> Tensor:
        """Noisy frames (B, K, 257, 2) to enhanced ones; K = 1 is a step of a stream."""
        parts = frames.permute(0, 3, 1, 2)  # (B, 2, K, bins)
        magnitude = (parts.square().sum(dim=1, keepdim=True) + 1e-12).sqrt()
        x = with_neighbours(self.bands(torch.cat([magnitude, parts], dim=1)))
        skips = []
        for encode in self.encoder:
            x = encode(x, memory)
            skips.append(x)
        for look_back in self.recurrent:
            x = look_back(x, memory)
        for decode in self.decoder:
            x = decode(x + skips.pop(), memory)
        mask = self.bands.inverse(x).to(frames.dtype).permute(0, 2, 3, 1)
        return complex_product(frames, mask)

    def output_layer(self) -> nn.Module:
        last = self.decoder[-1]
        assert isinstance(last, Strided)
        return last.norm  # behind it come only the tanh, which is odd, and linear steps


class FilterBank(nn.Module):
    """The low bins as they are and the others in triangular bands of equal width in ERB, and back.

    (B, C, K, 257) to (B, C, K, 129). The filters are frozen parameters, as in the published counts.
    """

    def __init__(self) -> None:
        super().__init__()
        filters = triangles()
        self.filters = nn.Parameter(filters, requires_grad=False)
        self.inverse_filters = nn.Parameter(filters.T.contiguous(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        low, high = x[..., :LOW_BINS], x[..., LOW_BINS:]
        return torch.cat([low, F.linear(high, self.filters)], dim=-1)

    def inverse(self, x: Tensor) -> Tensor:
        low, high = x[..., :LOW_BINS], x[..., LOW_BINS:]
        return torch.cat([low, F.linear(high, self.inverse_filters)], dim=-1)


def triangles() -> Tensor:
    """Weights (bands, bins above the low ones); over the bands the weights of a bin sum to 1.

    The bands' centres are equally spaced in ERB, 21.4 log10(1 + 0.00437 f), from the first of these bins to
    8 kHz, rounded to bins; a bin between two centres belongs to both, by its distance.
    """
    last = WINDOW // 2
    low, high = (21.4 * math.log10(1 + 0.00437 * bin_ * SAMPLE_RATE / WINDOW) for bin_ in (LOW_BINS, last))
    erb = [low + (high - low) * band / (BANDS - 1) for band in range(BANDS)]
    centres = [round((10 ** (value / 21.4) - 1) / 0.00437 * WINDOW / SAMPLE_RATE) for value in erb]
    weights = [[0.0] * (last + 1 - LOW_BINS) for _ in range(BANDS)]
    for band, (left, right) in enumerate(pairwise(centres)):
        for bin_ in range(left, right + 1):
            share = (bin_ - left) / (right - left)
            weights[band][bin_ - LOW_BINS] = 1 - share
            weights[band + 1][bin_ - LOW_BINS] = share
    return torch.tensor(weights)


def with_neighbours(x: Tensor) -> Tensor:
    """Each band joined by its two neighbours as channels: (B, C, K, F) to (B, 3C, K, F)."""
    padded = F.pad(x, (1, 1))
    bands = x.shape[-1]
    return torch.stack([padded[..., i : i + bands] for i in range(3)], dim=2).flatten(1, 2)


class Strided(nn.Module):
    """Convolution over 5 bands that halves their number (transposed: doubles it), norm, activation."""

    def __init__(
        self, inputs: int, outputs: int, groups: int, transposed: bool = False,
        activation: nn.Module | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        convolution = nn.ConvTranspose2d if transposed else nn.Conv2d
        self.convolution = convolution(inputs, outputs, (1, 5), (1, 2), (0, 2), groups=groups)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        self.activation = activation or nn.PReLU()

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        """One frame at a time, so that nothing is kept in `memory`."""
        return self.activation(self.norm(self.convolution(x)))

    def fold(self) -> None:
        assert isinstance(self.norm, nn.BatchNorm2d)
        fold_into(self.convolution, self.norm)
        self.norm = nn.Identity()


class TemporalBlock(nn.Module):
    """Half of the channels through a depthwise convolution over 3 frames, now and before; then both halves
    interleaved, so that the next block takes the other one. (B, 16, K, F) to the same shape.
    """

    def __init__(self, dilation: int) -> None:
        super().__init__()
        half = CHANNELS // 2
        self.past = 2 * dilation
        self.before = nn.Sequential(nn.Conv2d(3 * half, CHANNELS, 1), nn.BatchNorm2d(CHANNELS), nn.PReLU())
        self.depthwise = nn.Sequential(
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=(0, 1), dilation=(dilation, 1), groups=CHANNELS),
            nn.BatchNorm2d(CHANNELS),
            nn.PReLU(),
        )
        self.after = nn.Sequential(nn.Conv2d(CHANNELS, half, 1), nn.BatchNorm2d(half))
        self.attention = TemporalAttention(half)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        worked, passed = x.chunk(2, dim=1)
        worked = with_past(self.before(with_neighbours(worked)), self.past, 2, memory)
        worked = self.attention(self.after(self.depthwise(worked)), memory)
        return torch.stack([worked, passed], dim=2).flatten(1, 2)


class TemporalAttention(nn.Module):
    """Each channel of a frame times a weight, from the energies of this frame and those before."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.recurrent = GRU(channels, 2 * channels)
        self.weigh = nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        energies = x.square().mean(dim=-1).transpose(1, 2)  # (B, K, C)
        states, last = self.recurrent(energies, memory.take())
        memory.leave(last)
        weights = torch.sigmoid(self.weigh(states))
        return x * weights.transpose(1, 2)[..., None]


class DualPath(nn.Module):
    """Recurrent layers along the bands, both ways, and then along the frames, forwards; each added to its
    input. (B, 16, K, 33) to the same shape.
    """

    def __init__(self) -> None:
        super().__init__()
        half = CHANNELS // 2
        self.along_bands = GroupedGRU(half // 2, bidirectional=True)
        self.band_linear = nn.Linear(CHANNELS, CHANNELS)
        self.band_norm = nn.LayerNorm((WIDTH, CHANNELS), eps=1e-8)
        self.along_frames = GroupedGRU(half, bidirectional=False)
        self.frame_linear = nn.Linear(CHANNELS, CHANNELS)
        self.frame_norm = nn.LayerNorm((WIDTH, CHANNELS), eps=1e-8)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        x = x.permute(0, 2, 3, 1)  # (B, K, F, C)
        bands = self.along_bands(x.flatten(0, 1), Memory()).reshape(x.shape)
        x = x + self.band_norm(self.band_linear(bands))
        by_band = x.transpose(1, 2)  # (B, F, K, C)
        frames = self.along_frames(by_band.flatten(0, 1), memory).reshape(by_band.shape).transpose(1, 2)
        x = x + self.frame_norm(self.frame_linear(frames))
        return x.permute(0, 3, 1, 2)


class GroupedGRU(nn.Module):
    """Two GRUs, each over half of the channels: (S, L, 16) to the same shape."""

    def __init__(self, units: int, bidirectional: bool) -> None:
        super().__init__()
        half = CHANNELS // 2
        self.first = GRU(half, units, bidirectional)
        self.second = GRU(half, units, bidirectional)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        outputs = []
        for recurrent, half in zip((self.first, self.second), x.chunk(2, dim=-1), strict=True):
            states, last = recurrent(half, memory.take())
            memory.leave(last)
            outputs.append(states)
        return torch.cat(outputs, dim=-1)
