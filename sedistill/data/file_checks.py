"""Is this file usable? Decode it once, measure it, and convert it where that is needed.

A file goes by in blocks, so that one of ten hours takes no more memory than one of a minute.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sedistill.audio.crowding import AmplitudeHistogram
from sedistill.audio.files import (
    AudioFileError,
    AudioInfo,
    probe,
    read_blocks,
    read_mono,
    to_mono,
    write_blocks,
)
from sedistill.audio.levels import gain_within
from sedistill.audio.meters import ClippingMeter, LevelMeter
from sedistill.audio.resampling import resampled
from sedistill.data.pair_fit import DRIFTS, SHIFTED, UNKNOWN, UNRELATED, PairFit, measure_fit, shared_part

# Shorter files make no speech to learn from, or no noise to join with cross-fades.
SHORTEST_SECONDS = {"clean": 0.5, "noisy": 0.5, "noise": 0.1}
# Speech flatter than this is no target to learn; music and noise are that flat in life and are only marked.
MOST_CLIPPED_SHARE = 0.001
_DEEP_SUBTYPES = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")
_SLOW_TO_SEEK = "MP3"  # cutting two seconds out of an hour of it takes a hundred times as long as of a FLAC
PARTNER_UNUSABLE = "partner unusable"
MISFITS = {SHIFTED: "shifted", DRIFTS: "drifting", UNRELATED: "another recording"}
OF_BOTH_FILES = ("lengths differ", *MISFITS.values())
"""Reasons that both files of a pair have."""


@dataclass(frozen=True)
class Job:
    """A file to check, or the two of a pair (noisy first): they must agree, and are converted alike.

    Attributes:
        paths: where the files lie.
        kinds: clean, noise or noisy, one for each path.
        converted: where to write a FLAC at `sample_rate` if the file has another rate or several channels,
            or is an MP3.
        align: shift a pair whose noisy file is late or early, and cut both to what they share.
        trust: keep a pair that does not fit.
    """

    paths: tuple[str, ...]
    kinds: tuple[str, ...]
    converted: tuple[str, ...]
    sample_rate: int
    align: bool = False
    trust: bool = False


@dataclass(frozen=True)
class Finding:
    """What was found in one file. `reason` "" means usable; `detail` says more about the reason.

    Attributes:
        sample_rate, channels, seconds, clipped_share, audio_sha256: of the file that was given.
        frames, active_level_db, peak: of what will be read later, converted or not, without its offset.
        offset: mean of what will be read later; 0 where it is negligible.
        written_peak: the largest magnitude with the offset, as it is in the file.
        start: first sample to be read, of an aligned pair.
        is_inverted: the noisy file of a pair has the opposite polarity of the clean one.
        misfit: what does not fit about a pair that is kept nevertheless, "" else.
    """

    reason: str = ""
    detail: str = ""
    seconds: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    frames: int = 0
    active_level_db: float = 0.0
    peak: float = 0.0
    clipped_share: float = 0.0
    audio_sha256: str = ""
    was_converted: bool = False
    offset: float = 0.0
    written_peak: float = 0.0
    start: int = 0
    is_inverted: bool = False
    misfit: str = ""


class UnusableError(Exception):
    """Ends the check of one file."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.finding = Finding(reason, detail)


def check(job: Job) -> tuple[Finding, ...]:
    """Check the file or pair of `job`; never raises for a bad file. One finding for each path.

    Where a conversion would clip, it is made again, turned down; the other file of a pair with it.

    Reasons: "not audio", "zero length", "damaged", "NaN", "too short", "silent", "clipped",
    "lengths differ", "shifted", "drifting", "another recording", "partner unusable", "unreadable".
    """
    findings = _go_through(job, gain=1.0)
    if any(one.reason for one in findings):
        return tuple(one if one.reason else Finding(PARTNER_UNUSABLE) for one in findings)
    if len({one.seconds for one in findings}) > 1 and not job.align:
        detail = " and ".join(f"{one.seconds:.3f} s" for one in findings)
        return tuple(Finding("lengths differ", f"noisy and clean have {detail}") for _ in findings)
    fit = _fit(job, findings)
    is_misfit = fit.is_wrong and not (job.align and fit.verdict == SHIFTED)
    misfit = f"noisy {fit.text(job.sample_rate)}" if is_misfit else ""
    if misfit and not job.trust:
        remedy = "--align shifts it, " if fit.verdict == SHIFTED else ""
        detail = f"{misfit}; {remedy}--trust-pairs keeps it as it is"
        return tuple(Finding(MISFITS[fit.verdict], detail) for _ in findings)
    gain = gain_within(1.0, max(one.written_peak for one in findings))
    converting = any(one.was_converted for one in findings)
    findings = _go_through(job, gain) if converting and gain < 1.0 else findings
    if len(findings) != 2:
        return findings
    lag = fit.lag if job.align and fit.verdict == SHIFTED else 0
    return tuple(replace(one, misfit=misfit) for one in _aligned(findings, lag, fit.is_inverted))


def _fit(job: Job, findings: Sequence[Finding]) -> PairFit:
    """Whether the two files of a pair belong together, from what will be read later."""
    if len(findings) != 2:
        return PairFit(UNKNOWN)
    places = [
        converted if finding.was_converted else path
        for path, converted, finding in zip(job.paths, job.converted, findings, strict=True)
    ]

    def read(start: int, frames: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        noisy, clean = (read_mono(place, job.sample_rate, start, frames) for place in places)
        return noisy, clean

    return measure_fit(read, min(finding.frames for finding in findings), job.sample_rate)


def _aligned(findings: tuple[Finding, ...], lag: int, is_inverted: bool) -> tuple[Finding, ...]:
    """The two of a pair, cut to what they share."""
    noisy, clean = findings
    noisy_start, clean_start, frames = shared_part(lag, noisy.frames, clean.frames)
    return (
        replace(noisy, start=noisy_start, frames=frames, is_inverted=is_inverted),
        replace(clean, start=clean_start, frames=frames),
    )


def _go_through(job: Job, gain: float) -> tuple[Finding, ...]:
    findings = []
    for path, kind, converted in zip(job.paths, job.kinds, job.converted, strict=True):
        try:
            may_be_clipped = kind != "clean" or len(job.paths) > 1
            findings.append(_go_through_file(path, kind, may_be_clipped, converted, job.sample_rate, gain))
        except UnusableError as unusable:
            findings.append(unusable.finding)
        except AudioFileError as error:
            findings.append(Finding(_short_reason(error), f"it {error.reason}"))
    return tuple(findings)


def _go_through_file(
    path: str, kind: str, may_be_clipped: bool, converted: str, sample_rate: int, gain: float
) -> Finding:
    """From the file's start to its end, once. Raises UnusableError and AudioFileError."""
    info = probe(path)
    original, level = _Original(info, kind, may_be_clipped), LevelMeter(sample_rate)
    at_rate = resampled(original.mono_blocks(path), info.sample_rate, sample_rate)
    measured = _measured(at_rate, gain, level)
    convert = _needs_conversion(info, sample_rate) or gain < 1.0
    if convert:
        deep = info.subtype in _DEEP_SUBTYPES
        write_blocks(converted, measured, sample_rate, "PCM_24" if deep else "PCM_16", channels=1)
    else:
        for _ in measured:
            pass
    return Finding(
        sample_rate=info.sample_rate,
        channels=info.channels,
        seconds=info.seconds,
        frames=level.frames,
        active_level_db=level.active_level_db,
        peak=level.peak_without_offset,
        clipped_share=original.clipped_share,
        audio_sha256=original.digest.hexdigest(),
        was_converted=convert,
        offset=level.offset,
        written_peak=level.peak,
    )


def _needs_conversion(info: AudioInfo, sample_rate: int) -> bool:
    return info.sample_rate != sample_rate or info.channels != 1 or info.format == _SLOW_TO_SEEK


def _measured(
    blocks: Iterable[NDArray[np.float32]], gain: float, level: LevelMeter
) -> Iterator[NDArray[np.float32]]:
    for block in blocks:
        block = block if gain == 1.0 else block * np.float32(gain)
        level.add(block)
        yield block


class _Original:
    """The file as it was given: its hash and its faults, known when all blocks went by."""

    def __init__(self, info: AudioInfo, kind: str, may_be_clipped: bool) -> None:
        self.info, self.kind, self.may_be_clipped = info, kind, may_be_clipped
        self.digest, self.clipping = hashlib.sha256(), ClippingMeter()
        self.amplitudes = AmplitudeHistogram()

    def mono_blocks(self, path: str) -> Iterator[NDArray[np.float32]]:
        """Blocks (T,), channels averaged. Raises UnusableError at the first NaN, and at the end."""
        for block in read_blocks(path):
            if not np.isfinite(block).all():
                first = self.clipping.frames + int(np.argmin(np.isfinite(block).all(axis=1)))
                raise UnusableError("NaN", f"it holds NaN or infinite samples, the first at sample {first}")
            self.digest.update(np.ascontiguousarray(block).data)
            mono = to_mono(block)
            self.clipping.add(mono)
            self.amplitudes.add(mono)
            yield mono
        self._refuse_useless()

    def _refuse_useless(self) -> None:
        frames, shortest = self.info.frames, SHORTEST_SECONDS[self.kind]
        if frames == 0:
            raise UnusableError("zero length")
        if self.info.seconds < shortest:
            raise UnusableError("too short", f"{frames} samples are less than {shortest} s")
        if self.clipping.is_silent:
            raise UnusableError("silent", "nothing rises above one 16-bit step")
        if self.may_be_clipped:
            return
        if (share := self.flat_share) > MOST_CLIPPED_SHARE:
            raise UnusableError("clipped", f"{100 * share:.2f} % of the samples lie flat at the peak")
        if (share := self.crowded_share) > 0:
            raise UnusableError(
                "clipped",
                f"{100 * share:.1f} % of the samples crowd at one level near the peak, as in speech that was "
                "clipped and then turned down, resampled or coded",
            )

    @property
    def clipped_share(self) -> float:
        """Of the samples; at the peak, or where they crowd."""
        return max(self.flat_share, self.crowded_share)

    @cached_property
    def flat_share(self) -> float:
        """0 for what is so quiet, or so coarse, that rounding flattens its peaks."""
        return 0.0 if self.amplitudes.has_few_steps else self.clipping.clipped_share

    @cached_property
    def crowded_share(self) -> float:
        """0 for noise, of which tones and engines crowd by nature."""
        return 0.0 if self.kind == "noise" else self.amplitudes.crowded_share


def _short_reason(error: AudioFileError) -> str:
    reasons = {"is not audio": "not audio", "is empty": "zero length", "is damaged": "damaged"}
    return next(
        (short for beginning, short in reasons.items() if error.reason.startswith(beginning)), "unreadable"
    )
