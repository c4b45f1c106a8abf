"""Multi-head self-attention, whose memory grows with a sequence's length and not with its square."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.models.layers.memory import Memory, with_past


class SelfAttention(nn.Module):
    """Sequences (S, L, C) to the same shape; `causal`: each step attends to itself and earlier ones alone."""

    def __init__(self, channels: int, heads: int, bias: bool, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.input = nn.Linear(channels, 3 * channels, bias=bias)  # query, key and value
        self.output = nn.Linear(channels, channels, bias=bias)

    def forward(self, x: Tensor, seen: Tensor | None = None, memory: Memory | None = None) -> Tensor:
        """`seen`: `steps_seen`, where a step attends to so many alone; pieces of a sequence by `memory`."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.input(x).chunk(3, dim=-1)
        )
        if seen is None:
            attended = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        else:
            memory = memory or Memory()
            past = seen.shape[-1] - x.shape[1]
            key, value = with_past(key, past, 2, memory), with_past(value, past, 2, memory)
            attended = F.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        return self.output(attended.transpose(1, 2).flatten(-2))


def steps_seen(x: Tensor, reach: int, memory: Memory) -> Tensor:
    """Which steps each step of (S, L, C) attends to: itself and `reach` - 1 before it, within the sequence.

    (S, 1, L, reach - 1 + L), true where step i of x sees step j - (reach - 1).
    """
    length = x.shape[1]
    begun = with_past(torch.ones_like(x[..., 0]), reach - 1, 1, memory) > 0
    band = torch.ones(length, begun.shape[1], dtype=torch.bool, device=x.device)
    return begun[:, None, None] & band.triu().tril(reach - 1)
