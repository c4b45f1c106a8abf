"""What layers remember from one piece of a clip to the next, so that a stream and a whole clip share them."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Memory:
    """The states of one pass: every layer that looks back takes its own and leaves the next one.

    Layers are always passed in the same order, so a list of tensors is enough, and a step of a network is a
    pure function (input, states) -> (output, states). Without `states` a clip begins.
    """

    def __init__(self, states: Sequence[Tensor] | None = None) -> None:
        self._given = None if states is None else iter(states)
        self.left: list[Tensor] = []
        """The states after this pass, in the order of the layers."""

    def take(self) -> Tensor | None:
        """The next layer's state; None where a clip begins, which means zeros."""
        return None if self._given is None else next(self._given)

    def leave(self, state: Tensor) -> None:
        self.left.append(state)


def with_past(x: Tensor, count: int, dim: int, memory: Memory) -> Tensor:
    """`x` with the `count` entries before it along `dim`, zeros where a clip begins; keeps the last ones."""
    before = memory.take()
    if before is None:
        shape = list(x.shape)
        shape[dim] = count
        before = x.new_zeros(shape)
    joined = torch.cat([before, x], dim=dim)
    memory.leave(joined.narrow(dim, joined.shape[dim] - count, count))
    return joined
