"""Multi-head self-attention, whose memory grows with a sequence's length and not with its square."""

from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """Sequences (S, L, C) to the same shape; `causal`: each step attends to itself and earlier ones alone."""

    def __init__(self, channels: int, heads: int, bias: bool, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.input = nn.Linear(channels, 3 * channels, bias=bias)  # query, key and value
        self.output = nn.Linear(channels, channels, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.input(x).chunk(3, dim=-1)
        )
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.output(attended.transpose(1, 2).flatten(-2))
