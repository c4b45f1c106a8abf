"""Sound through a pipe: WAV or raw PCM in, the same out, samples as soon as they are known."""

import os
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sedistill.audio.files import on_grid
from sedistill.common.errors import UserError
from sedistill.common.interruption import safe_moment, uninterrupted
from sedistill.inference.channels import MOST_CHANNELS
from sedistill.inference.enhancing.arrays import LOUDEST
from sedistill.inference.streaming.stream import Stream

STDIN, STDOUT = 0, 1
MOST_BYTES = 65_536  # read at once; less where less is there
MOST_HEADER = 2**24
CODINGS = {"s16le": "<i2", "s24le": "", "s32le": "<i4", "u8": "|u1", "f32le": "<f4", "f64le": "<f8"}
"""ffmpeg's names of raw samples, and numpy's."""
_WAV_CODINGS = {
    (1, 8): "u8", (1, 16): "s16le", (1, 24): "s24le", (1, 32): "s32le", (3, 32): "f32le", (3, 64): "f64le",
}  # fmt: skip
_EXTENSIBLE = 0xFFFE
_UNKNOWN_SIZES = (range(1), range(0x7FFFF000, 0x80000000), range(0xFFFFFFFF, 0x100000000))
"""What programs write as a size into a pipe, where they cannot come back to it: 0, or all there can be."""


@dataclass(frozen=True)
class Sound:
    """What is in the pipe. `size` is how many bytes of samples the header announces, None if it cannot."""

    rate: int
    channels: int
    coding: str
    size: int | None = None

    @property
    def frame_bytes(self) -> int:
        return self.channels * (3 if self.coding == "s24le" else np.dtype(CODINGS[self.coding]).itemsize)


def raw_sound(text: str) -> Sound:
    """RATE[,CHANNELS[,FORMAT]], one channel of s16le where it is not said.

    >>> raw_sound("48000,2")
    Sound(rate=48000, channels=2, coding='s16le', size=None)
    """
    rate, channels, coding, *more = [*text.split(","), *["1", "s16le"][text.count(",") :]][:4]
    try:
        if more or not 0 < int(channels) <= MOST_CHANNELS or coding not in CODINGS:
            raise ValueError
        return Sound(int(rate), int(channels), coding)
    except ValueError:
        raise UserError(
            f"--raw {text}: give RATE[,CHANNELS[,FORMAT]], such as 16000 or 48000,2,f32le; up to "
            f"{MOST_CHANNELS} channels, and formats {', '.join(CODINGS)}."
        ) from None


def enhance_pipe(
    open_stream: Callable[[int], Stream], raw: Sound | None = None, source: int = STDIN, sink: int = STDOUT
) -> None:
    """Enhance what comes from one file descriptor into another.

    Of a WAV all but the samples goes through as it came. Where the reader goes away, this ends quietly.

    Args: open_stream: makes the stream, given its rate; raw: what comes, where it is no WAV.

    Raises UserError where the sound cannot be used or ends early; what came before that is written.
    """
    for end, use in ((source, "... | sedistill enhance -"), (sink, "sedistill enhance - > clean.wav")):
        if os.isatty(end):
            raise UserError(f"`-` takes sound through pipes, and a terminal is none: say `{use}`.")
    with suppress(BrokenPipeError):
        header, sound = (b"", raw) if raw else wav_header(source)
        stream = open_stream(sound.rate)
        _write(sink, header)
        missing = _through(stream, sound, source, sink)
        if stream.unusable_chunks:
            print(
                f"{stream.unusable_chunks} chunks came back as they were: they hold NaN, infinities or "
                f"samples beyond {LOUDEST:g} times full scale.",
                file=sys.stderr,
            )
        if missing:
            raise UserError(f"standard input ended early: {missing}; what came is enhanced.")
        while rest := os.read(source, MOST_BYTES):  # a WAV's other chunks
            _write(sink, rest)


def _through(stream: Stream, sound: Sound, source: int, sink: int) -> str:
    """All samples through the stream; returns what is missing at the end.

    An interruption ends it as the end of the input does, but for what it says.
    """
    waiting, left = b"", sound.size
    try:
        stream.process(_samples(b"", sound))  # how many channels there are: the first piece may be short
        while left is None or left:
            piece = os.read(source, MOST_BYTES if left is None else min(MOST_BYTES, left))
            if not piece:
                break
            left = None if left is None else left - len(piece)
            waiting += piece
            whole = len(waiting) // sound.frame_bytes * sound.frame_bytes
            if whole:
                samples, waiting = _samples(waiting[:whole], sound), waiting[whole:]
                with uninterrupted():
                    _write(sink, _coded(stream.process(samples), sound))
            safe_moment()
    except KeyboardInterrupt:
        with suppress(BrokenPipeError), uninterrupted():
            _write(sink, _coded(np.asarray(stream.flush()), sound))
        raise KeyboardInterrupt("what came until then is enhanced") from None
    _write(sink, _coded(np.asarray(stream.flush()), sound))
    if left:
        return f"{left} bytes fewer than the WAV's header says"
    return f"in the middle of a sample of {sound.channels} x {sound.coding}" if waiting else ""


def wav_header(source: int) -> tuple[bytes, Sound]:
    """The bytes up to the first sample, and what they say. Raises UserError for what is no usable WAV."""
    header = _exactly(source, 12)
    if header[:4] != b"RIFF" or header[8:] != b"WAVE":
        raise UserError("standard input is no WAV; say --raw RATE[,CHANNELS[,FORMAT]] for raw samples.")
    kind: tuple[int, int, int, int] | None = None  # coding, bits, channels, rate
    while True:
        head = _exactly(source, 8)
        header, size = header + head, struct.unpack("<I", head[4:])[0]
        if head[:4] == b"data":
            break
        if size + len(header) > MOST_HEADER:
            raise UserError("standard input is a WAV with a damaged header.")
        body = _exactly(source, size + size % 2)
        header += body
        if head[:4] == b"fmt " and size >= 16:
            coding, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            if coding == _EXTENSIBLE and size >= 26:
                coding = struct.unpack("<H", body[24:26])[0]
            kind = coding, bits, channels, rate
    if kind is None or kind[:2] not in _WAV_CODINGS or not 0 < kind[2] <= MOST_CHANNELS:
        raise UserError(
            "standard input is a WAV of another kind than PCM or floating point of 1 to "
            f"{MOST_CHANNELS} channels."
        )
    known = None if any(size in sizes for sizes in _UNKNOWN_SIZES) else size
    return header, Sound(kind[3], kind[2], _WAV_CODINGS[kind[:2]], known)


def _exactly(source: int, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = os.read(source, size - len(found))
        if not piece:
            raise UserError(
                "standard input ended within the WAV's header." if found else "standard input is empty."
            )
        found += piece
    return found


def _write(sink: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(sink, rest) :]


def _samples(data: bytes, sound: Sound) -> NDArray:
    """Bytes -> (channels, samples)."""
    if sound.coding == "s24le":
        padded = np.zeros((len(data) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        samples: NDArray = (padded.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    else:
        samples = np.frombuffer(data, CODINGS[sound.coding])
    return samples.reshape(-1, sound.channels).T


def _coded(samples: NDArray, sound: Sound) -> bytes:
    """(channels, samples) -> bytes."""
    if sound.coding != "s24le":
        return samples.T.astype(CODINGS[sound.coding]).tobytes()
    coded = np.ascontiguousarray(on_grid(samples.T, "PCM_24").astype("<i4"))
    return coded.reshape(-1, 1).view(np.uint8)[:, 1:].tobytes()
