"""MANNER's attention block: three views of the same features, each on a third of the channels."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.models.layers.chunking import chunked, overlap_added

VIEWS = ("channel", "global", "local")
SLOW_MOMENTUM = 0.01
"""Of the batch norms that are one layer with a convolution in the authors' code (BasicConv)."""


class MultiViewAttention(nn.Module):
    """Features (B, C, T) to the same shape.

    Every view has its own convolutions before and behind. The submodules `channel`, `global` and `local` are
    the attentions themselves, their outputs (B, C // 3, T) each: the place where multi-view attention
    transfer looks; `channel_after`, `global_after` and `local_after` are the convolutions behind them.
    """

    def __init__(self, channels: int, chunk: int) -> None:
        super().__init__()
        third = channels // 3
        attentions = (ChannelAttention(third), GlobalAttention(chunk), LocalAttention(third, chunk))
        for view, attention in zip(VIEWS, attentions, strict=True):
            self.add_module(f"{view}_before", _conv_norm(channels, third, 1, relu=True))
            self.add_module(view, attention)  # "global" is a keyword, so no attribute by assignment
            self.add_module(f"{view}_after", _conv_norm(third, third, 3, relu=True))
        self.join = _conv_norm(3 * third, channels, 1, relu=False)
        self.gate = Gate(channels)
        self.shortcut = _conv_norm(channels, channels, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        seen = []
        for view in VIEWS:
            third = x
            for name in (f"{view}_before", view, f"{view}_after"):
                third = self.get_submodule(name)(third)
            seen.append(third)
        return self.shortcut(x) + self.gate(self.join(torch.cat(seen, dim=1)))


class Gate(nn.Module):
    """tanh times sigmoid of the input, and a ReLU behind: (B, C, T) to (B, C, T), not negative."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.tanh = nn.Conv1d(channels, channels, 1)
        self.sigmoid = nn.Conv1d(channels, channels, 1)
        self.output = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.output(torch.tanh(self.tanh(x)) * torch.sigmoid(self.sigmoid(x))))


class ChannelAttention(nn.Module):
    """Each channel times a weight, from the channels' maxima and means over time."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = max(1, channels // 2)
        self.weigh = nn.Sequential(nn.Linear(channels, middle), nn.ReLU(), nn.Linear(middle, channels))

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.sigmoid(self.weigh(x.amax(dim=-1)) + self.weigh(x.mean(dim=-1)))
        return x * weights[..., None]


class GlobalAttention(nn.Module):
    """Self-attention across half-overlapping chunks: a chunk of one channel is one token."""

    def __init__(self, chunk: int) -> None:
        super().__init__()
        self.chunk = chunk
        self.query = nn.Linear(chunk, chunk, bias=False)
        self.key = nn.Linear(chunk, chunk, bias=False)
        self.value = nn.Linear(chunk, chunk, bias=False)
        self.output = nn.Linear(chunk, chunk, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        tokens = chunked(x, self.chunk)  # (B, C, chunks, size)
        attended = F.scaled_dot_product_attention(self.query(tokens), self.key(tokens), self.value(tokens))
        return overlap_added(self.output(attended), x.shape[-1])


class LocalAttention(nn.Module):
    """Each moment of half-overlapping chunks times a weight, from its neighbours in the chunk."""

    def __init__(self, channels: int, chunk: int) -> None:
        super().__init__()
        self.chunk = chunk
        self.neighbours = nn.Sequential(
            nn.Conv1d(channels, channels, 31, padding=15, groups=channels, bias=False),
            nn.BatchNorm1d(channels),
            nn.SiLU(),
        )
        self.weigh = _conv_norm(2, 1, 7, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, length = x.shape
        chunks = chunked(x, self.chunk).transpose(1, 2)  # (B, chunks, C, size)
        seen = self.neighbours(chunks.reshape(-1, channels, self.chunk))
        pooled = torch.stack([seen.amax(dim=1), seen.mean(dim=1)], dim=1)
        weights = torch.sigmoid(self.weigh(pooled)).reshape(batch, -1, 1, self.chunk)
        return overlap_added((chunks * weights).transpose(1, 2), length)


def _conv_norm(inputs: int, outputs: int, kernel: int, relu: bool) -> nn.Sequential:
    convolution = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    layers = [convolution, nn.BatchNorm1d(outputs, momentum=SLOW_MOMENTUM)]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)
