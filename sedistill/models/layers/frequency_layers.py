"""Layers over the frequencies of single frames, channels last: (..., F, C), as matrix products of rows.

A convolution over some 64 frequencies with some 24 channels is too small for PyTorch's convolutions on CPU:
as one product over the rows of all frames it takes a third of the time, and batch norm over rows half of it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.models.folding import fold_into
from sedistill.models.layers.fast_cpu import runs_own_kernels
from sedistill.models.layers.fused_rows import mapped_normed_silu
from sedistill.models.layers.synced_norm import SyncedBatchNorm

NORM_MOMENTUM = 0.02
"""Of the running statistics: with batches of a few clips PyTorch's 0.1 would make them those of the last ten
batches."""


def batch_norm(channels: int) -> nn.BatchNorm1d:
    """Of rows (N, channels)."""
    return nn.BatchNorm1d(channels, momentum=NORM_MOMENTUM)


class NormedRows(nn.Module):
    """Linear map of the last axis without bias, and batch norm over all rows."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm: nn.BatchNorm1d | None = batch_norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        rows = self.linear(x)
        return rows if self.norm is None else self.norm(rows.flatten(0, -2)).unflatten(0, x.shape[:-1])

    def fold(self) -> None:
        assert self.norm is not None
        fold_into(self.linear, self.norm)
        self.norm = None


class ActiveRows(NormedRows):
    """The same of inputs (B, K, F, C_i) joined along the last axis, or of one with neighbours, and SiLU."""

    def __init__(self, inputs: int, outputs: int, with_neighbours: bool = False) -> None:
        super().__init__((3 if with_neighbours else 1) * inputs, outputs)
        self.with_neighbours = with_neighbours

    def forward(self, *inputs: Tensor) -> Tensor:
        """Returns (B, K, F, outputs)."""
        if self.training and torch.is_grad_enabled() and self._may_be_fused(inputs[0]):
            return self._fused(inputs)
        joined = neighbours(inputs[0]) if self.with_neighbours else torch.cat(inputs, dim=-1)
        return F.silu(super().forward(joined))

    def _may_be_fused(self, x: Tensor) -> bool:
        return runs_own_kernels(x) and not isinstance(self.norm, SyncedBatchNorm)

    def _fused(self, inputs: tuple[Tensor, ...]) -> Tensor:
        norm = self.norm
        assert norm is not None
        output, batch = mapped_normed_silu(
            tuple(x.flatten(0, 1) for x in inputs), self.linear.weight, norm.weight, norm.bias, norm.eps,
            self.with_neighbours,
        )  # fmt: skip
        rows = output.shape[0] * output.shape[1]
        unbiased = batch.variance * (rows / max(1, rows - 1))
        for kept, new in ((norm.running_mean, batch.mean), (norm.running_var, unbiased)):
            assert kept is not None
            kept.lerp_(new, NORM_MOMENTUM)
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked += 1
        return output.unflatten(0, inputs[0].shape[:2])


class Entrance(nn.Module):
    """Convolution over frequency with kernel 8, stride 4, padding 2; batch norm; SiLU.

    (B, K, 4F, inputs) to (B, K, F, outputs).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.rows = ActiveRows(8 * inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.rows(F.pad(x, (0, 0, 2, 2)).unfold(-2, 8, 4).flatten(-2))


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
        self.folded: Tensor | None = None

    @property
    def weight(self) -> Tensor:
        """(8, outputs, inputs)."""
        return self.scale * self.direction / self.direction.norm() if self.folded is None else self.folded

    def fold(self) -> None:
        self.folded = self.weight

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
