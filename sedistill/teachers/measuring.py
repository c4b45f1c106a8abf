"""What a teacher from elsewhere does not say: how late its output is, its level and sign, its bandwidth.

Measured on clips whose clean speech is known, once; kept beside its outputs, and read again from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sedistill.audio.lag import correlate
from sedistill.audio.resampling import resample
from sedistill.common.devices import usable_cores
from sedistill.common.errors import UserError
from sedistill.common.integrity import is_as_written, with_checksum
from sedistill.common.reading import is_taken
from sedistill.common.settings import Record, read_record
from sedistill.common.writing import write_whole
from sedistill.common.yaml_files import yaml_text
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.set_files import place_of_teacher
from sedistill.teachers.foreign import InStep, Wave
from sedistill.teachers.level_factor import LevelFactor, level_factors, summarize_factors
from sedistill.teachers.threads import in_order

CLIPS = 20
"""Measured on at most so many, taken evenly."""
CLEAR_HEIGHT, CLEAR_OVER_OTHERS = 0.2, 1.2
"""Of a correlation with the clean speech whose peak can be believed."""
AGREEMENT_SECONDS, AGREEING_SHARE = 0.002, 0.9
BAND_HZ = 250.0
SILENT_BAND_DB = -50.0
"""A band so far below the clean speech in it holds nothing that the teacher knows."""
SPOKEN = 1e-9
"""Of the power in the loudest band: with less, nothing was said in a band."""
FULL_BAND = 0.95
"""Of half the rate: above that lies what resamplers take away."""
FRAME = 2048
CARD = "measured.yaml"
AGAIN = "delete it, and it is measured again"


@dataclass(frozen=True)
class Measured:
    """A teacher on some clips.

    delay: samples at its own rate by which its output is late; clear: clips that told it, 0: it was stated.
    rate: Hz of the data.
    level: its best factor onto clean speech, in step.
    cutoff_hz: above it, it gives nothing; None: it reaches half the data's rate.
    """

    delay: int
    own_rate: int
    rate: int
    clips: int
    clear: int
    level: LevelFactor
    cutoff_hz: float | None

    @property
    def delay_ms(self) -> float:
        return 1000 * self.delay / self.own_rate

    def delay_text(self) -> str:
        """Such as "30 ms late (1440 samples), measured on 20 of 20 clips, taken out"."""
        if not self.clear:
            return f"{self.delay_ms:g} ms ({self.delay} samples), as stated, taken out"
        told = f"measured on {self.clear} of {self.clips} clips"
        if not self.delay:
            return f"none, {told}"
        word = "late" if self.delay > 0 else "early"
        return f"{abs(self.delay_ms):.4g} ms {word} ({abs(self.delay)} samples), {told}, taken out"

    def band_text(self) -> str:
        """What of the speech it can know."""
        if self.cutoff_hz is None:
            return f"all of the data's, up to {self.rate / 2:.0f} Hz"
        return f"up to {self.cutoff_hz:.0f} Hz; objectives see nothing above that"

    def facts(self) -> dict[str, Any]:
        """For files; `from_facts` reads them back."""
        return {
            "delay_samples": self.delay, "own_rate": self.own_rate, "rate": self.rate, "clips": self.clips,
            "clear": self.clear, "level": [self.level.factor, self.level.low, self.level.high],
            "cutoff_hz": self.cutoff_hz,
        }  # fmt: skip


class _Card(Record):
    delay_samples: int
    own_rate: int
    rate: int
    clips: int
    clear: int
    level: list[float]
    cutoff_hz: float | None


def measured(teacher: InStep, dataset: FixedSet, delay_ms: float | None, place: Path | None) -> Measured:
    """What is known at `place` of this teacher on this set, or else measured, and written there if it can be.

    delay_ms: as stated, and then believed. Raises UserError for a teacher that cannot teach.
    """
    folder = place and place_of_teacher(place, teacher.inner.hash, dataset.hash)
    card = folder and folder / CARD
    key = {"teacher_hash": teacher.inner.hash, "set_hash": dataset.hash, "delay_ms": delay_ms}
    if card and is_taken(card):
        known = read_record(_Card, card, AGAIN)
        if is_as_written(known) and all(known.get(name) == value for name, value in key.items()):
            return _from_card(known)
    found = measure(teacher, dataset, delay_ms)
    if card:
        try:
            card.parent.mkdir(parents=True, exist_ok=True)
            write_whole(card, yaml_text(with_checksum({**key, **found.facts()})))
        except (OSError, UserError):  # a set that may not be written: measured anew at every start
            pass
    return found


def _from_card(known: dict[str, Any]) -> Measured:
    return Measured(
        known["delay_samples"], known["own_rate"], known["rate"], known["clips"], known["clear"],
        LevelFactor(*known["level"]), known["cutoff_hz"],
    )  # fmt: skip


def measure(teacher: InStep, dataset: FixedSet, delay_ms: float | None = None) -> Measured:
    """Ask the teacher for clips taken evenly from a set, and compare with their clean speech."""
    clips = dataset.evenly(CLIPS)
    rate, own = teacher.sample_rate, teacher.own_rate
    pairs = _outputs(InStep(teacher.inner, rate), clips)
    if not any(np.abs(output).max(initial=0) > 0 for output, _ in pairs):
        raise UserError(f"the teacher {teacher.name} gives silence for each of {len(pairs)} clips.")
    if delay_ms is None:
        finest = max(rate, own)
        finer = [(resample(output, rate, finest), resample(clean, rate, finest)) for output, clean in pairs]
        lags = delays(finer, finest)
        delay, clear = round(agreed_delay(lags, finest, teacher.name) * own / finest), len(lags)
    else:
        delay, clear = round(delay_ms * own / 1000), 0
    if late := round(delay * rate / own):
        pairs = [_shifted(output, clean, late) for output, clean in pairs]
    factors = [
        level_factors(torch.from_numpy(output)[None], torch.from_numpy(clean)[None])
        for output, clean in pairs
    ]
    return Measured(
        delay, own, rate, len(pairs), clear, summarize_factors(torch.cat(factors)), cutoff(pairs, rate, own)
    )


def _outputs(teacher: InStep, clips: FixedSet) -> list[tuple[Wave, Wave]]:
    """The output and the clean speech of each clip."""
    outputs = in_order(lambda index: teacher.of_clip(clips, index), range(len(clips)), usable_cores())
    return [(output, clips[index][1]) for index, (_, output) in enumerate(outputs)]


def _shifted(output: Wave, clean: Wave, late: int) -> tuple[Wave, Wave]:
    """What both have, where the output is late by so many samples."""
    start, end = max(late, 0), len(clean) - max(-late, 0)
    return output[start:end], clean[max(-late, 0) : len(clean) - start]


def delays(pairs: Sequence[tuple[NDArray, NDArray]], sample_rate: int) -> list[int]:
    """Samples by which outputs come later than the clean speech, of the clips where that is clear."""
    found = []
    for output, clean in pairs:
        # Whitened by the clean speech: an output may have empty bands, and they would then count most.
        peak = correlate(clean, output, sample_rate) if np.ptp(output) and np.ptp(clean) else None
        if peak and abs(peak.height) >= CLEAR_HEIGHT and peak.over_others >= CLEAR_OVER_OTHERS:
            found.append(-peak.lag)
    return found


def agreed_delay(lags: Sequence[int], sample_rate: int, name: str) -> int:
    """The one delay of all clips. Raises UserError where they disagree, or none tells."""
    if not lags:
        raise UserError(
            f"the teacher {name}: no clip tells how late its output is, so unlike is it to the clean speech; "
            "state delay_ms if it is right."
        )
    middle = median_low(lags)
    near = sum(abs(lag - middle) <= AGREEMENT_SECONDS * sample_rate for lag in lags)
    if near < AGREEING_SHARE * len(lags):
        low, high = (1000 * extreme / sample_rate for extreme in (min(lags), max(lags)))
        raise UserError(
            f"the teacher {name} is late by {low:.1f} to {high:.1f} ms, differing from clip to clip (only "
            f"{near} of {len(lags)} agree); it cannot be brought into step."
        )
    return middle


def cutoff(pairs: Sequence[tuple[NDArray, NDArray]], sample_rate: int, own_rate: int) -> float | None:
    """The frequency above which a teacher gives nothing of the speech; None: it reaches the highest.

    The upper edge of the highest band of 250 Hz in which the outputs are not 50 dB below the clean speech;
    never more than half of the teacher's own rate.
    """
    powers = [sum(_power(pair[side]) for pair in pairs) for side in (0, 1)]
    edges = np.arange(0, sample_rate / 2, BAND_HZ)
    bins = np.minimum(np.arange(FRAME // 2 + 1) * sample_rate / FRAME // BAND_HZ, len(edges) - 1).astype(int)
    output, clean = (np.bincount(bins, power, len(edges)) for power in powers)
    top = sample_rate / 2
    for edge, given, spoken in zip(edges[::-1], output[::-1], clean[::-1], strict=True):
        if spoken > SPOKEN * clean.max():  # else neither tells anything
            if given > spoken * 10 ** (SILENT_BAND_DB / 10):
                break
            top = float(edge)
    top = min(top, own_rate / 2)
    return None if top >= FULL_BAND * sample_rate / 2 else top


def _power(wave: NDArray) -> NDArray[np.float64]:
    """The power of a waveform in FRAME // 2 + 1 bins, over frames of FRAME samples."""
    whole = len(wave) // FRAME * FRAME  # where a waveform ends within a frame, it would click
    kept = wave[:whole] if whole else np.pad(wave, (0, FRAME - len(wave)))
    frames = kept.reshape(-1, FRAME) * np.hanning(FRAME)
    return np.square(np.abs(np.fft.rfft(frames))).sum(axis=0)
