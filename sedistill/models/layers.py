"""Layers with the parameters and results of PyTorch's own, but a cheaper backward on CPU.

PyTorch's depthwise convolution with dilation > 1 and its PReLU with one slope take, on CPU, several times
longer backward than the same arithmetic as a few whole-tensor operations. Elsewhere (accelerators, autocast,
`torch.compile`, export, counting on the meta device) the stock kernels are used.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def runs_own_kernels(x: Tensor) -> bool:
    """Whether `x` is an ordinary CPU tensor in eager mode, where the forms below are the faster ones."""
    return (
        x.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and not torch.onnx.is_in_onnx_export()
        and not torch.jit.is_tracing()
        and not torch.is_autocast_enabled("cpu")
    )


class PReLU(nn.PReLU):
    """PReLU with one slope for all channels."""

    def __init__(self) -> None:
        super().__init__(num_parameters=1)

    def forward(self, x: Tensor) -> Tensor:
        if runs_own_kernels(x):
            return _ScalarPReLU.apply(x, self.weight)
        return super().forward(x)


class _ScalarPReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return torch.prelu(x, slope)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, slope = ctx.saved_tensors
        grad_x = grad_slope = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.ops.aten.leaky_relu_backward(grad, x, slope.item(), False)
        if ctx.needs_input_grad[1]:
            grad_slope = torch.linalg.vecdot(x.clamp(max=0), grad).sum().reshape(1)
        return grad_x, grad_slope


class DepthwiseConv1d(nn.Conv1d):
    """Each channel convolved with its own odd kernel; output as long as the input, centred (not causal)."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__(
            channels, channels, kernel, dilation=dilation, padding=dilation * (kernel // 2), groups=channels
        )

    def forward(self, x: Tensor) -> Tensor:
        if runs_own_kernels(x) and self.bias is not None:
            return _ShiftAndAdd.apply(x, self.weight, self.bias, self.dilation[0])
        return super().forward(x)


class _ShiftAndAdd(torch.autograd.Function):
    """y[c, t] = bias[c] + sum_k weight[c, k] x[c, t + shift_k] with shift_k = (k - K // 2) dilation."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.dilation = dilation
        taps = weight.transpose(0, 2)  # (K, 1, C)
        y = bias[:, None].expand_as(x).contiguous()
        for k, shift in enumerate(_shifts(weight, dilation)):
            to, source = _overlap(shift, x.shape[-1])
            y[..., to].addcmul_(x[..., source], taps[k].T)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        grad_x = torch.zeros_like(grad) if ctx.needs_input_grad[0] else None
        grad_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        for k, shift in enumerate(_shifts(weight, ctx.dilation)):
            to, source = _overlap(shift, x.shape[-1])
            if grad_x is not None:
                grad_x[..., source].addcmul_(grad[..., to], weight[:, :, k])
            if grad_weight is not None:
                grad_weight[:, 0, k] = torch.linalg.vecdot(x[..., source], grad[..., to]).sum(0)
        grad_bias = grad.sum((0, 2)) if ctx.needs_input_grad[2] else None
        return grad_x, grad_weight, grad_bias, None


def _shifts(weight: Tensor, dilation: int) -> list[int]:
    kernel = weight.shape[-1]
    return [(k - kernel // 2) * dilation for k in range(kernel)]


def _overlap(shift: int, length: int) -> tuple[slice, slice]:
    """Where y[t] and x[t + shift] both exist, as slices of y and of x; empty when the shift is too long."""
    span = max(0, length - abs(shift))
    return slice(max(0, -shift), max(0, -shift) + span), slice(max(0, shift), max(0, shift) + span)
