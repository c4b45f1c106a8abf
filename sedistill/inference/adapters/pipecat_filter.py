"""For Pipecat: an audio filter for the input of a transport."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sedistill.common.extras import needed
from sedistill.inference.adapters.steady import Steady, SteadyStreams
from sedistill.models.base import SpeechEnhancer


def pipecat_denoiser(model: SpeechEnhancer | Path | str | None = None, **settings: Any) -> Any:
    """A `BaseAudioFilter` for `TransportParams(audio_in_filter=...)`: mono, as Pipecat's inputs are.

    Audio comes back in the length in which it came, late by `latency_ms` (`Stream` with `resampling="LQ"`
    unless told otherwise). A `FilterEnableFrame` switches it off and on.

    Args: model: a network, or the folder or name of a saved one; settings: of `sedistill.Stream`.

    Raises UserError where Pipecat is not installed, and as `Stream` does.
    """
    pipecat = partial(needed, extra="pipecat", package="pipecat-ai")
    base = pipecat("pipecat.audio.filters.base_audio_filter").BaseAudioFilter
    switch = pipecat("pipecat.frames.frames").FilterEnableFrame

    class PipecatDenoiser(Filter, base):  # type: ignore[misc, valid-type]
        pass

    return PipecatDenoiser(model, switch, settings)


class Filter:
    """What Pipecat calls; int16 samples of one channel."""

    def __init__(
        self, model: SpeechEnhancer | Path | str | None, switch: Any, settings: dict[str, Any]
    ) -> None:
        self._streams = SteadyStreams(model, settings)
        self._switch, self._enabled, self._rate = switch, True, 0
        self._steady: Steady | None = None

    @property
    def latency_ms(self) -> float | None:
        """How late audio is; None while the filter is not started, or off."""
        return None if self._steady is None else self._steady.latency_ms

    async def start(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._begin()

    async def stop(self) -> None:
        self._steady = None

    async def process_frame(self, frame: Any) -> None:
        if isinstance(frame, self._switch) and frame.enable != self._enabled:
            self._enabled = frame.enable
            self._begin()

    async def filter(self, audio: bytes) -> bytes:
        if self._steady is None:
            return audio
        return self._steady.process(np.frombuffer(audio, np.int16)).tobytes()

    def _begin(self) -> None:
        """Anew: what came meanwhile was not heard."""
        is_on = self._enabled and self._rate
        self._steady = self._streams.at(self._rate) if is_on else None
