"""E3Net, an approximation: a mask over learned frames from linear layers and LSTMs. Causal.

Source: M. Thakker et al., "Fast Real-time Personalized Speech Enhancement: End-to-End Enhancement Network
(E3Net) and Knowledge Distillation" (2022), without the speaker embedding. Its text was not at hand: the order
of the layers is the one that independent public descriptions agree on, and the widths are one choice of many
that fit the 4.5 M parameters of KDRL's (2023) own reproduction. So a result of it is of "E3Net-like".
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.models.base import EvenSize, SampleRate, Size, SpeechEnhancer
from sedistill.models.layers.fast_cpu import PReLU
from sedistill.models.layers.memory import Memory, carried_over, recurred, with_past


class E3Net(SpeechEnhancer):
    """E3Net for plain enhancement (approximation, see above).

    Arguments
        filters: channels of the learned encoder.
        window_length: samples of a frame, even; frames advance by half of it, the first begins so much before
            the clip.
        projection: channels between encoder and blocks.
        inner: channels between the two linear layers of a block.
        hidden: channels of a block's LSTM and of what it passes on.
        blocks: number of LSTM blocks.
        sample_rate: Hz.

    Nothing looks ahead, so the latency is the window.

    Raises UserError on impossible settings.
    """

    causal = True
    se_loss = "e3net"

    def __init__(
        self,
        filters: Size = 2048,
        window_length: EvenSize = 320,
        projection: Size = 256,
        inner: Size = 1024,
        hidden: Size = 256,
        blocks: Annotated[int, Field(ge=1, le=16)] = 2,
        sample_rate: SampleRate = 16_000,
    ) -> None:
        super().__init__()
        self.hop = window_length // 2
        self.latency_samples, self.step_samples = window_length, self.hop
        self.encoder = nn.Conv1d(1, filters, window_length, self.hop)
        self.project = nn.Sequential(
            PReLU(),
            nn.LayerNorm(filters),
            nn.Linear(filters, projection),
            PReLU(),
            nn.LayerNorm(projection),
        )
        widths = [projection] + [hidden] * (blocks - 1)
        self.blocks = nn.ModuleList(Block(width, inner, hidden) for width in widths)
        self.mask = nn.Linear(hidden, filters)
        self.decoder = nn.ConvTranspose1d(filters, 1, window_length, self.hop)

    def piece(self, noisy: Tensor, memory: Memory) -> Tensor:
        joined = with_past(noisy, self.hop, 1, memory)
        frames = self.encoder(joined[:, None])  # (B, N, K)
        features = self.project(frames.transpose(1, 2))
        for block in self.blocks:
            features = block(features, memory)
        mask = torch.sigmoid(self.mask(features)).transpose(1, 2)
        whole = F.conv_transpose1d(mask * frames, self.decoder.weight, stride=self.hop)  # (B, 1, K hop + hop)
        assert self.decoder.bias is not None
        return carried_over(whole, noisy.shape[1], memory)[:, 0] + self.decoder.bias

    def output_layer(self) -> nn.Module:
        return self.decoder


class Block(nn.Module):
    """Two linear layers, then an LSTM around which they pass: frames (B, K, inputs) to (B, K, hidden)."""

    def __init__(self, inputs: int, inner: int, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Sequential(
            nn.Linear(inputs, inner), PReLU(), nn.Linear(inner, hidden), PReLU(), nn.LayerNorm(hidden)
        )
        self.recurrent = nn.LSTM(hidden, hidden, batch_first=True)
        self.recurrent_norm = nn.LayerNorm(hidden)
        self.output_norm = nn.LayerNorm(hidden)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        x = self.linear(x)
        return self.output_norm(x + self.recurrent_norm(recurred(self.recurrent, x, memory)))
