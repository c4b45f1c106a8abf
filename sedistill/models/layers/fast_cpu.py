"""Layers with the parameters and results of PyTorch's own, but quicker in training on CPU.

Elsewhere (accelerators, autocast, `torch.compile`, export, the meta device) the stock kernels are used.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

CHUNK_VALUES = 2**20  # 4 MB of float32: a few tensors of a chunk fit a core's share of the caches


def runs_own_kernels(x: Tensor) -> bool:
    """Whether `x` is an ordinary CPU tensor in eager mode, where the forms below are the faster ones."""
    return (
        x.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and not torch.onnx.is_in_onnx_export()
        and not torch.jit.is_tracing()
        and not torch.is_autocast_enabled("cpu")
    )


def clip_chunks(batch: int, values_per_clip: int) -> list[slice]:
    """Slices of the batch, each of as many whole clips as stay in the caches; at least one clip each."""
    clips = max(1, CHUNK_VALUES // max(1, values_per_clip))
    return [slice(start, min(start + clips, batch)) for start in range(0, batch, clips)]


class Conv1d(nn.Conv1d):
    """nn.Conv1d that goes through a batch on CPU in chunks of clips that fit the caches."""

    def forward(self, x: Tensor) -> Tensor:
        return _in_chunks(super().forward, x)


class ConvTranspose1d(nn.ConvTranspose1d):
    """nn.ConvTranspose1d that goes through a batch on CPU in chunks of clips that fit the caches."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return _in_chunks(super().forward, x)


def _in_chunks(convolution: Any, x: Tensor) -> Tensor:
    if not runs_own_kernels(x):
        return convolution(x)
    chunks = clip_chunks(len(x), x.shape[1] * x.shape[2])
    return convolution(x) if len(chunks) == 1 else torch.cat([convolution(x[clips]) for clips in chunks])


class PReLU(nn.PReLU):
    """PReLU with one slope for all channels."""

    def __init__(self) -> None:
        super().__init__(num_parameters=1)

    def forward(self, x: Tensor) -> Tensor:
        if runs_own_kernels(x):
            return _PReLU.apply(x, self.weight)
        return super().forward(x)


class _PReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return torch.prelu(x, slope)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, slope = ctx.saved_tensors
        buffer = torch.empty_like(x)
        return prelu_backward(grad, x, slope, out=buffer, scratch=buffer)


def prelu_backward(
    grad: Tensor, x: Tensor, slope: Tensor, out: Tensor, scratch: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients for x (into `out`, which may be `grad`) and for the one slope, an eighth of PyTorch's time.

    `scratch`, as large as x, is overwritten; it may be `out` where that is not `grad`.
    """
    torch.clamp(x, max=0, out=scratch)
    grad_slope = torch.dot(scratch.reshape(-1), grad.reshape(-1)).reshape(1)
    torch.ops.aten.leaky_relu_backward.grad_input(grad, x, slope.item(), False, grad_input=out)
    return out, grad_slope
