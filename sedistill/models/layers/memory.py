"""What layers remember from one piece of a clip to the next, so that a stream and a whole clip share them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Memory:
    """The states of one pass: every layer that looks back takes its own and leaves the next one.

    Layers are always passed in the same order, so a list of tensors is enough, and a step of a network is a
    pure function (input, states) -> (output, states). Without `states` a clip begins.

    `beyond`: how many samples, at the end of what went through up to this pass, lie behind the clip's end.
    """

    def __init__(self, states: Sequence[Tensor] | None = None, beyond: int = 0) -> None:
        self._given = None if states is None else iter(states)
        self.beyond = beyond
        self.left: list[Tensor] = []
        """The states after this pass, in the order of the layers."""

    def take(self) -> Tensor | None:
        """The next layer's state; None where a clip begins, which means zeros."""
        return None if self._given is None else next(self._given)

    def leave(self, state: Tensor) -> None:
        self.left.append(state)


def with_past(x: Tensor, count: int, dim: int, memory: Memory) -> Tensor:
    """`x` with the `count` entries before it along `dim`, zeros where a clip begins; keeps the last ones."""
    if not count:
        return x
    before = memory.take()
    if before is None:
        shape = list(x.shape)
        shape[dim] = count
        before = x.new_zeros(shape)
    joined = torch.cat([before, x], dim=dim)
    memory.leave(joined.narrow(dim, joined.shape[dim] - count, count))
    return joined


def delayed(x: Tensor, count: int, dim: int, memory: Memory) -> Tensor:
    """`x` later by `count` entries along `dim`."""
    return with_past(x, count, dim, memory).narrow(dim, 0, x.shape[dim])


def carried_over(pieces: Tensor, ready: int, memory: Memory) -> Tensor:
    """The first `ready` entries along the last axis, with what reached into them before; keeps the others."""
    later = pieces.shape[-1] - ready
    if not later:
        return pieces
    before = memory.take()
    if before is not None:
        pieces = pieces + F.pad(before, (0, ready))
    memory.leave(pieces[..., ready:])
    return pieces[..., :ready]


def recurred(layer: nn.Module, x: Tensor, memory: Memory) -> Tensor:
    """An LSTM's outputs, from where the piece before left it."""
    hidden, cell = memory.take(), memory.take()
    outputs, states = layer(x, None if hidden is None or cell is None else (hidden, cell))
    for state in states:
        memory.leave(state)
    return outputs
