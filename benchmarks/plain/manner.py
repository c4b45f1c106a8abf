"""MANNER (Park et al., 2022) from PyTorch's own modules."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .chunks import chunked, overlap_added


class PlainMANNER(nn.Module):
    def __init__(self, channels: int, depth: int, attention: str, chunk: int) -> None:
        super().__init__()
        self.depth = depth
        self.input = nn.Sequential(nn.Conv1d(1, channels, 3, padding=1), nn.BatchNorm1d(channels), nn.ReLU())
        self.encoder, self.decoder = nn.ModuleDict(), nn.ModuleDict()
        for layer in range(1, depth + 1):
            width = channels * 2 ** (layer - 1)
            size = chunk if attention == "all" or layer == depth else None
            self.encoder[str(layer)] = EncoderLayer(width, size)
            self.decoder[str(layer)] = DecoderLayer(width, size)
        self.bridge = nn.Linear(channels * 2**depth, channels * 2**depth, bias=False)
        self.bridge_relu = nn.ReLU()
        self.mask = Gate(channels)
        self.output = nn.Conv1d(channels, 1, 3, padding=1)

    def forward(self, noisy: Tensor) -> Tensor:
        length = noisy.shape[-1]
        deviation = noisy.std(dim=-1, keepdim=True, unbiased=False)
        x = F.pad(noisy / (1e-3 + deviation), (0, valid_length(length, self.depth) - length))
        first = self.input(x.unsqueeze(1))
        x, skips = first, []
        for layer in range(1, self.depth + 1):
            x = self.encoder[str(layer)](x)
            skips.append(x)
        x = self.bridge_relu(self.bridge(x.permute(0, 2, 1))).permute(0, 2, 1)
        for layer in range(self.depth, 0, -1):
            x = self.decoder[str(layer)](x + skips.pop())
        x = self.output(first * self.mask(x))
        return deviation * x[:, 0, :length]


def valid_length(length: int, depth: int) -> int:
    for _ in range(depth):
        length = max(1, math.ceil((length - 8) / 4) + 1)
    for _ in range(depth):
        length = (length - 1) * 4 + 8
    return length


class EncoderLayer(nn.Module):
    def __init__(self, channels: int, chunk: int | None) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv1d(channels, channels, 8, 4), nn.BatchNorm1d(channels), nn.ReLU())
        self.block = ResidualConformer(channels, 2 * channels)
        self.attention = MultiViewAttention(2 * channels, chunk) if chunk else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(self.block(self.down(x)))


class DecoderLayer(nn.Module):
    def __init__(self, channels: int, chunk: int | None) -> None:
        super().__init__()
        self.block = ResidualConformer(2 * channels, channels)
        self.up = nn.Sequential(
            nn.ConvTranspose1d(channels, channels, 8, 4), nn.BatchNorm1d(channels), nn.ReLU()
        )
        self.attention = MultiViewAttention(channels, chunk) if chunk else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(self.up(self.block(x)))


class ResidualConformer(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(inputs, 2 * inputs, 1),
            nn.BatchNorm1d(2 * inputs),
            nn.GLU(dim=1),
            nn.Conv1d(inputs, inputs, 31, padding=15, groups=inputs, bias=False),
            nn.BatchNorm1d(inputs),
            nn.SiLU(),
            nn.Conv1d(inputs, outputs, 1),
            nn.BatchNorm1d(outputs),
            nn.SiLU(),
            nn.Conv1d(outputs, outputs, 1, bias=False),
            nn.BatchNorm1d(outputs),
        )
        self.shortcut = nn.Sequential(nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class MultiViewAttention(nn.Module):
    def __init__(self, channels: int, chunk: int) -> None:
        super().__init__()
        third = channels // 3
        views = {
            "channel": ChannelAttention(third),
            "global": GlobalAttention(chunk),
            "local": LocalAttention(third, chunk),
        }
        self.views = list(views)
        for name, view in views.items():
            self.add_module(f"{name}_before", nn.Sequential(*conv_norm(channels, third, 1), nn.ReLU()))
            self.add_module(name, view)
            self.add_module(f"{name}_after", nn.Sequential(*conv_norm(third, third, 3), nn.ReLU()))
        self.join = nn.Sequential(*conv_norm(3 * third, channels, 1))
        self.gate = Gate(channels)
        self.shortcut = nn.Sequential(*conv_norm(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for name in self.views:
            before, view, after = (getattr(self, part) for part in (f"{name}_before", name, f"{name}_after"))
            outputs.append(after(view(before(x))))
        return self.shortcut(x) + self.gate(self.join(torch.cat(outputs, dim=1)))


def conv_norm(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm1d(outputs)]


class Gate(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.tanh = nn.Conv1d(channels, channels, 1)
        self.sigmoid = nn.Conv1d(channels, channels, 1)
        self.output = nn.Conv1d(channels, channels, 1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.output(torch.tanh(self.tanh(x)) * torch.sigmoid(self.sigmoid(x))))


class ChannelAttention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = max(1, channels // 2)
        self.weigh = nn.Sequential(nn.Linear(channels, middle), nn.ReLU(), nn.Linear(middle, channels))

    def forward(self, x: Tensor) -> Tensor:
        highest = F.adaptive_max_pool1d(x, 1).squeeze(-1)
        mean = F.adaptive_avg_pool1d(x, 1).squeeze(-1)
        return x * torch.sigmoid(self.weigh(highest) + self.weigh(mean)).unsqueeze(-1)


class GlobalAttention(nn.Module):
    def __init__(self, chunk: int) -> None:
        super().__init__()
        self.chunk = chunk
        self.query = nn.Linear(chunk, chunk, bias=False)
        self.key = nn.Linear(chunk, chunk, bias=False)
        self.value = nn.Linear(chunk, chunk, bias=False)
        self.output = nn.Linear(chunk, chunk, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        tokens = chunked(x, self.chunk).transpose(2, 3)  # (B, C, chunks, size)
        query, key, value = self.query(tokens), self.key(tokens), self.value(tokens)
        scores = torch.matmul(query, key.transpose(2, 3)) / math.sqrt(self.chunk)
        attended = self.output(torch.matmul(torch.softmax(scores, dim=-1), value))
        return overlap_added(attended.transpose(2, 3), x.shape[-1])


class LocalAttention(nn.Module):
    def __init__(self, channels: int, chunk: int) -> None:
        super().__init__()
        self.chunk = chunk
        self.neighbours = nn.Sequential(
            nn.Conv1d(channels, channels, 31, padding=15, groups=channels, bias=False),
            nn.BatchNorm1d(channels),
            nn.SiLU(),
        )
        self.weigh = nn.Sequential(*conv_norm(2, 1, 7))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, length = x.shape
        chunks = chunked(x, self.chunk).permute(0, 3, 1, 2)  # (B, chunks, C, size)
        flat = chunks.reshape(-1, channels, self.chunk)
        seen = self.neighbours(flat)
        pooled = torch.cat([seen.max(dim=1, keepdim=True)[0], seen.mean(dim=1, keepdim=True)], dim=1)
        weighted = flat * torch.sigmoid(self.weigh(pooled))
        weighted = weighted.reshape(batch, -1, channels, self.chunk).permute(0, 2, 3, 1)
        return overlap_added(weighted, length)
