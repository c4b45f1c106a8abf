"""Counter-based randomness: a draw is a function of its key, not of what was drawn before.

A key is (seed, purpose, split, epoch, index, attempt). The number of processes, their order and restarts
change nothing.
"""

import os
import threading
import zlib

import numpy as np

_MASK = 2**64 - 1


class _Reused(threading.local):
    """One generator a thread: setting its state costs a fifth of making a new one."""

    def __init__(self) -> None:
        bits = np.random.Philox(key=0)
        self.generator, self.bits, self.state = np.random.Generator(bits), bits, bits.state


_REUSED = _Reused()


def philox(seed: int, stream: int, epoch: int, index: int, attempt: int = 0) -> np.random.Generator:
    """A generator set to (seed, stream, epoch, index, attempt); nothing drawn before matters.

    It is the same object each time: draw what is needed before the next call in this thread.
    """
    state = _REUSED.state
    state["state"]["key"][:] = seed & _MASK, stream
    # The lowest word of the counter is what the generator itself counts on.
    state["state"]["counter"][:] = 0, attempt, index & _MASK, epoch & _MASK
    _REUSED.bits.state = state
    return _REUSED.generator


MIXTURES, CROPS, ORDER, GRIDS, HEARD, DEGRADED, RECORDINGS, APART = 1, 2, 3, 4, 5, 6, 7, 8
"""The streams of `philox`, so that what is drawn for one purpose says nothing about another."""


def stream_of(purpose: int, split: str) -> int:
    """The stream of a purpose in one split: with one seed, two splits are not the same draws again."""
    return purpose + (zlib.crc32(os.fsencode(split)) << 8)
