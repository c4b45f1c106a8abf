"""Norms over the whole clip, moved into the convolutions behind them, for graphs that are only run.

(x - mean) / deviation * weight + bias is a factor and an offset for each channel, and the convolution behind
takes both into its own weights and bias. Two sums over the clip are left of a norm, where a runtime would go
through the clip six times.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAST_WEIGHT = 1e-20
"""Stands for a norm's weight of 0, by which an offset could not be divided."""


def with_norms_inside(network: nn.Module) -> None:
    """In every Sequential put a norm over the clip into the 1x1 or depthwise convolution behind it, in place.

    What comes about takes one clip, not a batch: its weights change with the clip.
    """
    for layers in list(network.modules()):
        if isinstance(layers, nn.Sequential):
            for (place, norm), (following, convolution) in pairwise(list(layers.named_children())):
                form = _form(norm, convolution)
                if form:
                    setattr(layers, place, nn.Identity())
                    setattr(layers, following, form(norm, convolution))


def _form(norm: nn.Module, convolution: nn.Module) -> "type[_Normed] | None":
    if not isinstance(norm, nn.GroupNorm) or norm.num_groups > 1 or not isinstance(convolution, nn.Conv1d):
        return None
    if convolution.groups == convolution.in_channels == convolution.out_channels:
        return NormedDepthwise
    return NormedMixing if convolution.groups == 1 and convolution.kernel_size == (1,) else None


class _Normed(nn.Module):
    """A norm of one group and a convolution with bias, (1, C, F) to (1, C', F)."""

    def __init__(self, norm: Any, convolution: Any) -> None:
        super().__init__()
        self.norm, self.convolution = norm, convolution

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The clip's mean, and 1 over its deviation."""
        mean, power = x.mean(), torch.linalg.vector_norm(x).square() / x.numel()
        return mean, ((power - mean.square()).clamp(min=0) + self.norm.eps).rsqrt()


class NormedMixing(_Normed):
    """With a convolution of one tap, which mixes channels: its bias takes the offset."""

    def __init__(self, norm: Any, convolution: Any) -> None:
        super().__init__(norm, convolution)
        weight = convolution.weight[..., 0]
        self.weight = weight * norm.weight
        self.bias = convolution.bias + weight @ norm.bias
        self.of_ones = self.weight.sum(1)

    def forward(self, x: Tensor) -> Tensor:
        mean, scale = self.moments(x)
        return F.conv1d(x, (scale * self.weight)[..., None], self.bias - mean * scale * self.of_ones)


class NormedDepthwise(_Normed):
    """With a depthwise convolution, at whose edges zeros stand: the offset is added before it."""

    def __init__(self, norm: Any, convolution: Any) -> None:
        super().__init__(norm, convolution)
        weight = norm.weight.abs().clamp(min=LEAST_WEIGHT).copysign(norm.weight)
        self.offset = norm.bias / weight
        self.taps = convolution.weight * weight[:, None, None]

    def forward(self, x: Tensor) -> Tensor:
        mean, scale = self.moments(x)
        shifted = x + (self.offset / scale - mean)[:, None]
        layer = self.convolution
        return F.conv1d(
            shifted, scale * self.taps, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups
        )
