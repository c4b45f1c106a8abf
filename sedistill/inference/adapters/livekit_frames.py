"""For LiveKit: a frame processor that takes the noise out of an audio stream, such as an agent's input."""

from pathlib import Path
from typing import Any

import numpy as np

from sedistill.common.extras import needed
from sedistill.inference.adapters.steady import Steady, SteadyStreams
from sedistill.models.base import SpeechEnhancer


def livekit_denoiser(model: SpeechEnhancer | Path | str | None = None, **settings: Any) -> Any:
    """A `livekit.rtc.FrameProcessor` for `AudioStream(track, noise_cancellation=...)`.

    LiveKit Agents take it in their room options, as `noise_cancellation`. A frame comes back with its rate,
    channels and length, late by `latency_ms` (`Stream` with `resampling="LQ"` unless told otherwise).

    Args: model: a network, or the folder or name of a saved one; settings: of `sedistill.Stream`.

    Raises UserError where LiveKit is not installed, and as `Stream` does.
    """
    rtc = needed("livekit.rtc", "livekit", package="livekit")

    class LiveKitDenoiser(Frames, rtc.FrameProcessor):  # type: ignore[name-defined]
        pass

    return LiveKitDenoiser(model, rtc.AudioFrame, settings)


class Frames:
    """What LiveKit calls; int16 frames, interleaved by channel."""

    def __init__(
        self, model: SpeechEnhancer | Path | str | None, frame_type: Any, settings: dict[str, Any]
    ) -> None:
        self._streams = SteadyStreams(model, settings)
        self._frame_type, self._enabled = frame_type, True
        self._steady: Steady | None = None
        self._kind = 0, 0  # rate and channels

    @property
    def latency_ms(self) -> float | None:
        """How late frames are; None before the first, which says the rate."""
        return None if self._steady is None else self._steady.latency_ms

    @property
    def enabled(self) -> bool:
        return self._enabled

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self._enabled = value
        self._close()  # what came meanwhile was not heard

    def _on_stream_info_updated(self, **_: str) -> None:
        self._close()

    def _on_stream_info_cleared(self) -> None:
        self._close()

    def _process(self, frame: Any) -> Any:
        samples = np.frombuffer(frame.data, np.int16).reshape(-1, frame.num_channels).T
        kind = frame.sample_rate, frame.num_channels
        if self._steady is None or self._kind != kind:
            self._steady, self._kind = self._streams.at(frame.sample_rate), kind
        data = self._steady.process(samples).T.tobytes()
        return self._frame_type(data, *kind, frame.samples_per_channel, userdata=frame.userdata)

    def _close(self) -> None:
        self._steady = None
