"""DPTNet (Chen, Mao and Liu, 2020) from PyTorch's own modules; global layer norm as GroupNorm."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .chunks import chunked, overlap_added


class PlainDPTNet(nn.Module):
    def __init__(
        self, filters: int, filter_length: int, hidden: int, heads: int, chunk: int, repeats: int
    ) -> None:
        super().__init__()
        self.hop, self.chunk = filter_length // 2, chunk
        self.encoder = nn.ModuleDict(
            {"analysis": nn.Conv1d(1, filters, filter_length, stride=self.hop, bias=False)}
        )
        self.norm = nn.GroupNorm(1, filters, eps=1e-8)
        self.within = nn.ModuleList([TransformerLayer(filters, hidden, heads) for _ in range(repeats)])
        self.across = nn.ModuleList([TransformerLayer(filters, hidden, heads) for _ in range(repeats)])
        self.after = nn.Sequential(nn.PReLU(), nn.Linear(filters, filters))
        self.gate_tanh = nn.Conv1d(filters, filters, 1)
        self.gate_sigmoid = nn.Conv1d(filters, filters, 1)
        self.decoder = nn.ModuleDict(
            {"synthesis": nn.ConvTranspose1d(filters, 1, filter_length, stride=self.hop, bias=False)}
        )

    def forward(self, noisy: Tensor) -> Tensor:
        length = noisy.shape[-1]
        padded = F.pad(noisy, (0, max(2 * self.hop - length, -length % self.hop)))
        frames = torch.relu(self.encoder["analysis"](padded.unsqueeze(1)))
        x = chunked(self.norm(frames), self.chunk)
        batch, channels, size, count = x.shape
        for within, across in zip(self.within, self.across, strict=True):
            x = x.permute(0, 3, 2, 1).reshape(batch * count, size, channels)
            x = within(x).reshape(batch, count, size, channels)
            x = x.permute(0, 2, 1, 3).reshape(batch * size, count, channels)
            x = across(x).reshape(batch, size, count, channels).permute(0, 3, 1, 2)
        x = self.after(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = overlap_added(x, frames.shape[-1])
        mask = torch.relu(torch.tanh(self.gate_tanh(x)) * torch.sigmoid(self.gate_sigmoid(x)))
        return self.decoder["synthesis"](mask * frames)[:, 0, :length]


class TransformerLayer(nn.Module):
    """Sequences (S, L, N) to the same shape."""

    def __init__(self, channels: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.attention_norm = nn.GroupNorm(1, channels, eps=1e-8)
        self.recurrent = nn.LSTM(channels, hidden, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(2 * hidden, channels)
        self.recurrent_norm = nn.GroupNorm(1, channels, eps=1e-8)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x, x, x)[0]
        x = self.attention_norm(x.transpose(1, 2)).transpose(1, 2)
        x = x + self.linear(torch.relu(self.recurrent(x)[0]))
        return self.recurrent_norm(x.transpose(1, 2)).transpose(1, 2)
