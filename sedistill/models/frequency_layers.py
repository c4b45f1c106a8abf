"""Layers over the frequencies of single frames, channels last: (..., F, C), as matrix products of rows.

A convolution over some 64 frequencies with some 24 channels is too small for PyTorch's convolutions on CPU:
as one product over the rows of all frames it takes a third of the time, and batch norm over rows half of it.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from sedistill.models.layers import runs_own_kernels

NORM_MOMENTUM = 0.02
"""Of the running statistics: with batches of a few clips PyTorch's 0.1 would make them those of the last ten
batches."""


def batch_norm(channels: int) -> nn.BatchNorm1d:
    """Of rows (N, channels)."""
    return nn.BatchNorm1d(channels, momentum=NORM_MOMENTUM)


class NormedRows(nn.Module):
    """Linear map of the last axis without bias, batch norm over all rows and, where wanted, SiLU."""

    def __init__(self, inputs: int, outputs: int, activation: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = batch_norm(outputs)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        rows = self.norm(self.linear(x).flatten(0, -2))
        return (F.silu(rows) if self.activation else rows).unflatten(0, x.shape[:-1])


class Entrance(nn.Module):
    """Convolution over frequency with kernel 8, stride 4, padding 2; batch norm; SiLU.

    (..., 4F, inputs) to (..., F, outputs).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.rows = NormedRows(8 * inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.rows(F.pad(x, (0, 0, 2, 2)).unfold(-2, 8, 4).flatten(-2))


class Convolution(nn.Module):
    """Convolution over frequency with kernel 3, padding 1; batch norm; SiLU. (..., F, C) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rows = NormedRows(3 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.rows(_Neighbours.apply(x) if runs_own_kernels(x) else neighbours(x))


class Exit(nn.Module):
    """Transposed convolution over frequency with kernel 8, stride 4, padding 2 and a bias.

    (..., F, inputs) to (..., 4F, outputs). The weight is one trained scalar times a direction of norm 1.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = (8 * outputs) ** -0.5  # as torch's own transposed convolution begins
        direction = torch.empty(8, outputs, inputs).uniform_(-bound, bound)
        self.direction = nn.Parameter(direction)
        self.scale = nn.Parameter(direction.norm().reshape(1))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))

    @property
    def weight(self) -> Tensor:
        """(8, outputs, inputs)."""
        return self.scale * self.direction / self.direction.norm()

    def forward(self, x: Tensor) -> Tensor:
        spread = F.linear(x, self.weight.flatten(0, 1)).unflatten(-1, (2, 4, -1))  # (..., F, 2, 4, outputs)
        first, second = spread.unbind(-3)
        # A row reaches from two outputs before its own four to two behind them.
        early = F.pad(first.flatten(-3, -2), (0, 0, 0, 4))
        late = F.pad(second.flatten(-3, -2), (0, 0, 4, 0))
        return (early + late)[..., 2:-2, :] + self.bias


def neighbours(x: Tensor) -> Tensor:
    """Each frequency with its two neighbours, silence beyond the ends: (..., F, C) to (..., F, 3C)."""
    padded = F.pad(x, (0, 0, 1, 1))
    count = x.shape[-2]
    return torch.cat([padded[..., i : i + count, :] for i in range(3)], dim=-1)


class _Neighbours(torch.autograd.Function):
    """`neighbours` whose backward makes one tensor instead of six."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return neighbours(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        below, own, above = grad.chunk(3, dim=-1)
        total = own.clone(memory_format=torch.contiguous_format)
        total[..., :-1, :] += below[..., 1:, :]
        total[..., 1:, :] += above[..., :-1, :]
        return total
