"""A small GRU in training on CPU: the results of PyTorch's layer, in a fraction of its time.

With a few units the arithmetic is nothing and the calls are everything: PyTorch makes a dozen small tensors
at each step and as many nodes for backward. So the recurrence is one function with its own backward: both
directions run as one, what does not wait for the step before is computed for all steps at once, and what
remains is five calls a step, backward four. Sequences lie along the last axis, so that the parts of the gates
are contiguous.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from sedistill.models.layers.fast_cpu import runs_own_kernels
from sedistill.models.layers.onnx_operators import onnx_recurrence


class GRU(nn.GRU):
    """nn.GRU of one layer, (B, L, inputs) to (B, L, units), or twice the units where bidirectional.

    Returns outputs and last states as nn.GRU does. In training on CPU differentiable once.
    """

    def __init__(self, inputs: int, units: int, bidirectional: bool = False) -> None:
        super().__init__(inputs, units, batch_first=True, bidirectional=bidirectional)

    def forward(  # type: ignore[override]  # packed sequences are not for these networks
        self, x: Tensor, hx: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        if hx is not None or not torch.is_grad_enabled() or not runs_own_kernels(x):
            return super().forward(x, hx)
        steps = x.permute(1, 2, 0)  # (L, inputs, B)
        orders = (steps, steps.flip(0)) if self.bidirectional else (steps,)
        weights = self.all_weights  # of each direction: W_in (3H, inputs), W (3H, H), b_in, b
        gates = [
            w_in @ order + b_in[:, None] for order, (w_in, _, b_in, _) in zip(orders, weights, strict=True)
        ]
        weight, bias = (torch.stack([of_one[i] for of_one in weights]) for i in (1, 3))
        first = x.new_zeros(len(orders), self.hidden_size, len(x))
        states = _Recurrence.apply(torch.stack(gates, dim=1), weight, bias, first)  # (L, directions, H, B)
        outputs = [states[:, 0], *(backwards.flip(0) for backwards in states[:, 1:].unbind(1))]
        return torch.cat(outputs, dim=1).permute(2, 0, 1), states[-1].transpose(1, 2)


def gru(x: Tensor, state: Tensor, weights: tuple[Tensor, Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """A GRU of one layer on (L, B, inputs) from the states (B, units): outputs (L, B, units), last states.

    weights: from the inputs (3 units, inputs), from the state (3 units, units), and their biases, in the
    order of nn.GRU. In training on CPU differentiable once.
    """
    if torch.onnx.is_in_onnx_export():
        outputs = onnx_recurrence("GRU", x, [weights], state)
        return outputs, outputs[-1]
    if not torch.is_grad_enabled() or not runs_own_kernels(x):
        outputs, last = torch.gru(x, state[None], list(weights), True, 1, 0.0, False, False, False)
        return outputs, last[0]
    w_in, weight, b_in, bias = weights
    gates = F.linear(x, w_in, b_in).transpose(1, 2).contiguous()[:, None]  # (L, 1, 3H, B)
    states = _Recurrence.apply(gates, weight[None], bias[None], state.T[None])[:, 0]
    return states.transpose(1, 2).contiguous(), states[-1].T


class _Recurrence(torch.autograd.Function):
    """Gates from the inputs (L, D, 3H, B), weight (D, 3H, H), bias (D, 3H), first states (D, H, B) to states.

    (L, D, H, B).

    r and z are the sigmoid of the first two thirds of gates + (W h + b); n is the tanh of the last third of
    gates + r (W h + b); the next state is n + z (h - n).
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor, first: Tensor) -> Tensor:
        steps, directions, _, batch = gates.shape
        units = weight.shape[-1]
        states = gates.new_empty(steps + 1, directions, units, batch)  # the first is that before the clip
        states[0] = first
        switches = gates[:, :, : 2 * units].clone()  # r and z
        fresh = torch.empty_like(states[1:])  # n
        from_state = torch.empty_like(gates)  # W h + b
        parts = [t.unbind() for t in (gates[:, :, 2 * units :], from_state, switches, fresh)]
        for (h, following), given, of_h, rz, n in zip(pairwise(states.unbind()), *parts, strict=True):
            torch.baddbmm(bias[:, :, None], weight, h, out=of_h)
            rz.add_(of_h[:, : 2 * units]).sigmoid_()
            torch.addcmul(given, rz[:, :units], of_h[:, 2 * units :], out=n).tanh_()
            torch.lerp(n, h, rz[:, units:], out=following)
        ctx.save_for_backward(states, from_state[:, :, 2 * units :], switches, fresh, weight)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        states, of_h, switches, n, weight = ctx.saved_tensors
        before, (r, z) = states[:-1], switches.chunk(2, dim=2)
        to_tanh = (1 - z) * (1 - n * n)  # from a state to what is in n's tanh
        to_r, to_z = to_tanh * of_h * r * (1 - r), (before - n) * z * (1 - z)
        slopes = torch.stack([to_r, to_z, to_tanh * r], dim=2)  # from a state to W h + b: (L, D, 3, H, B)
        whole, inner = torch.empty_like(n), torch.empty_like(slopes)  # gradients of states and of W h + b
        later = torch.zeros_like(n[0])
        steps = [t.unbind() for t in (grad, whole, slopes, inner, inner.flatten(2, 3), z)]
        for own, total, slope, thirds, flat, kept in reversed(list(zip(*steps, strict=True))):
            torch.add(own, later, out=total)
            torch.mul(slope, total[:, None], out=thirds)
            later = torch.baddbmm(total * kept, weight.transpose(1, 2), flat)
        grad_gates = torch.cat([inner[:, :, :2].flatten(2, 3), whole * to_tanh], dim=2)
        grad_bias = inner.sum((0, 4)).flatten(1)
        grad_weight = (inner.flatten(2, 3) @ before.transpose(2, 3)).sum(0)
        return grad_gates, grad_weight, grad_bias, later
