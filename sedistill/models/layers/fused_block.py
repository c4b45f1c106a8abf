"""The block of Conv-TasNet on CPU: the same results as its stock layers, in much less time and memory.

What costs time there is not the arithmetic of the matrix products but everything between: PyTorch's dilated
depthwise convolution and one-slope PReLU are slow backward, and tensors as large as a batch leave the caches.
So the whole block is one function with its own backward. It goes through the batch in chunks that fit the
caches, convolves depthwise by shifting and adding, and keeps only the inputs of the two PReLUs for backward,
from which it computes the rest again (cheaper than reading it from memory).
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sedistill.models.layers.fast_cpu import clip_chunks, prelu_backward


def fast_block(x: Tensor, body: nn.Sequential) -> Tensor:
    """What `body(x)` gives, (B, C, F) to (B, C', F).

    `body` holds: 1x1 Conv1d, PReLU with one slope, GroupNorm with one group, depthwise Conv1d that keeps the
    length, PReLU, GroupNorm, 1x1 Conv1d; all with biases. Differentiable once.
    """
    depthwise, norm = body[3], body[2]
    assert isinstance(depthwise, nn.Conv1d)
    assert isinstance(norm, nn.GroupNorm)
    keeps = torch.is_grad_enabled()
    return _FastBlock.apply(x, depthwise.dilation[0], norm.eps, keeps, *body.parameters())


class _FastBlock(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dilation: int, eps: float, keeps: bool, *parameters: Tensor) -> Tensor:
        w_in, b_in, slope1, gamma1, beta1, taps, b_depth, slope2, gamma2, beta2, w_out, b_out = parameters
        batch, _, frames = x.shape
        hidden = w_in.shape[0]
        rows = batch if keeps else clip_chunks(batch, hidden * frames)[0].stop
        first, second = x.new_empty(rows, hidden, frames), x.new_empty(rows, hidden, frames)
        out = x.new_empty(batch, w_out.shape[0], frames)
        for clips in clip_chunks(batch, hidden * frames):
            kept = clips if keeps else slice(0, clips.stop - clips.start)
            _product(w_in, b_in, x[clips], out=first[kept])
            normed = _prelu_norm(first[kept], slope1, gamma1, beta1, eps)[1]
            _shift_and_add(normed, taps, b_depth, dilation, out=second[kept])
            normed = _prelu_norm(second[kept], slope2, gamma2, beta2, eps)[1]
            _product(w_out, b_out, normed, out=out[clips])
        if keeps:
            ctx.save_for_backward(x, first, second, *parameters)
            ctx.dilation, ctx.eps = dilation, eps
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, first, second, *parameters = ctx.saved_tensors
        w_in, _, slope1, gamma1, beta1, taps, _, slope2, gamma2, beta2, w_out, _ = parameters
        sums = [torch.zeros_like(p) for p in parameters]
        grad_x = torch.empty_like(x)
        for clips in clip_chunks(x.shape[0], first[0].numel()):
            active, normed, *stats = _prelu_norm(second[clips], slope2, gamma2, beta2, ctx.eps)
            g = _product_backward(grad[clips].contiguous(), normed, w_out, *sums[10:])
            g = _prelu_norm_backward(g, second[clips], active, stats, slope2, gamma2, *sums[7:10])
            active, normed, *stats = _prelu_norm(first[clips], slope1, gamma1, beta1, ctx.eps)
            g = _shift_and_add_backward(g, normed, taps, ctx.dilation, *sums[5:7])
            g = _prelu_norm_backward(g, first[clips], active, stats, slope1, gamma1, *sums[2:5])
            grad_x[clips] = _product_backward(g, x[clips], w_in, *sums[:2])
        return grad_x, None, None, None, *sums


def _product(weight: Tensor, bias: Tensor, x: Tensor, out: Tensor) -> None:
    """A 1x1 convolution: weight (O, I, 1), x (b, I, F)."""
    torch.baddbmm(bias[:, None], weight[:, :, 0].expand(len(x), -1, -1), x, out=out)


def _product_backward(
    grad: Tensor, x: Tensor, weight: Tensor, weight_sum: Tensor, bias_sum: Tensor
) -> Tensor:
    weight_sum[:, :, 0] += torch.bmm(grad, x.transpose(1, 2)).sum(0)
    bias_sum += grad.sum((0, 2))
    return torch.bmm(weight[:, :, 0].T.expand(len(x), -1, -1), grad)


def _prelu_norm(x: Tensor, slope: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> tuple[Tensor, ...]:
    """PReLU's output, global layer norm's output, and the mean and 1/deviation of each clip."""
    active = torch.prelu(x, slope)
    return active, *torch.ops.aten.native_group_norm(active, gamma, beta, *x.shape, 1, eps)


def _prelu_norm_backward(
    grad: Tensor, x: Tensor, active: Tensor, stats: list[Tensor], slope: Tensor, gamma: Tensor,
    slope_sum: Tensor, gamma_sum: Tensor, beta_sum: Tensor,
) -> Tensor:  # fmt: skip
    grad, grad_gamma, grad_beta = torch.ops.aten.native_group_norm_backward(
        grad, active, *stats, gamma, *x.shape, 1, [True, True, True]
    )
    gamma_sum += grad_gamma
    beta_sum += grad_beta
    grad, grad_slope = prelu_backward(grad, x, slope, out=grad, scratch=active)
    slope_sum += grad_slope
    return grad


def _shift_and_add(x: Tensor, taps: Tensor, bias: Tensor, dilation: int, out: Tensor) -> None:
    """out[c, t] = bias[c] + sum_k taps[c, 0, k] x[c, t + shift_k] with shift_k = (k - K // 2) dilation."""
    centre = taps.shape[-1] // 2
    torch.addcmul(bias[:, None], x, taps[:, :, centre], out=out)
    for k, to, source in _side_taps(taps, dilation, x.shape[-1]):
        out[..., to].addcmul_(x[..., source], taps[:, :, k])


def _shift_and_add_backward(
    grad: Tensor, x: Tensor, taps: Tensor, dilation: int, taps_sum: Tensor, bias_sum: Tensor
) -> Tensor:
    centre = taps.shape[-1] // 2
    grad_x = torch.mul(grad, x)  # a scratch at first: fresh memory costs more than the arithmetic on it
    taps_sum[:, 0, centre] += grad_x.sum((0, 2))
    for k, to, source in _side_taps(taps, dilation, x.shape[-1]):
        product = torch.mul(grad[..., to], x[..., source], out=grad_x[..., to])
        taps_sum[:, 0, k] += product.sum((0, 2))
    bias_sum += grad.sum((0, 2))
    torch.mul(grad, taps[:, :, centre], out=grad_x)
    for k, to, source in _side_taps(taps, dilation, x.shape[-1]):
        grad_x[..., source].addcmul_(grad[..., to], taps[:, :, k])
    return grad_x


def _side_taps(taps: Tensor, dilation: int, length: int) -> Iterator[tuple[int, slice, slice]]:
    """Taps beside the centre that reach into the clip: (k, where y[t] exists, where x[t + shift_k] does)."""
    kernel = taps.shape[-1]
    for k in range(kernel):
        shift = (k - kernel // 2) * dilation
        if 0 < abs(shift) < length:
            early, late = slice(0, length - abs(shift)), slice(abs(shift), length)
            yield (k, early, late) if shift > 0 else (k, late, early)
