"""What LiveKit and Pipecat get: their frames, late by the latency; in the real packages if they are there."""

import asyncio
import sys
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sedistill.common.errors import UserError
from sedistill.inference.adapters.livekit_frames import Frames, livekit_denoiser
from sedistill.inference.adapters.pipecat_filter import Filter, pipecat_denoiser
from sedistill.inference.streaming import Stream
from tests.inference.enhancing.conftest import music

LIVEKIT = pytest.mark.skipif(find_spec("livekit") is None, reason="livekit is not installed")
PIPECAT = pytest.mark.skipif(find_spec("pipecat") is None, reason="pipecat-ai is not installed")
SMALL = "fastenhancer-t"


def pcm(samples: int, channels: int = 1, rate: int = 16_000) -> np.ndarray:
    """(samples, channels), int16."""
    return np.rint(2**15 * music(samples, channels, rate)).astype(np.int16)


def late(sound: np.ndarray, rate: int) -> np.ndarray:
    """`sound` (samples, channels) enhanced, and late by the stream's latency."""
    stream = Stream(SMALL, rate, resampling="LQ")
    clean = np.concatenate([stream.process(sound.T), np.asarray(stream.flush())], axis=1)
    by = int(np.ceil(stream.latency_ms * rate / 1000))
    return np.pad(clean, [(0, 0), (by, 0)])[:, : len(sound)].T


def made_here(data: bytes, rate: int, channels: int, samples: int, userdata: Any = None) -> Any:
    return SimpleNamespace(
        data=data, sample_rate=rate, num_channels=channels, samples_per_channel=samples, userdata=userdata
    )


def through(denoiser: Any, frame_type: Any, sound: np.ndarray, rate: int) -> np.ndarray:
    """Frames of 10 ms through a LiveKit processor."""
    pieces = []
    for start in range(0, len(sound), rate // 100):
        piece = sound[start : start + rate // 100]
        frame = frame_type(piece.tobytes(), rate, sound.shape[1], len(piece), userdata={"at": start})
        got = denoiser._process(frame)
        assert (got.sample_rate, got.num_channels, got.samples_per_channel) == (rate, *piece.shape[::-1])
        assert got.userdata == {"at": start}
        pieces.append(np.frombuffer(got.data, np.int16).reshape(-1, sound.shape[1]))
    return np.concatenate(pieces)


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (48_000, 2)])
def test_livekit_frames(rate: int, channels: int) -> None:
    sound, denoiser = pcm(rate // 2, channels, rate), Frames(SMALL, made_here, {})
    wanted = late(sound, rate)
    for _ in range(2):  # what an earlier participant said leaves no trace
        got = through(denoiser, made_here, sound, rate)
        assert np.abs(got.astype(int) - wanted).max() <= 1
        assert denoiser.latency_ms is not None
        denoiser._on_stream_info_updated(room_name="r", participant_identity="p", publication_sid="s")
    denoiser.enabled = False
    assert not denoiser.enabled
    through(denoiser, made_here, pcm(480, 1, 24_000), 24_000)  # another rate in mid-stream


def test_pipecat_audio() -> None:
    class Switch(SimpleNamespace):
        pass

    sound = pcm(8000)
    wanted = late(sound, 16_000)

    async def run() -> None:
        denoiser = Filter(SMALL, Switch, {})
        assert await denoiser.filter(b"\1\0") == b"\1\0"  # before it begins
        await denoiser.start(16_000)
        for _ in range(2):
            data = b"".join([await denoiser.filter(piece.tobytes()) for piece in np.split(sound, 25)])
            got = np.frombuffer(data, np.int16)
            assert np.abs(got.astype(int) - wanted[:, 0]).max() <= 1
            await denoiser.process_frame(Switch(enable=False))
            assert await denoiser.filter(data) == data
            await denoiser.process_frame(Switch(enable=True))
            await denoiser.process_frame(SimpleNamespace(enable=False))  # somebody else's frame
        await denoiser.stop()
        assert denoiser.latency_ms is None

    asyncio.run(run())


def test_missing_packages_and_wrong_settings_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "livekit.rtc", None)
    with pytest.raises(UserError, match=r"pip install 'sedistill\[livekit\]'"):
        livekit_denoiser()
    monkeypatch.setitem(sys.modules, "pipecat.audio.filters.base_audio_filter", None)
    with pytest.raises(UserError, match=r"pip install 'sedistill\[pipecat\]'"):
        pipecat_denoiser()
    with pytest.raises(UserError, match="resampling = 'best'"):
        Frames(SMALL, made_here, {"resampling": "best"})
    with pytest.raises(UserError, match="strength_db = -1"):
        Filter(SMALL, SimpleNamespace, {"strength_db": -1})


@LIVEKIT
def test_in_livekit_itself() -> None:
    from livekit import rtc

    sound, rate = pcm(24_000, 1, 48_000), 48_000
    wanted = late(sound, rate)
    denoiser = livekit_denoiser(SMALL)
    assert isinstance(denoiser, rtc.FrameProcessor)
    got = through(denoiser, rtc.AudioFrame, sound, rate)
    assert np.abs(got.astype(int) - wanted).max() <= 1

    async def heard() -> np.ndarray:
        """What a stream of a local track gives, which closes the processor at its end."""
        source = rtc.AudioSource(16_000, 1)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        stream = rtc.AudioStream(track, sample_rate=16_000, num_channels=1, noise_cancellation=denoiser)

        async def speak() -> None:
            for piece in np.split(spoken, len(spoken) // 160):
                await source.capture_frame(rtc.AudioFrame(piece.tobytes(), 16_000, 1, len(piece)))

        speaking, pieces = asyncio.create_task(speak()), []
        async for event in stream:
            pieces.append(np.frombuffer(event.frame.data, np.int16).copy())
            if 160 * len(pieces) >= 8000:
                break
        speaking.cancel()
        await stream.aclose()
        return np.concatenate(pieces)

    spoken = pcm(16_000)
    got = asyncio.run(asyncio.wait_for(heard(), 20)).astype(float)
    assert np.corrcoef(got, late(spoken, 16_000)[: len(got), 0])[0, 1] > 0.999  # LiveKit resamples on the way
    assert denoiser.latency_ms is None


@PIPECAT
def test_in_pipecat_itself() -> None:
    from pipecat.audio.filters.base_audio_filter import BaseAudioFilter
    from pipecat.frames.frames import FilterEnableFrame, InputAudioRawFrame, TextFrame
    from pipecat.tests.utils import SleepFrame, run_test
    from pipecat.transports.base_input import BaseInputTransport
    from pipecat.transports.base_transport import TransportParams

    sound = pcm(8000)
    denoiser = pipecat_denoiser(SMALL)
    assert isinstance(denoiser, BaseAudioFilter)

    class Microphone(BaseInputTransport):
        async def start(self, frame: Any) -> None:
            await super().start(frame)
            await self.set_transport_ready(frame)

        async def process_frame(self, frame: Any, direction: Any) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, TextFrame):
                for piece in np.split(sound, 25):
                    await self.push_audio_frame(InputAudioRawFrame(piece.tobytes(), 16_000, 1))

    transport = Microphone(
        TransportParams(audio_in_enabled=True, audio_in_sample_rate=16_000, audio_in_filter=denoiser)
    )
    frames, _ = asyncio.run(
        run_test(
            transport,
            frames_to_send=[TextFrame("speak"), SleepFrame(3), FilterEnableFrame(False), SleepFrame(0.5)],
            start_timeout=20,
        )
    )
    heard = [np.frombuffer(one.audio, np.int16) for one in frames if isinstance(one, InputAudioRawFrame)]
    got = np.concatenate(heard)
    assert np.abs(got.astype(int) - late(sound, 16_000)[: len(got), 0]).max() <= 1
    assert len(got) == len(sound)
    assert denoiser.latency_ms is None  # switched off
