"""Activations of a network's blocks, computed again in the backward pass instead of kept for it."""

from contextlib import nullcontext
from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from sedistill.common.errors import UserError
from sedistill.models.eval_mode import keeping_buffers


def recompute_activations(network: nn.Module) -> None:
    """Let a network in training keep of each of its blocks but what goes into it; its results are the same.

    Raises UserError where it has no blocks.
    """
    blocks = blocks_of(network)
    if not blocks:
        raise UserError(
            f"hardware.recompute: {type(network).__name__} has no blocks in a row (a list or Sequential "
            "of modules with parts of their own) to compute again; take it out, or use hardware.accumulate."
        )
    for block in blocks:
        block.forward = partial(_forgetting, block, block.forward)


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """The members, if they have parts of their own, of every outermost list of modules in a network."""
    blocks: list[nn.Module] = []
    for child in network.children():
        if isinstance(child, nn.ModuleList | nn.Sequential):
            blocks += [block for block in child if next(block.children(), None) is not None]
        else:
            blocks += blocks_of(child)
    return blocks


def _forgetting(block: nn.Module, forward: Any, *signals: Any, **named: Any) -> Any:
    if not block.training:
        return forward(*signals, **named)

    def contexts() -> tuple[Any, Any]:
        return nullcontext(), _Again(block)

    return checkpoint(forward, *signals, use_reentrant=False, context_fn=contexts, **named)


class _Again:
    """While a block computes again, with each of several gradients; batch norms have remembered the batch."""

    def __init__(self, block: nn.Module) -> None:
        self.block = block

    def __enter__(self) -> None:
        self.keeping = keeping_buffers(self.block)
        self.keeping.__enter__()

    def __exit__(self, *fault: Any) -> None:
        self.keeping.__exit__(*fault)
