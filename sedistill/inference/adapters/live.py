"""From a microphone, through a network, to a loudspeaker."""

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedistill.common.errors import UserError
from sedistill.common.interruption import deferred
from sedistill.common.wording import counted
from sedistill.inference.adapters.sound_devices import line_between, reason_of, sounddevice
from sedistill.inference.adapters.steady import Steady
from sedistill.inference.streaming.stream import Stream

BLOCK_SECONDS = 0.016
SHOWN_EVERY_SECONDS = 0.1
LINE_EVERY_SECONDS = 10.0  # where no terminal shows a meter
GONE_AFTER_SECONDS = 3.0
"""A device that was unplugged may be told of, or may just give nothing any more."""

BAR = 20  # characters of a meter, for 60 dB
QUIETEST_DB = -60.0


def enhance_live(
    open_stream: Callable[[int], Stream],
    network_rate: int,
    microphone: str | None = None,
    loudspeaker: str | None = None,
) -> None:
    """Enhance what a microphone hears and play it, until Ctrl-C; tells latency, levels and dropouts.

    Args: open_stream: makes the stream, given the devices' rate; network_rate: the rate to ask them for;
        microphone, loudspeaker: numbers or parts of names; None is the system's choice.

    Raises UserError where there is no device, none that can be opened, or one that goes away.
    """
    sound = sounddevice()
    line = line_between(microphone, loudspeaker, network_rate)
    live = Live(open_stream(line.rate), sound.CallbackAbort)
    try:
        opened = sound.Stream(
            samplerate=line.rate, blocksize=round(BLOCK_SECONDS * line.rate), dtype="float32", latency="low",
            device=(line.microphone, line.loudspeaker), channels=(1, line.output_channels),
            callback=live.heard,
        )  # fmt: skip
    except sound.PortAudioError as error:
        raise UserError(f"{line.names} cannot be opened: {reason_of(error)}.") from None
    try:
        opened.start()
        _say(f"{line.names} at {line.rate} Hz. {latency_text(live.steady.latency_ms, opened.latency)}")
        _say("Wear headphones, or the microphone hears the loudspeaker. Ctrl-C ends it.")
        with deferred() as is_over:
            _watch(live, opened, is_over)
    except sound.PortAudioError as error:
        raise UserError(f"{line.names} failed: {reason_of(error)}.") from None
    finally:
        opened.close()
        _say(live.summary())


class Live:
    """What happens in each block of sound, and what is known of it."""

    def __init__(self, stream: Stream, abort: type[Exception]) -> None:
        self.steady, self.sample_rate, self._abort = Steady(stream), stream.sample_rate, abort
        self.error: Exception | None = None
        self.frames = self.late_blocks = 0
        self.busy_seconds = 0.0
        self.last_heard = time.monotonic()
        self.levels_db = QUIETEST_DB, QUIETEST_DB  # of the last block, in and out

    def heard(self, noisy: NDArray, played: NDArray, frames: int, _: Any, status: Any) -> None:
        """One block, called in PortAudio's thread: noisy (frames, 1) to played (frames, channels)."""
        begun = time.perf_counter()
        try:
            played[:] = self.steady.process(noisy[:, 0].copy())[:, None]
        except Exception as error:
            self.error = error
            raise self._abort from None
        self.late_blocks += bool(status)  # PortAudio's word for them
        self.frames += frames
        self.levels_db = level_db(noisy), level_db(played)
        self.last_heard = time.monotonic()
        self.busy_seconds += time.perf_counter() - begun

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate

    @property
    def dropouts(self) -> int:
        """How many blocks came or went too late, or were not ready."""
        return self.late_blocks + self.steady.shortages

    @property
    def load(self) -> float:
        """The share of the time that the network takes."""
        return self.busy_seconds / max(self.seconds, 1e-9)

    def meter(self) -> str:
        """Levels in and out, and the load, in a line."""
        (heard, played), load = self.levels_db, f"load {100 * self.load:3.0f} %"
        return f"in {heard:4.0f} dB {bar(heard)}  out {played:4.0f} dB {bar(played)}  {load}"

    def summary(self) -> str:
        dropouts, load = counted(self.dropouts, "dropout"), f"load {100 * self.load:.0f} %"
        text = f"{self.seconds:.1f} s of sound, {dropouts}, {load}."
        return f"{text} This machine is too slow for the network." if self.load > 1 else text


def latency_text(network_ms: float, devices: tuple[float, float]) -> str:
    """How late the sound is, of what.

    >>> latency_text(32.0, (0.010, 0.020))
    'Latency 62 ms: network 32, microphone 10, loudspeaker 20.'
    """
    there, back = (1000 * seconds for seconds in devices)
    parts = f"network {network_ms:.0f}, microphone {there:.0f}, loudspeaker {back:.0f}"
    return f"Latency {network_ms + there + back:.0f} ms: {parts}."


def level_db(samples: NDArray) -> float:
    """The root mean square in dB of full scale, no lower than what a meter shows."""
    power = float(np.square(samples, dtype=np.float64).mean()) if samples.size else 0.0
    return max(QUIETEST_DB, 10 * math.log10(power)) if power > 0 else QUIETEST_DB


def bar(db: float) -> str:
    """A level as a bar, from -60 dB to full scale.

    >>> bar(-30.0)
    '[##########          ]'
    """
    filled = min(BAR, round(BAR * (1 - db / QUIETEST_DB)))
    return f"[{'#' * filled}{' ' * (BAR - filled)}]"


def _watch(live: Live, opened: Any, is_over: Callable[[], bool]) -> None:
    """Shows the meter until it is over. Raises UserError where the sound stopped by itself."""
    is_terminal, shown = sys.stderr.isatty(), time.monotonic()
    while not is_over():
        time.sleep(SHOWN_EVERY_SECONDS)
        if is_terminal:
            print(f"\r{live.meter()}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - shown > LINE_EVERY_SECONDS:
            shown = time.monotonic()
            _say(live.meter())
        if live.error is not None:
            raise live.error
        if not opened.active or time.monotonic() - live.last_heard > GONE_AFTER_SECONDS:
            raise UserError(
                f"the sound stopped after {live.seconds:.1f} s: a device is gone, or another program has it; "
                "plug it in and begin again."
            )
    if is_terminal:
        print(file=sys.stderr)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
