"""Audio files: look at, read and write whatever libsndfile knows (WAV, FLAC, Ogg, MP3, AIFF, ...).

Samples and rate always travel together. Full scale is 1.0. What may last for hours goes in blocks of samples
(frames, channels), read by `read_blocks` and written by `write_blocks`.
"""

import io
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from sedistill.audio.cut_short import why_cut_short
from sedistill.audio.file_errors import AudioFileError, Place
from sedistill.audio.resampling import BLOCK_FRAMES, resample
from sedistill.audio.wav_sizes import never_closed, why_size_is_wrong
from sedistill.common.errors import UserError
from sedistill.common.reading import is_plain_file, why_no_file
from sedistill.common.writing import atomic_path

SUFFIXES = frozenset({
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64",
    ".rf64", ".sph", ".nist", ".voc",
})  # fmt: skip
CONVERT = "convert it, as by ffmpeg -i FILE FILE.flac"
"""The way on where libsndfile does not read a format, as that of most phones (.m4a)."""

# Containers whose usual suffix differs from libsndfile's name of the format.
_FORMATS = {
    "AIF": "AIFF", "AIFC": "AIFF", "SND": "AU", "OGA": "OGG", "OPUS": "OGG", "SPH": "NIST",
}  # fmt: skip
_INTEGER_BITS = {"PCM_16": 16, "PCM_24": 24, "DWVW_16": 16, "DWVW_24": 24}
_UNKNOWN_FRAMES = 2**62  # what libsndfile gives a FLAC from a pipe, which does not tell its length


@dataclass(frozen=True)
class AudioInfo:
    """What the header of a file says. `frames` counts samples per channel."""

    path: str
    sample_rate: int
    channels: int
    frames: int
    format: str
    subtype: str

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate


def probe(path: Path | str) -> AudioInfo:
    """Read the header.

    Raises AudioFileError: missing, empty, not audio, shorter than its header says, of unknown length.
    """
    with _open(path) as file:
        return AudioInfo(
            str(path), file.samplerate, file.channels, max(file.frames, 0), file.format, file.subtype
        )


def read(path: Place, start: int = 0, frames: int | None = None) -> tuple[NDArray[np.float32], int]:
    """Read samples as float32 (frames, channels) and the rate in Hz.

    Args:
        start: first sample, at the file's own rate.
        frames: number of samples; None reads to the end.

    Raises AudioFileError when the file cannot be decoded or ends before the asked samples.
    """
    with _open(path) as file:
        stop = _go_to(file, path, start, frames)
        return _read_next(file, path, start, stop), file.samplerate


def read_blocks(path: Place, start: int = 0, frames: int | None = None) -> Iterator[NDArray[np.float32]]:
    """The samples that `read` gives, in blocks (frames, channels): memory does not grow with the file.

    Raises AudioFileError as `read` does, where the file breaks off after the blocks before that place.
    """
    with _open(path) as file:
        stop = _go_to(file, path, start, frames)
        for first in range(start, stop, BLOCK_FRAMES):
            yield _read_next(file, path, first, min(first + BLOCK_FRAMES, stop))


def read_mono(
    path: Place, sample_rate: int, start: int = 0, frames: int | None = None
) -> NDArray[np.float32]:
    """Read float32 (samples,) at `sample_rate`, channels averaged. `start` and `frames` are as in `read`.

    Raises AudioFileError as `read` does, and for NaN and infinity, which files of floats may hold.
    """
    with _open(path) as file:
        mono = to_mono(_read_next(file, path, start, _go_to(file, path, start, frames)))
        rate, may_hold_any = file.samplerate, not file.subtype.startswith("PCM_")
    if may_hold_any and not (finite := np.isfinite(mono)).all():
        first = int(np.argmin(finite))
        raise AudioFileError(path, f"holds {mono[first]} at sample {start + first}; mend it or take it away")
    return resample(mono, rate, sample_rate)


def write(path: Path | str, samples: NDArray, sample_rate: int, subtype: str | None = None) -> None:
    """Write samples (frames,) or (frames, channels), whole or not at all; the suffix names the format.

    16- and 24-bit files get samples rounded onto the grid that `read` gives back, values beyond full scale
    limited to it.

    Args:
        subtype: libsndfile's name of the coding: "PCM_16", "PCM_24", "FLOAT", ...; None takes the usual one.

    Raises UserError for a suffix or coding libsndfile cannot write, and when the disk is full.
    """
    write_blocks(path, [samples], sample_rate, subtype, 1 if samples.ndim == 1 else samples.shape[1])


def write_blocks(
    path: Path | str,
    blocks: Iterable[NDArray],
    sample_rate: int,
    subtype: str | None = None,
    channels: int = 1,
    format_name: str | None = None,
    overwrite: bool = True,
) -> None:
    """Write what `write` does, as it comes: blocks (frames,) or (frames, channels).

    An error raised by `blocks` leaves no file, or the old one. Without `overwrite` one that appears meanwhile
    stays. `format_name` is libsndfile's, for a file whose suffix is not to name the format.
    """
    if format_name is None:
        format_name, subtype = writable_coding(Path(path), subtype)
    subtype = subtype or soundfile.default_subtype(format_name)
    frames = 0
    with atomic_path(path, overwrite) as temporary:
        try:
            # By its name: libsndfile calling back into Python to write would swallow Ctrl-C.
            with _Sequential(
                _name_for_libsndfile(temporary), "w", sample_rate, channels, subtype, format=format_name
            ) as file:
                for block in blocks:
                    file.write(on_grid(block, subtype))
                    frames += len(block)
        except soundfile.LibsndfileError as error:
            _let_the_system_say_why(temporary)  # on a full disk libsndfile may well blame something else
            raise UserError(
                f"{path}: {format_name} with {subtype} cannot hold {channels} channels of {sample_rate} Hz "
                f"({_plain(error)}); choose another format."
            ) from None
        if frames and not _ends_after(temporary, frames, format_name):
            _let_the_system_say_why(temporary)
            raise UserError(f"{path} could not be written to its end; write it again.")


def to_mono(samples: NDArray) -> NDArray:
    """Average the channels: (frames, channels) -> (frames,)."""
    mono = samples[:, 0]
    for other in samples.T[1:]:  # ten times as fast as numpy's mean over so few
        mono = mono + other
    return mono / samples.shape[1] if samples.shape[1] > 1 else mono


class _Sequential(soundfile.SoundFile):
    """A file read or written from one end to the other, without what soundfile does beside and takes time."""

    def seekable(self) -> bool:
        return False  # else it seeks after each block to where it already is

    def flush(self) -> None:
        pass  # else closing waits until each file has reached the disk


def _open(path: Place) -> soundfile.SoundFile:
    if isinstance(path, io.RawIOBase):
        try:
            return _Sequential(path)
        except soundfile.LibsndfileError as error:
            raise AudioFileError(str(path), f"is not audio that can be read ({_plain(error)})") from None
    if not is_plain_file(path):
        raise AudioFileError(path, why_no_file(path))
    try:
        file = _Sequential(_name_for_libsndfile(path))
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        raise AudioFileError(path, why_no_file(path) or _why_unreadable(Path(path), error)) from None
    if file.frames > _UNKNOWN_FRAMES:
        raise AudioFileError(path, "does not say how long it is, as files from a pipe; encode it once more")
    format_name = file.format
    if format_name == "FLAC":  # which tells nothing of it, and is noticed where it ends
        return file
    if fault := why_cut_short(path, format_name, file.frames, file.extra_info):
        raise AudioFileError(path, f"is damaged or cut short ({fault})")
    if format_name in ("WAV", "WAVEX") and (fault := why_size_is_wrong(path)):
        if file.frames == 0 and (stream := never_closed(path)):
            return _Sequential(stream)
        raise AudioFileError(path, fault)
    return file


def _name_for_libsndfile(path: Path | str) -> str | bytes:
    """Bytes, as soundfile refuses text that is no UTF-8; on Windows names are text."""
    return str(path) if sys.platform == "win32" else os.fsencode(path)


def _go_to(file: soundfile.SoundFile, path: Place, start: int, frames: int | None) -> int:
    """Seek to sample `start`; returns where `frames` samples from there end."""
    stop = file.frames if frames is None else start + frames
    if not 0 <= start <= stop <= file.frames:
        raise AudioFileError(path, f"has {file.frames} samples; {start} to {stop} were asked for")
    try:
        if start:
            file.seek(start)
    except soundfile.LibsndfileError as error:
        raise AudioFileError(
            path, f"is damaged or cut short before sample {start} ({_plain(error)})"
        ) from None
    return stop


def _read_next(file: soundfile.SoundFile, path: Place, first: int, stop: int) -> NDArray[np.float32]:
    """Samples `first` (where the file stands) to `stop`."""
    try:
        samples = file.read(stop - first, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        place = f"after sample {first} of {file.frames}"
        raise AudioFileError(path, f"is damaged or cut short {place} ({_plain(error)})") from None
    if len(samples) < stop - first:
        raise AudioFileError(
            path, f"is damaged or cut short ({first + len(samples)} of {file.frames} samples)"
        )
    return samples


def _ends_after(path: Path, frames: int, format_name: str) -> bool:
    """Whether a file has all it should have: what fails when it is closed, libsndfile does not tell."""
    # Most can be read at their end alone. Some codings cannot, and of MP3 the decoder complains on stderr.
    for start in (0,) if format_name == "MP3" else (frames - 1, 0):
        try:
            for _ in read_blocks(path, start, frames - start):
                pass
            return True
        except AudioFileError:
            pass
    return False


def _let_the_system_say_why(path: Path) -> None:
    """Raise the OSError that libsndfile met, if any, and keeps to itself: a full disk above all."""
    with path.open("ab") as file:
        file.write(bytes(2**20))
        file.flush()
        os.fsync(file.fileno())


def _why_unreadable(path: Path, error: Exception) -> str:
    if path.stat().st_size == 0:
        return "is empty (0 bytes)"
    return f"is not audio that libsndfile can read ({_plain(error)}); if it is sound, {CONVERT}"


def _plain(error: Exception) -> str:
    text = getattr(error, "error_string", str(error))
    return text.removeprefix("Error : ").rstrip(". ").lower()


def writable_coding(path: Path, subtype: str | None = None) -> tuple[str, str]:
    """libsndfile's names of format and coding for a file to write; `subtype` None takes the usual coding.

    Raises UserError for a suffix or a coding it cannot write.
    """
    suffix = path.suffix.lstrip(".").upper()
    format_name = _FORMATS.get(suffix, suffix)
    if path.suffix.lower() not in SUFFIXES or format_name not in soundfile.available_formats():
        raise UserError(f"{path}: no audio format is called '{path.suffix}'; use .wav or .flac.")
    if subtype is None:
        subtype = "OPUS" if suffix == "OPUS" else soundfile.default_subtype(format_name)
    if not soundfile.check_format(format_name, subtype):
        known = ", ".join(soundfile.available_subtypes(format_name))
        raise UserError(f"{path}: {format_name} cannot be coded as {subtype}; use one of {known}.")
    return format_name, subtype


def on_grid(samples: NDArray, subtype: str) -> NDArray:
    """Samples for libsndfile to write: for 16 and 24 bit limited, and rounded to integers.

    The factor is 2^(bits-1), with which libsndfile reads; its own writing uses one less.
    """
    bits = _INTEGER_BITS.get(subtype)
    if bits is None or samples.dtype.kind != "f":
        return samples
    full_scale = 2 ** (bits - 1)
    steps = np.clip(np.rint(samples.astype(np.float64) * full_scale), -full_scale, full_scale - 1)
    return steps.astype(np.int16) if bits == 16 else steps.astype(np.int32) << 8
