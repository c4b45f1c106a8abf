"""Objectives in which the clips of a batch meet, taken over the whole batch where processes divide it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sedistill.common import ranks


def with_parts_of_all(objective: Any, given: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """The objective's loss and parts, of its own clips, or of those of all processes if it says `over_batch`.

    Then each process computes the same loss; the mean over processes of what it gives the student as gradient
    is that of the whole batch in one process.
    """
    if ranks.count() == 1 or not getattr(objective, "over_batch", False):
        return objective.with_parts(**given)
    whole = {name: _of_all(value) for name, value in given.items()}
    draws = ranks.gathered(int(torch.randint(2**62, ())))[0]
    with torch.random.fork_rng():  # a random score is drawn alike in all of them
        torch.manual_seed(draws)
        return objective.with_parts(**whole)


def _of_all(value: Any) -> Any:
    """A signal (B, ...) with the clips of all processes, several by name likewise; else what it is."""
    if isinstance(value, Mapping):
        return {name: _of_all(one) for name, one in value.items()}
    return _Rows.apply(value) if isinstance(value, Tensor) and value.ndim else value


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.count, ctx.first, ctx.rows = ranks.count(), ranks.rank() * len(values), len(values)
        return ranks.joined_rows(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return ctx.count * gradient[ctx.first : ctx.first + ctx.rows]
