"""Batch norm by the clips of all processes that train one network together, not by those of each alone.

torch.nn.SyncBatchNorm is for GPUs only; this is for any device, and gives the gradients of one process that
has the whole batch.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sedistill.common import ranks


class SyncedBatchNorm(_BatchNorm):
    """In training, with several processes, by the statistics of all of them; else torch's own."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or ranks.count() == 1:
            return super().forward(x)
        self._check_input_dim(x)
        axes = [0, *range(2, x.ndim)]
        values = x.float()
        rows = float(values.numel() // values.shape[1])
        own = torch.cat([values.mean(axes), values.var(axes, correction=0), values.new_tensor([rows])])
        means, variances, counts = _Gathered.apply(own[None]).split([x.shape[1], x.shape[1], 1], dim=1)
        shares = counts / counts.sum()
        mean = (shares * means).sum(dim=0)
        variance = (shares * (variances + (means - mean).square())).sum(dim=0)
        self._remember(mean.detach(), variance.detach(), float(counts.sum()))
        shape = [1, -1, *[1] * (x.ndim - 2)]
        normed = (values - mean.view(shape)) * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            normed = normed * self.weight.view(shape) + self.bias.view(shape)
        return normed.to(x.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, rows: float) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * rows / max(1.0, rows - 1), share)


class _Synced1d(SyncedBatchNorm, nn.BatchNorm1d):
    pass


class _Synced2d(SyncedBatchNorm, nn.BatchNorm2d):
    pass


def synchronize_batch_norms(network: nn.Module) -> None:
    """Let every batch norm of a network be a SyncedBatchNorm, with the parameters and buffers that it has."""
    synced: dict[type[nn.Module], type[nn.Module]] = {
        nn.BatchNorm1d: _Synced1d,
        nn.BatchNorm2d: _Synced2d,
    }
    for module in network.modules():
        module.__class__ = synced.get(type(module), type(module))


class _Gathered(torch.autograd.Function):
    """A row of each process, below each other; each process has a loss of its own, and they add up."""

    @staticmethod
    def forward(ctx: Any, row: Tensor) -> Tensor:
        ctx.rank = ranks.rank()
        return ranks.joined_rows(row)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return ranks.total(gradient)[ctx.rank : ctx.rank + 1]
