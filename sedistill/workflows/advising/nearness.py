"""How near a teacher is to the clean speech, against the noisy input and a student: by band, SNR and noise.

Errors are those of a loss over bins; patches are those of DISPatch, so that what is said of them holds for
its selection and its gates.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from sedistill.audio.spectrum import Stft
from sedistill.distill.bin_losses import BinLoss
from sedistill.distill.patches import UniformPatches, partition
from sedistill.teachers.bandwidth import below

PATCHES = UniformPatches()
BAND_PATCHES = (1, 1, 2, 4)
"""Patches of the lower bands; the highest band has all the rest."""
SNR_STEP_DB = 5.0
MOST_NOISES = 6
"""Kinds of noise that get a row: those in which the teacher is worst, and best."""
SILENT = 1e-20
"""An error that is none: decibels stay finite."""
KEPT_SHARES = (0.3, 0.5, 0.8)

Wave = NDArray[np.float32]
Key = TypeVar("Key", float, str)


@dataclass(frozen=True)
class Heard:
    """A clip of the sample. waves: (T,), "noisy", "clean", "teacher" and, where it is trained, "student"."""

    waves: Mapping[str, Wave]
    snr_db: float
    noise: str

    @property
    def rivals(self) -> list[str]:
        """Whom the teacher is held against."""
        return [name for name in ("noisy", "student") if name in self.waves]


@dataclass(frozen=True)
class Row:
    """The teacher in some patches of some clips, by the name of whom it is held against.

    error_db: its error over theirs, below 0 where it is nearer to the clean speech; nearer: the share of
    patches in which it is.
    """

    name: str
    clips: int
    error_db: dict[str, float]
    nearer: dict[str, float]


@dataclass(frozen=True)
class ClipErrors:
    """A clip in patches (P, K): the error of each signal towards the clean speech, summed over bins."""

    heard: Heard
    errors: Mapping[str, NDArray[np.float64]]

    @classmethod
    def of(cls, heard: Heard, loss: BinLoss, stft: Stft, bandwidth: float) -> "ClipErrors":
        """bandwidth: of half the rate, the share that the teacher knows; nothing is compared above it."""
        spectra = {name: stft(_narrowed(wave, bandwidth)) for name, wave in heard.waves.items()}
        clean = spectra.pop("clean")
        patches = partition(PATCHES, clean.abs())
        return cls(
            heard, {name: patches.sums(loss(one, clean))[0].double().numpy() for name, one in spectra.items()}
        )

    def gap(self, rival: str) -> NDArray[np.float64]:
        """By how much the teacher is nearer in each patch, (P, K)."""
        return self.errors[rival] - self.errors["teacher"]


@dataclass(frozen=True)
class Nearness:
    """Everything that is said of where a teacher is better and worse."""

    clips: Sequence[ClipErrors]
    bin_hz: float

    @cached_property
    def all(self) -> Row:
        return self._row("all", self.clips)

    @cached_property
    def bands(self) -> list[Row]:
        """From the lowest, each twice as wide; a patch has the same bins in all of them."""
        total = len(next(iter(self.clips[0].errors.values())))
        edges = [*(edge for edge in accumulate((0, *BAND_PATCHES)) if edge < total), total]
        width, top = PATCHES.size * self.bin_hz, self._top_hz
        return [
            self._row(f"{low * width:,.0f} to {min(high * width, top):,.0f} Hz", self.clips, slice(low, high))
            for low, high in pairwise(edges)
        ]

    @cached_property
    def snrs(self) -> list[Row]:
        """In steps of 5 dB, from the lowest."""
        return [
            self._row(f"{SNR_STEP_DB * step:.0f} to {SNR_STEP_DB * (step + 1):.0f} dB SNR", clips)
            for step, clips in _grouped(self.clips, _step_of)
        ]

    @cached_property
    def noises(self) -> list[Row]:
        """Of every kind of noise, where the sample has several: the worst for the teacher first."""
        rows = [self._row(name, clips) for name, clips in _grouped(self.clips, lambda one: one.heard.noise)]
        if len(rows) < 2:
            return []
        rows.sort(key=lambda row: -row.error_db["noisy"])
        half = MOST_NOISES // 2
        return rows if len(rows) <= MOST_NOISES else [*rows[:half], *rows[-half:]]

    def held_by(self, share: float, rival: str) -> float:
        """Of all that the teacher is ahead, how much lies in this share of each clip's patches: the best."""
        within = whole = 0.0
        for clip in self.clips:
            ahead = np.sort(np.maximum(clip.gap(rival), 0), axis=None)[::-1]
            within += ahead[: max(1, int(share * ahead.size))].sum()
            whole += ahead.sum()
        return within / whole if whole else 1.0

    @property
    def rivals(self) -> list[str]:
        return self.clips[0].heard.rivals

    @property
    def _top_hz(self) -> float:
        return self.bin_hz * (Stft().bins - 1)

    def _row(self, name: str, clips: Sequence[ClipErrors], patches: slice = slice(None)) -> Row:
        error_db, nearer = {}, {}
        for rival in self.rivals:
            teacher, other = (
                sum(float(clip.errors[who][patches].sum()) for clip in clips) for who in ("teacher", rival)
            )
            gaps = [clip.gap(rival)[patches] for clip in clips]
            error_db[rival] = _ratio_db(teacher, other)
            nearer[rival] = sum(int((gap > 0).sum()) for gap in gaps) / sum(gap.size for gap in gaps)
        return Row(name, len(clips), error_db, nearer)


def nearness_of(sample: Sequence[Heard], loss: BinLoss, sample_rate: int, bandwidth: float = 1.0) -> Nearness:
    """The errors of a sample. bandwidth: see `ClipErrors.of`."""
    stft = Stft()
    clips = [ClipErrors.of(heard, loss, stft, bandwidth) for heard in sample]
    return Nearness(clips, sample_rate / stft.window_length)


def _narrowed(wave: Wave, bandwidth: float) -> torch.Tensor:
    waves = torch.from_numpy(wave)[None]
    return below(waves, bandwidth) if bandwidth < 1 else waves


def _ratio_db(one: float, other: float) -> float:
    return 10 * math.log10((one + SILENT) / (other + SILENT))


def _step_of(clip: ClipErrors) -> float:
    return math.floor(clip.heard.snr_db / SNR_STEP_DB) if math.isfinite(clip.heard.snr_db) else math.nan


def _grouped(
    clips: Sequence[ClipErrors], key: Callable[[ClipErrors], Key]
) -> list[tuple[Key, list[ClipErrors]]]:
    """Clips by a key, in its order; those without one (NaN, an empty text) are left out."""
    groups: dict[Key, list[ClipErrors]] = {}
    for clip in clips:
        one = key(clip)
        if one == one and one != "":
            groups.setdefault(one, []).append(clip)
    return sorted(groups.items(), key=lambda group: group[0])
