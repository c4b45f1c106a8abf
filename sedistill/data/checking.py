"""Is this file usable? Decode it once, measure it, and convert it where rate or channels differ."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedistill.audio import levels
from sedistill.audio.files import AudioFileError, AudioInfo, probe, read, resample, to_mono, write

# Shorter files make no speech to learn from, or no noise to join with cross-fades.
SHORTEST_SECONDS = {"clean": 0.5, "noisy": 0.5, "noise": 0.1}
# Speech flatter than this is no target to learn; music and noise are that flat in life and are only marked.
MOST_CLIPPED_SHARE = 0.001
_DEEP_SUBTYPES = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")


@dataclass(frozen=True)
class Job:
    """A file to check, or the two of a pair (noisy first): they must agree, and are converted alike.

    Attributes:
        paths: where the files lie.
        kinds: clean, noise or noisy, one for each path.
        converted: where to write a FLAC at `sample_rate` if the file has another rate or several channels.
    """

    paths: tuple[str, ...]
    kinds: tuple[str, ...]
    converted: tuple[str, ...]
    sample_rate: int


@dataclass(frozen=True)
class Finding:
    """What was found in one file. `reason` "" means usable; `detail` says more about the reason."""

    reason: str = ""
    detail: str = ""
    sample_rate: int = 0
    channels: int = 0
    frames: int = 0
    active_level_db: float = 0.0
    peak: float = 0.0
    clipped_share: float = 0.0
    audio_sha256: str = ""
    was_converted: bool = False


class UnusableError(Exception):
    """Ends the check of one file."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.finding = Finding(reason, detail)


@dataclass(frozen=True)
class _Decoded:
    info: AudioInfo
    samples: NDArray[np.float32]
    sha256: str
    at_rate: NDArray[np.float32]

    def needs_conversion(self, sample_rate: int) -> bool:
        return self.info.sample_rate != sample_rate or self.info.channels != 1


def check(job: Job) -> tuple[Finding, ...]:
    """Check the file or pair of `job`; never raises for a bad file. One finding for each path.

    Reasons: "not audio", "zero length", "damaged", "NaN", "too short", "silent", "clipped",
    "lengths differ", "partner unusable".
    """
    decoded: list[_Decoded | Finding] = []
    for path, kind in zip(job.paths, job.kinds, strict=True):
        try:
            decoded.append(_decode(Path(path), kind, job))
        except UnusableError as unusable:
            decoded.append(unusable.finding)
    if any(isinstance(one, Finding) for one in decoded):
        return tuple(one if isinstance(one, Finding) else Finding("partner unusable") for one in decoded)
    good = [one for one in decoded if isinstance(one, _Decoded)]
    if len({one.info.seconds for one in good}) > 1:
        detail = " and ".join(f"{one.info.seconds:.3f} s" for one in good)
        return tuple(Finding("lengths differ", f"noisy and clean have {detail}") for _ in good)
    return _measure(good, job)


def _decode(path: Path, kind: str, job: Job) -> _Decoded:
    try:
        info = probe(path)
        samples, _ = read(path)
    except AudioFileError as error:
        raise _unusable(error) from None
    if len(samples) == 0:
        raise UnusableError("zero length")
    if not levels.is_finite(samples):
        raise UnusableError("NaN", "holds NaN or infinite samples")
    shortest = SHORTEST_SECONDS[kind]
    if info.seconds < shortest:
        raise UnusableError("too short", f"{len(samples)} samples are less than {shortest} s")
    mono = to_mono(samples)
    if levels.is_silent(mono):
        raise UnusableError("silent", "nothing rises above one 16-bit step")
    share = levels.clipped_share(mono)
    if kind == "clean" and len(job.paths) == 1 and share > MOST_CLIPPED_SHARE:
        raise UnusableError("clipped", f"{100 * share:.2f} % of the samples lie flat at the peak")
    digest = hashlib.sha256(np.ascontiguousarray(samples).data).hexdigest()
    return _Decoded(info, mono, digest, resample(mono, info.sample_rate, job.sample_rate))


def _unusable(error: AudioFileError) -> UnusableError:
    reasons = {"is not audio": "not audio", "is empty": "zero length", "damaged": "damaged"}
    for beginning, reason in reasons.items():
        if error.reason.startswith(beginning):
            return UnusableError(reason, error.reason)
    return UnusableError("unreadable", error.reason)


def _measure(decoded: list[_Decoded], job: Job) -> tuple[Finding, ...]:
    """Levels of what will be read later; where a pair must be turned down, both files get one factor."""
    converting = [one.needs_conversion(job.sample_rate) for one in decoded]
    guard = levels.clipping_guard(*(one.at_rate for one in decoded), limit=1.0) if any(converting) else 1.0
    findings = []
    for one, place in zip(decoded, job.converted, strict=True):
        convert = one.needs_conversion(job.sample_rate) or guard < 1.0
        samples = one.at_rate * np.float32(guard) if guard < 1.0 else one.at_rate
        if convert:
            deep = one.info.subtype in _DEEP_SUBTYPES
            write(place, samples, job.sample_rate, "PCM_24" if deep else "PCM_16")
        findings.append(
            Finding(
                sample_rate=one.info.sample_rate,
                channels=one.info.channels,
                frames=len(samples),
                active_level_db=levels.active_level_db(samples, job.sample_rate),
                peak=levels.peak(samples),
                clipped_share=levels.clipped_share(one.samples),
                audio_sha256=one.sha256,
                was_converted=convert,
            )
        )
    return tuple(findings)
