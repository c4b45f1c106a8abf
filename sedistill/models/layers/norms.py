"""Norms that several networks use."""

import torch
from torch import Tensor, nn

from sedistill.models.layers.memory import Memory


def global_norm(channels: int, eps: float) -> nn.GroupNorm:
    """Global layer norm over channels and frames together, fused: half the time of the formula."""
    return nn.GroupNorm(1, channels, eps=eps)


class CumulativeNorm(nn.Module):
    """Each frame of (B, C, F) by mean and deviation over all channels of it and the frames before.

    Source: "Conv-TasNet" (2019), cumulative layer norm. Its sums run on for as long as a stream does, so they
    are in double precision; a state (B, 3, 2) holds each as two numbers of the input's type.
    """

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        ones = torch.full_like(values[:, 0], x.shape[1])
        sums = torch.stack([ones, values.sum(1), values.square().sum(1)], dim=1)  # (B, 3, F)
        sums, before = sums.double().cumsum(2), memory.take()
        if before is not None:
            sums = sums + before.double().sum(2, keepdim=True)
        large = sums[..., -1].to(values.dtype)
        memory.leave(torch.stack([large, (sums[..., -1] - large).to(values.dtype)], dim=2))
        count, total, squares = sums.split(1, dim=1)
        mean = total / count
        scale = (squares / count - mean.square()).clamp(min=0).add(self.eps).rsqrt()
        normed = (values - mean.to(values.dtype)) * scale.to(values.dtype)
        return (normed * self.weight[:, None] + self.bias[:, None]).to(x.dtype)
