"""Approximation of sub-band distillation: each band of the student learns from a teacher of its own."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sedistill.audio.spectrum import Stft
from sedistill.common.argument_checks import as_given, is_number, is_whole
from sedistill.common.errors import UserError
from sedistill.common.paths import UserPath
from sedistill.distill.signal_objective import SignalObjective


@dataclass(frozen=True)
class SubbandKD(SignalObjective):
    """Approximation of "Sub-Band Knowledge Distillation Framework for Speech Enhancement" (2020).

    The mean over bands of the mean of (|S| - |T_b|)^2 over the bins of band b. Known of the paper: fixed
    bands, a strong teacher for each, one student for all. Number of bands, weights and domain are our choice;
    its student is given one band at a time, ours the whole signal.

    target: "band_teachers", estimates (B, N, T) of N teachers, each of use in its own band only; "teacher",
        one (B, T) for all bands; or "clean". Teachers for bands are trained by this loss too, with "clean"
        and one of `bands_used`: it says nothing of other bands and of phases.
    bands: their number N, of equal width in Hz; or the N - 1 rising frequencies in Hz between them.
    bands_used: numbers of the bands that count, from 0; None for all.
    sample_rate: in Hz, of importance only where `bands` are frequencies.

    A bin on the border of two bands belongs to the upper one. Raises UserError for settings that cannot work.

    >>> SubbandKD(bands=4).bin_ranges  # of 257 bins, 31.25 Hz apart
    [(0, 64), (64, 128), (128, 192), (192, 257)]
    """

    target: Annotated[
        Literal["band_teachers", "teacher", "clean"],
        Field(description="A teacher for each band, the run's one for all, or clean speech."),
    ] = "band_teachers"
    bands: Annotated[
        Annotated[int, Field(ge=1, le=257)] | Sequence[Annotated[float, Field(gt=0)]],
        Field(description="How many of equal width, or the rising frequencies in Hz between them."),
    ] = 4
    bands_used: Annotated[
        Sequence[Annotated[int, Field(ge=0, le=256)]] | None,
        Field(description="Numbers from 0; default: all of them."),
    ] = None
    sample_rate: Annotated[int, Field(ge=1000, le=192_000)] = 16_000
    stft: Stft = field(default_factory=Stft)

    why_no_patches: ClassVar[str] = "its parts are bands; take it out."

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("bands", "bands_used"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self._bands_are_possible():
            raise UserError(
                f"bands = {_listed(self.bands)} is not possible; give their number, or rising frequencies in"
                f" Hz between them, such that each has one of {self.stft.bins} bins up to"
                f" {self.sample_rate / 2:g} Hz."
            )
        used, bands = self.bands_used, len(self.bin_ranges)
        if used is not None and not _are_different_of(used, bands):
            raise UserError(
                f"bands_used = {_listed(used)} is not possible; give different numbers from 0 to {bands - 1}."
            )

    @classmethod
    def between(
        cls, student: nn.Module, teacher: nn.Module | None, *,
        teachers: Annotated[
            Sequence[UserPath], Field(description="band_teachers: a saved model for each band.")
        ] = (),
        **settings: Any,
    ) -> "SubbandKD":  # fmt: skip
        """For the student's sample rate. Who gives it the estimates of `teachers` loads them."""
        return cls(sample_rate=student.sample_rate, **settings)  # type: ignore[arg-type]

    @classmethod
    def refuse(cls, settings: Mapping[str, Any], given: Collection[str]) -> None:
        """Raises UserError unless there is a teacher for each band, or none is wanted."""
        bands, teachers = settings["bands"], settings["teachers"]
        count = bands if isinstance(bands, int) else len(bands) + 1
        wanted = count if settings["target"] == "band_teachers" else 0
        if len(teachers) != wanted:
            raise UserError(
                f"target: {settings['target']} with {count} bands goes with {wanted} teachers, not "
                f"{len(teachers)}; give one for each band, or target: teacher and none."
            )

    def _bands_are_possible(self) -> bool:
        if isinstance(self.bands, list | tuple):
            possible = all(is_number(hz) and 0 < hz < self.sample_rate / 2 for hz in self.bands)
        else:
            possible = is_whole(self.bands) and 1 <= self.bands <= self.stft.bins  # type: ignore[operator]
        return possible and all(first < end for first, end in self.bin_ranges)

    @property
    def bin_ranges(self) -> list[tuple[int, int]]:
        """The first bin of each band, and the first one above it."""
        if isinstance(self.bands, Sequence):
            borders = [frequency * self.stft.window_length / self.sample_rate for frequency in self.bands]
        else:
            borders = [number * self.stft.window_length / (2 * self.bands) for number in range(1, self.bands)]
        firsts = [0, *(math.ceil(border) for border in borders)]
        return list(zip(firsts, [*firsts[1:], self.stft.bins], strict=True))

    def expected_shape(self, name: str, student: Tensor) -> tuple[int, ...]:
        clips, samples = student.shape
        return (clips, len(self.bin_ranges), samples) if name == "band_teachers" else (clips, samples)

    def per_clip(self, signals: Mapping[str, Tensor]) -> Tensor:
        bands = range(len(self.bin_ranges)) if self.bands_used is None else self.bands_used
        student = self.stft(signals["student"]).abs()
        losses = []
        for band, target in zip(bands, self._targets(signals[self.target], bands), strict=True):
            bins = slice(*self.bin_ranges[band])
            losses.append((student[:, bins] - target[:, bins]).square().mean(dim=(1, 2)))
        return torch.stack(losses).mean(dim=0)

    def _targets(self, target: Tensor, bands: Sequence[int]) -> list[Tensor]:
        """The magnitudes (B, F, K) that each of these bands is to come near."""
        if target.ndim == 2:
            return [self.stft(target).abs()] * len(bands)
        return [self.stft(target[:, band]).abs() for band in bands]


def _are_different_of(used: object, bands: int) -> bool:
    """Whether these are numbers of bands, at least one, and none twice."""
    if not isinstance(used, list | tuple) or not all(is_whole(band) and 0 <= band < bands for band in used):
        return False
    return len(used) > 0 and len(set(used)) == len(used)


def _listed(given: object) -> str:
    return f"({', '.join(map(as_given, given[:8]))})" if isinstance(given, list | tuple) else as_given(given)
