"""LSTM and GRU as ONNX's own operators, for tracing.

PyTorch's exporter writes a recurrent layer for the traced number of steps alone; the operators take any.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

Weights = Sequence[Tensor]
"""As in PyTorch: from the inputs (gates units, inputs), from the state (gates units, units), both biases."""
GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}
"""Where PyTorch has what ONNX wants: of an LSTM input, output, forget, cell; of a GRU update, reset, new."""


def onnx_recurrence(
    operator: Literal["LSTM", "GRU"], x: Tensor, directions: Sequence[Weights], state: Tensor | None = None
) -> Tensor:
    """One layer over (L, B, inputs), from `state` (B, units) or zeros, to (L, B, directions units).

    directions: the weights of one or, for both ways, two. What it gives in PyTorch itself is no result.
    """
    in_order = [[_in_order(operator, part) for part in weights] for weights in directions]
    parts = [torch.stack(part) for part in zip(*in_order, strict=True)]
    from_input, from_state, *biases = parts
    inputs = [x, from_input, from_state, torch.cat(biases, dim=1)]
    if state is not None:
        inputs += [None, state[None]]  # type: ignore[list-item]  # lengths of sequences: all the same
    units = from_state.shape[-1]
    attributes: dict[str, Any] = {
        "hidden_size": units,
        "direction": "bidirectional" if len(directions) == 2 else "forward",
    }
    if operator == "GRU":
        attributes["linear_before_reset"] = 1  # as in PyTorch: the bias lies inside the product with r
    outputs = torch.onnx.ops.symbolic(
        operator, inputs, attributes, dtype=x.dtype, shape=(x.shape[0], len(directions), x.shape[1], units)
    )
    return outputs.transpose(1, 2).flatten(2)


def _in_order(operator: str, gates: Tensor) -> Tensor:
    order = GATES[operator]
    return gates.unflatten(0, (len(order), -1))[list(order)].flatten(0, 1)
