"""FastEnhancer: a small causal network for streams, a mask on the compressed complex spectrum.

Source: S. Ahn et al., "FastEnhancer: Speed-Optimized Streaming Neural Speech Enhancement" (2026).
Convolutions see the frequencies of one frame; frames hear of those before through one GRU a block alone, so
its states are all that a stream has to keep.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from sedistill.common.errors import UserError
from sedistill.models.base import SampleRate, Size
from sedistill.models.folding import fold_into
from sedistill.models.frames import FrameEnhancer, complex_product
from sedistill.models.layers.fast_gru import gru
from sedistill.models.layers.frequency_layers import ActiveRows, Entrance, Exit, NormedRows, batch_norm
from sedistill.models.layers.memory import Memory

WINDOW = 512  # samples
BINS = WINDOW // 2  # the last one, half the rate, is left out
POSITIONS = BINS // 4  # frequencies behind the entrance
HEADS = 4
POWER = 0.3  # to which magnitudes are compressed
LEAST_POWER = 1e-10  # of a bin before it is compressed: magnitudes of 1e-5


class FastEnhancer(FrameEnhancer):
    """Encoder over frequency, blocks of a GRU over time and attention over bands, and a decoder.

    Arguments
        channels: of encoder and decoder.
        convolutions: of kernel 3 in the encoder, behind its entrance, and as many stages of the decoder.
        blocks: of GRU and attention.
        units: of each block, a multiple of 4 (heads).
        bands: that the blocks work on, at most 64.
        hop_length: samples between frames of 512.
        sample_rate: Hz.
        attenuation_limit_db: what it takes away at most, dB; None for no limit. Outside training a share a of
            the input, 20 log10 a = -limit, is kept: (1 - a) enhanced + a noisy. Small networks score higher
            with a little of the noise left; they cannot learn to undo it, since training goes without.

    The authors' network but for the window: the root of a Hann window and its dual instead of a Hann window
    and a division, so that frames only have to be added. Nothing looks ahead: the latency is the window.

    Raises UserError on impossible settings.
    """

    se_loss = "fast_enhancer"

    def __init__(
        self,
        channels: Size = 24,
        convolutions: Size = 2,
        blocks: Annotated[int, Field(ge=1, le=16)] = 2,
        units: Size = 20,
        bands: Size = 16,
        hop_length: Size = 256,
        sample_rate: SampleRate = 16_000,
        attenuation_limit_db: Annotated[float | None, Field(gt=0, le=100)] = None,
    ) -> None:
        super().__init__()
        self.kept_share = 0.0 if attenuation_limit_db is None else 10 ** (-attenuation_limit_db / 20)
        _check_together(units, bands, hop_length)
        self.use_frames(WINDOW, hop_length)
        self.entrance = Entrance(2, channels)
        self.encoder = nn.ModuleList(
            ActiveRows(channels, channels, with_neighbours=True) for _ in range(convolutions)
        )
        self.to_bands = ToBands(channels, units, bands)
        self.blocks = nn.ModuleList(Block(units, bands, has_positions=i == 0) for i in range(blocks))
        self.from_bands = FromBands(units, channels, bands)
        self.decoder = nn.ModuleList(DecoderStage(channels) for _ in range(convolutions))
        self.join = ActiveRows(2 * channels, channels)
        self.exit = Exit(channels, 2)

    def enhance_frames(self, frames: Tensor, memory: Memory) -> Tensor:
        """Noisy frames (B, K, 257, 2) to enhanced ones; K = 1 is a step of a stream."""
        parts = frames[..., :BINS, :]
        power = parts.square().sum(-1, keepdim=True).clamp(min=LEAST_POWER)
        compressed = parts * power ** ((POWER - 1) / 2)
        product = complex_product(compressed, self.mask(compressed, memory))
        enhanced = product * product.square().sum(-1, keepdim=True) ** ((1 / POWER - 1) / 2)
        enhanced = F.pad(enhanced, (0, 0, 0, 1))
        return enhanced if self.training or not self.kept_share else enhanced.lerp(frames, self.kept_share)

    def mask(self, compressed: Tensor, memory: Memory) -> Tensor:
        """Real and imaginary parts (B, K, 256, 2) of compressed frames to those of their mask."""
        x = self.entrance(compressed)
        skips = [x]
        for convolve in self.encoder:
            x = convolve(x)
            skips.append(x)
        x = self.to_bands(x).transpose(0, 1).contiguous()  # (K, B, bands, units)
        for block in self.blocks:
            x = block(x, memory)
        x = self.from_bands(x.transpose(0, 1))
        for decode in self.decoder:
            x = decode(x, skips.pop())
        return self.exit(self.join(x, skips.pop()))

    def output_layer(self) -> nn.Module:
        return self.exit

    def sign_parameters(self) -> list[nn.Parameter]:
        return [self.exit.scale, self.exit.bias]  # the weight is the scale times a direction


class ToBands(nn.Module):
    """64 frequencies to bands by fixed triangles, then channels to units: (..., 64, C) to (..., F, D)."""

    weights: Tensor

    def __init__(self, channels: int, units: int, bands: int) -> None:
        super().__init__()
        self.register_buffer("weights", rows_of_sum_one(triangles(bands)), persistent=False)
        self.rows = NormedRows(channels, units)

    def forward(self, x: Tensor) -> Tensor:
        return self.rows(self.weights.to(x.dtype) @ x)


class FromBands(nn.Module):
    """Back from bands to 64 frequencies, by the triangles transposed: (..., F, D) to (..., 64, C).

    Units become channels before there are more rows of them; the two maps may change places, being linear.
    """

    weights: Tensor

    def __init__(self, units: int, channels: int, bands: int) -> None:
        super().__init__()
        self.register_buffer("weights", rows_of_sum_one(triangles(bands).T), persistent=False)
        self.linear = nn.Linear(units, channels, bias=False)
        self.norm: nn.BatchNorm1d | None = batch_norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.weights.to(x.dtype) @ self.linear(x)
        return x if self.norm is None else self.norm(x.flatten(0, -2)).reshape(x.shape)

    def fold(self) -> None:
        assert self.norm is not None
        fold_into(self.linear, self.norm)  # its bias passes the triangles, whose rows sum to 1
        self.norm = None


def triangles(bands: int) -> Tensor:
    """(bands, 64): triangles whose centres are equally spaced from the first to the last frequency."""
    centres = torch.linspace(0, POSITIONS - 1, bands)[:, None]
    width = (POSITIONS - 1) / (bands - 1)
    return (1 - (torch.arange(POSITIONS) - centres).abs() / width).clamp(min=0)


def rows_of_sum_one(weights: Tensor) -> Tensor:
    return weights / weights.sum(dim=1, keepdim=True)


class Block(nn.Module):
    """A GRU over time, the same in every band, and attention over the bands of each frame; both are added.

    (K, B, F, D), time first, to the same shape; a state (B, F, D).
    """

    def __init__(self, units: int, bands: int, has_positions: bool) -> None:
        super().__init__()
        self.from_input = weight_norm(nn.Linear(units, 3 * units))
        self.from_state = weight_norm(nn.Linear(units, 3 * units))
        self.after_gru = NormedRows(units, units)
        self.positions = nn.Parameter(first_positions(bands, units)) if has_positions else None
        self.to_heads = weight_norm(nn.Linear(units, 3 * units, bias=False))
        self.after_attention = NormedRows(units, units)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        x = x + self.after_gru(self.recurrent(x, memory))
        if self.positions is not None:
            x = x + self.positions
        return x + self.after_attention(self.attention(x))

    def recurrent(self, x: Tensor, memory: Memory) -> Tensor:
        state = memory.take()
        state = x.new_zeros(x.shape[1:]) if state is None else state
        weights = (self.from_input.weight, self.from_state.weight, self.from_input.bias, self.from_state.bias)
        outputs, last = gru(x.flatten(1, 2), state.flatten(0, 1), weights)
        memory.leave(last.reshape(state.shape))
        return outputs.reshape(x.shape)

    def attention(self, x: Tensor) -> Tensor:
        heads = self.to_heads(x).unflatten(-1, (HEADS, 3, -1)).transpose(2, 3)  # (K, B, H, F, 3, D/H)
        query, key, value = heads.flatten(0, 1).unbind(-2)
        return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(x.shape)


def first_positions(bands: int, units: int) -> Tensor:
    """(bands, units): sines and cosines of pi f / bands, f = 1 .. bands, times factors from 1 to bands - 1.

    units / 2 factors, equally spaced on a logarithmic scale.
    """
    angles = torch.pi * torch.arange(1, bands + 1) / bands
    factors = torch.logspace(0, 1, units // 2, base=bands - 1)
    return torch.cat([(angles[:, None] * factors).sin(), (angles[:, None] * factors).cos()], dim=1)


class DecoderStage(nn.Module):
    """Joined with what the encoder made there, back to its channels, and a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.join = ActiveRows(2 * channels, channels)
        self.convolve = ActiveRows(channels, channels, with_neighbours=True)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.convolve(self.join(x, skip))


def _check_together(units: int, bands: int, hop_length: int) -> None:
    if units % HEADS:
        raise UserError(f"units = {units}: it must be a multiple of {HEADS}, the heads of the attention.")
    if not 2 <= bands <= POSITIONS:
        raise UserError(f"bands = {bands}: it must lie between 2 and {POSITIONS}.")
    if hop_length > WINDOW // 2:
        raise UserError(f"hop_length = {hop_length}: frames of {WINDOW} must overlap by half at least.")
