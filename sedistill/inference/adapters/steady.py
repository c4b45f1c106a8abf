"""As many samples out as in, chunk by chunk: what sound devices and calls need."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedistill.inference.streaming.stream import Stream
from sedistill.models.base import SpeechEnhancer
from sedistill.models.ready_made import default_model
from sedistill.models.saving import load_model


class Steady:
    """A stream whose chunks come back in their own length, all of them late by `latency_ms`.

    As much silence as the stream's latency goes ahead, so that every chunk finds its samples ready.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream, self.latency_ms = stream, stream.latency_ms
        self.shortages = 0  # chunks whose samples were not ready after all
        self._ready: NDArray | None = None

    def process(self, chunk: NDArray) -> NDArray:
        """(samples,) or (channels, samples), floating point or PCM with signs (silence is 0), to the same."""
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


class SteadyStreams:
    """Steady streams through one network, for agents that learn the rate late and begin anew within a call.

    Args: model: a network, or the folder or name of a saved one; settings: of `Stream`.

    Raises UserError for wrong settings now, not in a call.
    """

    def __init__(self, model: SpeechEnhancer | Path | str | None, settings: dict[str, Any]) -> None:
        self.network = model if isinstance(model, SpeechEnhancer) else load_model(model or default_model())
        self.settings = {"resampling": "LQ", **settings}
        Stream(self.network, **self.settings)

    def at(self, sample_rate: int) -> Steady:
        """A new one."""
        return Steady(Stream(self.network, sample_rate, **self.settings))
