"""DPTNet: a mask over learned frames, from transformers with LSTMs along two paths. Not causal.

Source: J. Chen, Q. Mao and D. Liu, "Dual-Path Transformer Network: Direct Context-Aware Modeling for
End-to-End Monaural Speech Separation" (2020), in the shape of Asteroid's network (no convolution before the
chunks or before the mask), which DFKD's (2025) three parameter counts fit.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from sedistill.common.errors import UserError
from sedistill.models.base import EvenSize, SampleRate, Size, SpeechEnhancer
from sedistill.models.layers.chunking import chunked, overlap_added
from sedistill.models.layers.learned_frames import Decoder, Encoder
from sedistill.models.layers.norms import global_norm
from sedistill.models.layers.sequences import SequenceLayer, along_third


class DPTNet(SpeechEnhancer):
    """DPTNet for one source.

    Arguments (the papers' symbols in brackets)
        filters: channels of encoder and transformers (N), a multiple of `heads`.
        filter_length: samples of an encoder filter, even; frames advance by half of it (L).
        hidden: units of a layer's LSTM in each direction.
        heads: of the attention.
        chunk: frames of a chunk, even; chunks advance by half of it.
        repeats: pairs of a layer within the chunks and a layer across them.
        sample_rate: Hz.

    Raises UserError on impossible settings.
    """

    causal = False  # norm and attention see the whole clip
    latency_samples = None
    se_loss = "si_snr"

    def __init__(
        self,
        filters: Size = 64,
        filter_length: EvenSize = 16,
        hidden: Size = 128,
        heads: Size = 4,
        chunk: Annotated[int, Field(ge=2, le=8192, multiple_of=2)] = 100,
        repeats: Annotated[int, Field(ge=1, le=32)] = 6,
        sample_rate: SampleRate = 16_000,
    ) -> None:
        super().__init__()
        if filters % heads:
            raise UserError(f"filters = {filters}: it must be a multiple of heads = {heads}.")
        self.chunk = chunk
        self.encoder = Encoder(filters, filter_length, deep_layers=0, relu=True)
        self.norm = global_norm(filters, eps=1e-8)
        self.within = nn.ModuleList(TransformerLayer(filters, hidden, heads) for _ in range(repeats))
        self.across = nn.ModuleList(TransformerLayer(filters, hidden, heads) for _ in range(repeats))
        self.after = nn.Sequential(nn.PReLU(), nn.Linear(filters, filters))
        self.gate_tanh = nn.Conv1d(filters, filters, 1)
        self.gate_sigmoid = nn.Conv1d(filters, filters, 1)
        self.decoder = Decoder(filters, filter_length, deep_layers=0)

    def forward(self, noisy: Tensor) -> Tensor:
        """Enhance `noisy` (B, T), T >= 1; returns (B, T)."""
        frames = self.encoder(noisy)
        return self.decoder(self._mask(frames) * frames)[:, : noisy.shape[-1]]

    def output_layer(self) -> nn.Module:
        return self.decoder.synthesis

    def _mask(self, frames: Tensor) -> Tensor:
        chunks = chunked(self.norm(frames), self.chunk).permute(0, 2, 3, 1)  # (B, chunks, size, N)
        for within, across in zip(self.within, self.across, strict=True):
            chunks = along_third(within, chunks)
            chunks = along_third(across, chunks.transpose(1, 2)).transpose(1, 2)
        features = overlap_added(self.after(chunks).permute(0, 3, 1, 2), frames.shape[-1])
        gated = torch.tanh(self.gate_tanh(features)) * torch.sigmoid(self.gate_sigmoid(features))
        return torch.relu(gated)


class TransformerLayer(SequenceLayer):
    """Sequences (S, L, N) to the same shape: self-attention, then a bidirectional LSTM in place of the usual
    feed-forward part; each added to its input and normalized over the whole sequence. The LSTM brings the
    order of frames, so there is no positional encoding.
    """

    def __init__(self, channels: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.attention_norm = global_norm(channels, eps=1e-8)
        self.recurrent = nn.LSTM(channels, hidden, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(2 * hidden, channels)
        self.recurrent_norm = global_norm(channels, eps=1e-8)

    def together(self, x: Tensor) -> Tensor:
        attended = self.attention(x, x, x, need_weights=False)[0]
        x = _normalized(self.attention_norm, x + attended)
        fed_forward = self.linear(torch.relu(self.recurrent(x)[0]))
        return _normalized(self.recurrent_norm, x + fed_forward)


def _normalized(norm: nn.Module, x: Tensor) -> Tensor:
    """A norm for (S, N, L) on (S, L, N)."""
    return norm(x.transpose(1, 2)).transpose(1, 2)
