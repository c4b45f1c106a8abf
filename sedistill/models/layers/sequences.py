"""Layers along sequences of a longer clip, with bounded memory."""

import torch
from torch import Tensor, nn

ROWS_AT_ONCE = 2**17  # places of all sequences that go through a layer together when nothing is trained


class SequenceLayer(nn.Module):
    """A layer from sequences (S, L, C) to the same shape, in which sequences do not meet; write `together`.

    So when nothing is trained a few sequences go through at a time, which keeps a long clip's memory small.
    """

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() or torch.compiler.is_exporting():
            return self.together(x)
        parts = x.split(max(1, ROWS_AT_ONCE // x.shape[1]))
        return torch.cat([self.together(part) for part in parts])

    def together(self, x: Tensor) -> Tensor:
        raise NotImplementedError


def along_third(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer for (S, L, C) to the sequences along the third axis of (B, ., L, C)."""
    return layer(x.flatten(0, 1)).reshape(x.shape)
