"""Half-overlapping chunks by PyTorch's unfold and fold."""

from torch import Tensor
from torch.nn import functional as F


def chunked(x: Tensor, size: int) -> Tensor:
    """(B, C, T) to (B, C, size, chunks)."""
    columns = F.unfold(x[..., None], (size, 1), padding=(size, 0), stride=(size // 2, 1))
    return columns.reshape(*x.shape[:2], size, -1)


def overlap_added(chunks: Tensor, length: int) -> Tensor:
    """(B, C, size, chunks) to (B, C, T), the mean where two chunks overlap."""
    size = chunks.shape[2]
    total = F.fold(chunks.flatten(1, 2), (length, 1), (size, 1), padding=(size, 0), stride=(size // 2, 1))
    return total[..., 0] / 2
