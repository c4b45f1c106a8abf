"""TSTNN: a mask over frames of the waveform, from transformers along two paths. Not causal.

Source: K. Wang, B. He and W.-P. Zhu, "TSTNN: Two-Stage Transformer Based Neural Network for Speech
Enhancement in the Time Domain" (2021), in the shape that fits the parameters and operations of "Multi-View
Attention Transfer for Efficient Speech Enhancement" (2022).
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.common.errors import UserError
from sedistill.models.base import EvenSize, SampleRate, Size, SpeechEnhancer
from sedistill.models.layers.fast_cpu import PReLU
from sedistill.models.layers.multi_view_attention import Gate
from sedistill.models.layers.norms import global_norm
from sedistill.models.layers.self_attention import SelfAttention
from sedistill.models.layers.sequences import SequenceLayer, along_third


class TSTNN(SpeechEnhancer):
    """Two-stage transformer network.

    Arguments
        channels: of encoder and decoder, even; the transformers have half of them, a multiple of `heads`.
        frame_length: samples of a frame, even; frames advance by half of it.
        dense_layers: of encoder and of decoder; layer k sees the frame 2 ** (k - 1) before its own.
        repeats: pairs of a transformer layer along each frame and one across the frames.
        heads: of the attention.
        sample_rate: Hz.

    The attention across the frames of a clip takes time that grows with the square of its length.

    The biases of the convolutions before a norm do nothing, since that norm is over a frame's samples: they
    are there for the published count.

    Raises UserError on impossible settings.
    """

    causal = False  # attention, recurrent layers and norms see the whole clip
    latency_samples = None
    se_loss = "tstnn"

    def __init__(
        self,
        channels: Size = 64,
        frame_length: EvenSize = 512,
        dense_layers: Annotated[int, Field(ge=1, le=16)] = 4,
        repeats: Annotated[int, Field(ge=1, le=32)] = 4,
        heads: Size = 4,
        sample_rate: SampleRate = 16_000,
    ) -> None:
        super().__init__()
        if channels % (2 * heads):
            raise UserError(f"channels = {channels}: half of them must be a multiple of heads = {heads}.")
        half = frame_length // 2
        self.frame_length = frame_length
        self.input = nn.Sequential(nn.Conv2d(1, channels, 1), *_norm_and_slopes(channels, frame_length))
        self.encoder = Dense(channels, frame_length, dense_layers)
        self.down = nn.Sequential(
            nn.Conv2d(channels, channels, (1, 3), (1, 2), (0, 1)), *_norm_and_slopes(channels, half)
        )
        self.before = nn.Sequential(nn.Conv2d(channels, channels // 2, 1), PReLU())
        self.transformer = nn.Sequential(*(TwoStage(channels // 2, heads) for _ in range(repeats)))
        self.after = nn.Sequential(PReLU(), nn.Conv2d(channels // 2, channels, 1))
        self.mask = Gate(channels)
        self.decoder = Dense(channels, half, dense_layers)
        self.up = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, (1, 3), padding=(0, 1)),
            Interleave(),
            *_norm_and_slopes(channels, frame_length),
        )
        self.output = nn.Conv2d(channels, 1, 1)

    def forward(self, noisy: Tensor) -> Tensor:
        """Enhance `noisy` (B, T), T >= 1; returns (B, T)."""
        frames = framed(noisy, self.frame_length)[:, None]  # (B, 1, K, size)
        features = self.down(self.encoder(self.input(frames)))  # (B, C, K, size / 2)
        seen = self.after(self.transformer(self.before(features)))
        mask = self.mask(seen.flatten(2)).reshape(seen.shape)
        enhanced = self.output(self.up(self.decoder(mask * features)))
        return overlap_averaged(enhanced[:, 0], noisy.shape[-1])

    def output_layer(self) -> nn.Module:
        return self.output


class Dense(nn.Module):
    """Convolutions over two frames and three samples, each of which sees the outputs of all before it.

    (B, C, K, size) to the same shape; the outputs of the last one. No frame is seen before its time.
    """

    def __init__(self, channels: int, size: int, layers: int) -> None:
        super().__init__()
        self.convolutions, self.rests = nn.ModuleList(), nn.ModuleList()
        for layer in range(layers):
            inputs = (layer + 1) * channels
            self.convolutions.append(
                nn.Conv2d(inputs, channels, (2, 3), padding=(0, 1), dilation=(2**layer, 1))
            )
            self.rests.append(nn.Sequential(*_norm_and_slopes(channels, size)))

    def forward(self, x: Tensor) -> Tensor:
        everything = new = x
        for layer, (convolution, rest) in enumerate(zip(self.convolutions, self.rests, strict=True)):
            new = rest(convolution(F.pad(everything, (0, 0, 2**layer, 0))))
            everything = torch.cat([new, everything], dim=1)
        return new


class Interleave(nn.Module):
    """(B, 2C, K, n) to (B, C, K, 2n): the second half of the channels between the samples of the first."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack(x.chunk(2, dim=1), dim=-1).flatten(-2)


class TwoStage(nn.Module):
    """A transformer layer along each frame's samples and one across the frames, each normalized and added.

    (B, C, K, n) to the same shape.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.within, self.across = TransformerLayer(channels, heads), TransformerLayer(channels, heads)
        self.within_norm, self.across_norm = global_norm(channels, 1e-8), global_norm(channels, 1e-8)

    def forward(self, x: Tensor) -> Tensor:
        within = along_third(self.within, x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = x + self.within_norm(within)
        across = along_third(self.across, x.permute(0, 3, 2, 1)).permute(0, 3, 2, 1)
        return x + self.across_norm(across)


class TransformerLayer(SequenceLayer):
    """Sequences (S, L, C) to the same shape: self-attention, then a GRU both ways in place of the usual
    feed-forward part; each added to its input and normalized behind it. The GRU brings the order, so there is
    no positional encoding.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.attention = SelfAttention(channels, heads, bias=True, causal=False)
        self.attention_norm = nn.LayerNorm(channels)
        self.recurrent = nn.GRU(channels, 2 * channels, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(4 * channels, channels)
        self.recurrent_norm = nn.LayerNorm(channels)

    def together(self, x: Tensor) -> Tensor:
        x = self.attention_norm(x + self.attention(x))
        return self.recurrent_norm(x + self.linear(torch.relu(self.recurrent(x)[0])))


def framed(waveform: Tensor, size: int) -> Tensor:
    """(B, T) to (B, frames, size), half overlapping from the first sample on; zeros complete the last."""
    hop, length = size // 2, waveform.shape[-1]
    halves = torch.sym_max(2, (length + hop - 1) // hop)  # in ONNX -7 // 2 would be -3
    halved = F.pad(waveform, (0, halves * hop - length)).unflatten(-1, (halves, hop))
    return torch.cat([halved[:, :-1], halved[:, 1:]], dim=-1)


def overlap_averaged(frames: Tensor, length: int) -> Tensor:
    """(B, frames, size) back to (B, T): where two frames hold a sample, their mean."""
    first, second = frames.chunk(2, dim=-1)
    total = F.pad(first, (0, 0, 0, 1)) + F.pad(second, (0, 0, 1, 0))
    halves = torch.cat([total[:, :1], total[:, 1:-1] / 2, total[:, -1:]], dim=1)
    return halves.flatten(1)[:, :length]


def _norm_and_slopes(channels: int, size: int) -> tuple[nn.Module, nn.Module]:
    return nn.LayerNorm(size), nn.PReLU(channels)
