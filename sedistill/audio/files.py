"""Audio files: look at, read, write and resample whatever libsndfile knows (WAV, FLAC, Ogg, MP3, AIFF, ...).

Samples and rate always travel together. Full scale is 1.0.
"""

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from sedistill.errors import UserError
from sedistill.writing import atomic_path

RESAMPLER = "soxr VHQ"
SUFFIXES = frozenset({
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64",
    ".rf64", ".sph", ".nist", ".voc",
})  # fmt: skip

# Containers whose usual suffix differs from libsndfile's name of the format.
_FORMATS = {
    "AIF": "AIFF", "AIFC": "AIFF", "SND": "AU", "OGA": "OGG", "OPUS": "OGG", "SPH": "NIST",
}  # fmt: skip
_INTEGER_BITS = {"PCM_16": 16, "PCM_24": 24}
_STREAMED_SIZE = 0x7FFF0000  # a size this large in a WAV header means "unknown", as pipes write it


class AudioFileError(UserError):
    """An audio file that cannot be used; the message is `path: reason`."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}.")
        self.path, self.reason = str(path), reason

    def __reduce__(self) -> tuple[type["AudioFileError"], tuple[str, str]]:
        # Errors cross process borders in data workers; the default would call __init__ with the message.
        return AudioFileError, (self.path, self.reason)


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
    """Read the header. Raises AudioFileError: missing, empty, not audio, shorter than its header says."""
    with _open(path) as file:
        return AudioInfo(
            str(path), file.samplerate, file.channels, max(file.frames, 0), file.format, file.subtype
        )


def read(path: Path | str, start: int = 0, frames: int | None = None) -> tuple[NDArray[np.float32], int]:
    """Read samples as float32 (frames, channels) and the rate in Hz.

    Args:
        start: first sample, at the file's own rate.
        frames: number of samples; None reads to the end.

    Raises AudioFileError when the file cannot be decoded or ends before the asked samples.
    """
    with _open(path) as file:
        wanted = file.frames - start if frames is None else frames
        if start < 0 or wanted < 0 or start + wanted > file.frames:
            raise AudioFileError(
                path, f"samples {start} to {start + wanted} were asked for, it has {file.frames}"
            )
        try:
            if start:
                file.seek(start)
            samples = file.read(wanted, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioFileError(path, f"damaged or cut short ({_plain(error)})") from None
        if len(samples) < wanted:
            raise AudioFileError(
                path, f"damaged or cut short ({start + len(samples)} of {file.frames} samples)"
            )
        return samples, file.samplerate


def read_mono(
    path: Path | str, sample_rate: int, start: int = 0, frames: int | None = None
) -> NDArray[np.float32]:
    """Read float32 (samples,) at `sample_rate`, channels averaged. `start` and `frames` are as in `read`."""
    samples, rate = read(path, start, frames)
    return resample(to_mono(samples), rate, sample_rate)


def write(path: Path | str, samples: NDArray, sample_rate: int, subtype: str | None = None) -> None:
    """Write samples (frames,) or (frames, channels), whole or not at all; the suffix names the format.

    16- and 24-bit files get samples rounded onto the grid that `read` gives back, values beyond full scale
    limited to it.

    Args:
        subtype: libsndfile's name of the coding: "PCM_16", "PCM_24", "FLOAT", ...; None takes the usual one.

    Raises UserError for a suffix or coding libsndfile cannot write, and when the disk is full.
    """
    format_name, subtype = writable_coding(Path(path), subtype)
    encoded = io.BytesIO()  # so that a full disk is the operating system's error, not a codec's
    try:
        soundfile.write(encoded, on_grid(samples, subtype), sample_rate, format=format_name, subtype=subtype)
    except soundfile.LibsndfileError as error:
        raise UserError(
            f"{path}: {format_name} with {subtype} cannot hold {sample_rate} Hz ({_plain(error)})."
        ) from None
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.getbuffer())


def resample(samples: NDArray, from_rate: int, to_rate: int) -> NDArray:
    """Convert (frames, ...) between rates in Hz with soxr at its VHQ setting, along axis 0.

    The length becomes round(frames * to_rate / from_rate), at least 1 for a non-empty input.
    """
    if from_rate == to_rate or len(samples) == 0:
        return samples
    wanted = max(1, round(len(samples) * to_rate / from_rate))
    converted = soxr.resample(samples, from_rate, to_rate, quality="VHQ")[:wanted]
    missing = wanted - len(converted)  # soxr drops the last sample of very short inputs
    if missing:
        converted = np.concatenate([converted, np.zeros((missing, *samples.shape[1:]), samples.dtype)])
    return converted


def to_mono(samples: NDArray) -> NDArray:
    """Average the channels: (frames, channels) -> (frames,)."""
    return samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=samples.dtype)


class _ReadOnce(soundfile.SoundFile):
    """soundfile seeks to where it already is after each read, which takes a FLAC a tenth of the time."""

    def seekable(self) -> bool:
        return False


def _open(path: Path | str) -> soundfile.SoundFile:
    try:
        file = _ReadOnce(path)
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        raise AudioFileError(path, _why_unreadable(Path(path), error)) from None
    if str(path).lower().endswith(".wav"):
        _refuse_cut_wav(path, file.extra_info)
    return file


def _why_unreadable(path: Path, error: Exception) -> str:
    if not path.exists():
        return "does not exist"
    if not path.is_file():
        return "is a folder, not an audio file"
    if path.stat().st_size == 0:
        return "is empty (0 bytes)"
    if not os.access(path, os.R_OK):
        return "may not be read (no permission)"
    return f"is not audio that libsndfile can read ({_plain(error)})"


def _plain(error: Exception) -> str:
    text = getattr(error, "error_string", str(error))
    return text.removeprefix("Error : ").rstrip(". ").lower()


def _refuse_cut_wav(path: Path | str, log: str) -> None:
    """libsndfile shortens a WAV that ends before its header says and only notes it in its log."""
    noted = re.search(r"^data : (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    if noted and int(noted[2]) < int(noted[1]) < _STREAMED_SIZE:
        raise AudioFileError(path, f"damaged or cut short ({noted[2]} of {noted[1]} bytes of samples)")


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
