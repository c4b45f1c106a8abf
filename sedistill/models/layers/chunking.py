"""Half-overlapping chunks of a sequence and their overlap-add, for networks that look within and across."""

import torch
from torch import Tensor
from torch.nn import functional as F


def chunked(x: Tensor, size: int) -> Tensor:
    """(B, C, T) to (B, C, chunks, size) with half overlap; `size` is even.

    `size` zeros come before the sequence and at least half as many behind it, as in the public dual-path
    networks: chunk j begins at sample j size/2 - size, and every sample is in two chunks.
    """
    hop, length = size // 2, x.shape[-1]
    count = (length + size) // hop + 1
    padded = F.pad(x, (size, (count + 1) * hop - size - length))
    halves = padded.unflatten(-1, (count + 1, hop))
    return torch.cat([halves[..., :-1, :], halves[..., 1:, :]], dim=-1)


def overlap_added(chunks: Tensor, length: int) -> Tensor:
    """(B, C, chunks, size) back to (B, C, T): the mean of the two chunks that hold a sample."""
    size = chunks.shape[-1]
    first, second = chunks.chunk(2, dim=-1)
    halves = F.pad(first, (0, 0, 0, 1)) + F.pad(second, (0, 0, 1, 0))
    return halves.flatten(-2)[..., size : size + length] / 2
