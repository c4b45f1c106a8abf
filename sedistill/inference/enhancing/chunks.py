"""Any length at bounded memory: a stream of blocks goes through overlapping chunks that are cross-faded.

A block is float32 of shape (frames, channels), of any number of frames.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.float32]


def in_chunks(
    blocks: Iterable[Block], process: Callable[[Block], Block], chunk: int | None, overlap: int
) -> Iterator[Block]:
    """Apply `process` (frames, channels) -> same shape to overlapping chunks, and join the results.

    Every chunk has `chunk` frames except for input shorter than that, which goes through in one piece. A
    chunk overlaps its neighbour by `overlap` frames, the last one by as many more as it takes to have its
    full length. Of an overlap the outer quarters are dropped, so that what a network does at borders is not
    heard, and in the middle half one result is faded into the other linearly, which keeps the level where
    the two agree. With `chunk` None the whole input is one chunk.
    """
    if chunk is None:
        whole = list(blocks)
        if whole:
            yield process(np.concatenate(whole))
        return
    hop = chunk - overlap
    joiner = _Joiner(overlap)
    for piece, is_last in _overlapping_pieces(blocks, chunk, hop):
        yield from joiner.join(process(piece.frames), piece.new_from, is_last)


class _Piece:
    """Input of one chunk; `new_from` is where in it the overlap with the chunk before begins."""

    def __init__(self, frames: Block, new_from: int) -> None:
        self.frames, self.new_from = frames, new_from


def _overlapping_pieces(blocks: Iterable[Block], chunk: int, hop: int) -> Iterator[tuple[_Piece, bool]]:
    """Cut the stream. Two chunks' worth is looked ahead, so that the last piece is never a short one."""
    waiting: Block | None = None
    for block in blocks:
        waiting = block if waiting is None else np.concatenate([waiting, block])
        while len(waiting) >= chunk + hop:
            yield _Piece(waiting[:chunk], 0), False
            waiting = waiting[hop:]
    if waiting is None or len(waiting) == 0:
        return
    if len(waiting) <= chunk:
        yield _Piece(waiting, 0), True
        return
    yield _Piece(waiting[:chunk], 0), False
    yield _Piece(waiting[-chunk:], hop - (len(waiting) - chunk)), True


class _Joiner:
    """Cross-fades each result with the end of the one before."""

    def __init__(self, overlap: int) -> None:
        self.overlap = overlap
        position = (np.arange(overlap, dtype=np.float32) + 0.5) / max(overlap, 1)
        self.rise = np.clip(2 * position - 0.5, 0, 1)[:, None]
        self.tail: Block | None = None

    def join(self, result: Block, new_from: int, is_last: bool) -> Iterator[Block]:
        fresh = result[new_from:]
        if self.tail is not None:
            end = self.overlap
            faded = self.tail + self.rise * (fresh[:end] - self.tail)
            fresh = np.concatenate([faded, fresh[end:]])
        if is_last:
            yield fresh
            return
        keep = len(fresh) - self.overlap
        self.tail = fresh[keep:]
        yield fresh[:keep]


def of_length(blocks: Iterable[Block], channels: int, frames: int) -> Iterator[Block]:
    """The stream with exactly `frames` frames: rounding between rates may make it one more or less."""
    missing = frames
    for block in blocks:
        yield block[:missing]
        missing -= min(len(block), missing)
    if missing:
        yield np.zeros((missing, channels), np.float32)
