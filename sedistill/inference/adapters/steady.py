"""As many samples out as in, chunk by chunk: what sound devices and calls need."""

import math

import numpy as np
from numpy.typing import NDArray

from sedistill.inference.streaming.stream import Stream


class Steady:
    """A stream whose chunks come back in their own length, all of them late by `latency_ms`.

    As much silence as the stream's latency goes ahead, so that every chunk finds its samples ready.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream, self.latency_ms = stream, stream.latency_ms
        self.shortages = 0  # chunks whose samples were not ready after all
        self._ready: NDArray | None = None

    def process(self, chunk: NDArray) -> NDArray:
        """(samples,) or (channels, samples) of a kind that `Stream` takes, to the same."""
        if self._ready is None:
            ahead = math.ceil(self.latency_ms * self.stream.sample_rate / 1000)
            self._ready = np.zeros((*chunk.shape[:-1], ahead), chunk.dtype)
        length = chunk.shape[-1]
        ready = np.concatenate([self._ready, self.stream.process(chunk)], axis=-1)
        missing = max(0, length - ready.shape[-1])
        if missing:
            self.shortages += 1
            ready = np.concatenate([np.zeros((*chunk.shape[:-1], missing), chunk.dtype), ready], axis=-1)
        self._ready = ready[..., length:]
        return ready[..., :length]
