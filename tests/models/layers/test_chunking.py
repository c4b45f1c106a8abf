"""Chunks and their overlap-add: by hand, against the stock fold, and back again."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from sedistill.models.layers.chunking import chunked, overlap_added


def test_by_hand() -> None:
    chunks = chunked(torch.tensor([[[1.0, 2, 3]]]), 4)
    assert chunks.tolist() == [[[[0, 0, 0, 0], [0, 0, 1, 2], [1, 2, 3, 0], [3, 0, 0, 0]]]]
    assert overlap_added(chunks, 3).tolist() == [[[1, 2, 3]]]


@given(length=st.integers(1, 60), hop=st.integers(1, 9))
def test_there_and_back_as_the_stock_fold(length: int, hop: int) -> None:
    torch.manual_seed(length)
    x, size = torch.randn(2, 3, length, dtype=torch.float64), 2 * hop
    chunks = chunked(x, size)
    stock = F.unfold(x[..., None], (size, 1), padding=(size, 0), stride=(hop, 1))
    assert torch.equal(chunks, stock.reshape(2, 3, size, -1).transpose(2, 3))
    torch.testing.assert_close(overlap_added(chunks, length), x)
    other = torch.randn_like(chunks)
    flat = other.transpose(2, 3).reshape(2, 3 * size, -1)
    folded = F.fold(flat, (length, 1), (size, 1), padding=(size, 0), stride=(hop, 1))[..., 0]
    torch.testing.assert_close(overlap_added(other, length), folded / 2)
