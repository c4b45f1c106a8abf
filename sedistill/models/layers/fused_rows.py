"""Linear map, batch norm and SiLU of rows as one function with its own backward, for training on CPU.

Written out, each of the three goes through memory by itself, forwards and backwards, and that takes longer
than the arithmetic. Here a few frames at a time go through all that can be done with them while they are in
the caches, and only the map's output is kept for backward.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK_VALUES = 2**16  # 256 kB of float32 for each tensor of a chunk


@dataclass(frozen=True)
class Statistics:
    """Of one batch, (C,) each; the variance is the biased one."""

    mean: Tensor
    variance: Tensor


def mapped_normed_silu(
    inputs: tuple[Tensor, ...], weight: Tensor, gain: Tensor, bias: Tensor, eps: float, with_neighbours: bool
) -> tuple[Tensor, Statistics]:
    """SiLU of the batch norm, by the batch's own statistics, of a linear map of rows joined end to end.

    Args:
        inputs: one or more (N, F, C_i), joined along the last axis.
        weight: (C, sum of C_i); with neighbours (C, 3 C_1), for the row before, the row itself, and the row
            behind, with zeros beyond the ends of the F rows. One input alone may have neighbours.
        gain, bias: of the norm, (C,).

    Returns (N, F, C), differentiable once, and the statistics, which are not.
    """
    output, mean, variance = _Fused.apply(weight, gain, bias, eps, with_neighbours, *inputs)
    return output, Statistics(mean, variance)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, gain: Tensor, bias: Tensor, eps: float, near: bool, *inputs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        inputs = tuple(x.contiguous() for x in inputs)
        frames, places, _ = inputs[0].shape
        mapped = inputs[0].new_empty(frames, places, len(weight))
        joined = Joined(inputs, near)
        count, mean, squares = 0, torch.zeros_like(gain), torch.zeros_like(gain)
        for chunk in chunks(mapped):
            rows = mapped[chunk].flatten(0, 1)
            torch.mm(joined.rows(chunk), weight.T, out=rows)
            own_mean = rows.mean(0)
            difference, total = own_mean - mean, count + len(rows)
            squares += (rows - own_mean).square_().sum(0) + difference**2 * (count * len(rows) / total)
            mean, count = mean + difference * (len(rows) / total), total
        variance = squares / count
        scale = gain * (variance + eps).rsqrt()
        shift = bias - mean * scale
        output = torch.empty_like(mapped)
        for chunk in chunks(mapped):
            torch.addcmul(shift, mapped[chunk], scale, out=output[chunk])
            torch.nn.functional.silu(output[chunk], inplace=True)
        ctx.save_for_backward(weight, gain, scale, shift, mean, variance, mapped, *inputs)
        ctx.eps, ctx.near = eps, near
        ctx.mark_non_differentiable(mean, variance)
        return output, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        weight, gain, scale, shift, mean, variance, mapped, *inputs = ctx.saved_tensors
        grad = grad.contiguous()
        deviation = (variance + ctx.eps).sqrt()
        of_norm = torch.empty_like(mapped)  # gradient of what SiLU was taken of
        grad_bias, with_mapped = torch.zeros_like(gain), torch.zeros_like(gain)
        for chunk in chunks(mapped):
            normed = torch.addcmul(shift, mapped[chunk], scale)
            torch.ops.aten.silu_backward.grad_input(grad[chunk], normed, grad_input=of_norm[chunk])
            grad_bias += of_norm[chunk].sum((0, 1))
            with_mapped += torch.mul(of_norm[chunk], mapped[chunk], out=normed).sum((0, 1))
        grad_gain = (with_mapped - mean * grad_bias) / deviation
        # gradient of the mapped rows: scale (g - mean of g - normalized times the mean of g normalized)
        rows = mapped.shape[0] * mapped.shape[1]
        slope = -scale * grad_gain / (rows * deviation)
        offset = -scale * grad_bias / rows - slope * mean
        joined = Joined(tuple(inputs), ctx.near)
        grad_weight = torch.zeros_like(weight)
        grads = [
            torch.empty_like(x) if needed else None
            for x, needed in zip(inputs, ctx.needs_input_grad[5:], strict=True)
        ]
        for chunk in chunks(mapped):
            of_rows = (
                torch.addcmul(offset, mapped[chunk], slope).addcmul_(of_norm[chunk], scale).flatten(0, 1)
            )
            grad_weight.addmm_(of_rows.T, joined.rows(chunk))
            joined.spread(of_rows, weight, chunk, grads)
        return grad_weight, grad_gain, grad_bias, None, None, *grads


def chunks(mapped: Tensor) -> Iterator[slice]:
    """Slices of the frames, each of so many as fit the caches."""
    frames = max(1, CHUNK_VALUES // (mapped.shape[1] * mapped.shape[2]))
    return (slice(start, start + frames) for start in range(0, len(mapped), frames))


class Joined:
    """The rows of some inputs (N, F, C_i) side by side, or of one with its neighbours, chunk by chunk."""

    def __init__(self, inputs: tuple[Tensor, ...], near: bool) -> None:
        self.inputs, self.near = inputs, near
        self.buffer = inputs[0].new_empty(0)

    def rows(self, chunk: slice) -> Tensor:
        """(rows of the chunk, joined width); overwritten by the next call."""
        parts = [x[chunk] for x in self.inputs]
        if self.near:
            return self._with_neighbours(parts[0]).flatten(0, 1)
        return parts[0].flatten(0, 1) if len(parts) == 1 else torch.cat(parts, dim=-1).flatten(0, 1)

    def _with_neighbours(self, x: Tensor) -> Tensor:
        frames, places, width = x.shape
        if len(self.buffer) < frames:
            self.buffer = x.new_zeros(frames, places, 3 * width)  # zero, and never written, beyond the ends
        joined = self.buffer[:frames]
        joined[:, 1:, :width] = x[:, :-1]
        joined[:, :, width : 2 * width] = x
        joined[:, :-1, 2 * width :] = x[:, 1:]
        return joined

    def spread(self, of_rows: Tensor, weight: Tensor, chunk: slice, grads: list[Tensor | None]) -> None:
        """Write the gradients of the inputs' chunk, from that of the mapped rows."""
        widths = [x.shape[2] for x in self.inputs]
        if self.near:
            if grads[0] is None:
                return
            before, own, behind = (
                (of_rows @ weight).unflatten(0, (-1, grads[0].shape[1])).split(widths[0], -1)
            )
            total = grads[0][chunk]
            total.copy_(own)
            total[:, :-1] += before[:, 1:]
            total[:, 1:] += behind[:, :-1]
            return
        for grad, part in zip(grads, weight.split(widths, dim=1), strict=True):
            if grad is not None:
                torch.mm(of_rows, part, out=grad[chunk].flatten(0, 1))
