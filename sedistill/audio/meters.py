"""Levels of a recording that comes block by block; they are those of the whole, wherever it was cut.

Blocks are (T,) of float32, of any length, and finite.
"""

import math

import numpy as np
from numpy.typing import NDArray

from sedistill.audio.levels import SILENT_PEAK, frame_length, levels_of_frames, offset_of, with_last_frame

_SHORTEST_RUN = 3
_ROUNDING = 1e-13  # of float64 sums, as a part of the energies they are made of


class ClippingMeter:
    """Whether a recording sounds at all, and how much of it lies flat at its own limits."""

    def __init__(self) -> None:
        self.frames = 0
        self._top, self._bottom = _Rail(), _Rail()

    def add(self, block: NDArray) -> None:
        """Take the next block into account."""
        if len(block):
            self.frames += len(block)
            self._top.add(block)
            self._bottom.add(-block)

    @property
    def is_silent(self) -> bool:
        """True when nothing rises above one 16-bit step around a constant (an offset is not sound)."""
        return self._top.height + self._bottom.height <= 2 * SILENT_PEAK

    @property
    def clipped_share(self) -> float:
        """Share of samples that lie flat at the highest or lowest value, in runs of three or more.

        Independent of level, so that a file clipped first and turned down later is seen too. A steady tone
        may touch its peak repeatedly, but not in runs, unless its period is long and its level so low that
        rounding flattens it.
        """
        if self.is_silent:
            return 0.0
        return sum(rail.flat for rail in (self._top, self._bottom) if rail.height != 0) / self.frames


class LevelMeter:
    """Length, peak, mean and active level of a recording. Of its samples only sums over frames are kept."""

    def __init__(self, sample_rate: int) -> None:
        self.frames, self.highest, self.lowest = 0, -math.inf, math.inf
        self._frame = frame_length(sample_rate)
        self._energies: list[NDArray] = []
        self._sums: list[NDArray] = []
        self._rest = np.zeros(0)

    def add(self, block: NDArray) -> None:
        """Take the next block into account."""
        if len(block):
            self.highest = max(self.highest, float(block.max()))
            self.lowest = min(self.lowest, float(block.min()))
        self.frames += len(block)
        samples = np.concatenate([self._rest, block])  # float64, or an offset would hide what lies on it
        whole = len(samples) // self._frame * self._frame
        frames, self._rest = samples[:whole].reshape(-1, self._frame), samples[whole:].copy()
        self._energies.append(np.einsum("ij,ij->i", frames, frames))
        self._sums.append(frames.sum(axis=1))

    @property
    def peak(self) -> float:
        """Largest magnitude of the samples as they are; 0 without any."""
        return max(self.highest, -self.lowest) if self.frames else 0.0

    @property
    def mean(self) -> float:
        """Of all samples; 0 without any."""
        total = sum(float(sums.sum()) for sums in self._sums) + float(self._rest.sum())
        return total / self.frames if self.frames else 0.0

    @property
    def offset(self) -> float:
        """The mean, or 0 where `levels.offset_of` calls it negligible."""
        return offset_of(self.mean, self.active_level_db)

    @property
    def peak_without_offset(self) -> float:
        """Largest magnitude of the samples less `offset`."""
        offset = self.offset
        return max(self.highest - offset, offset - self.lowest) if self.frames else 0.0

    @property
    def active_level_db(self) -> float:
        """As `levels.active_level_db`, except that what is quieter than -300 dB counts as silence."""
        if self.frames == 0:
            return -math.inf
        mean, energies, sums = self.mean, np.concatenate(self._energies), np.concatenate(self._sums)
        around_mean = energies - 2 * mean * sums + self._frame * mean**2
        around_mean[around_mean < _ROUNDING * energies] = 0.0  # an exact zero came out of a difference
        energies, surplus = with_last_frame(around_mean, self._rest - mean, self._frame)
        return levels_of_frames(energies, surplus, self.frames, self._frame)[1]


class _Rail:
    """The highest sample so far (`height`), and how many lie there in runs of three or more (`flat`)."""

    def __init__(self) -> None:
        self.height = -math.inf
        self._in_runs = self._last_run = 0  # the last run may go on in the next block

    @property
    def flat(self) -> int:
        return self._in_runs + self._counted(self._last_run)

    def add(self, block: NDArray) -> None:
        highest = float(block.max())
        if highest > self.height:
            self.height, self._in_runs, self._last_run = highest, 0, 0
        at_rail = block == self.height
        edges = np.flatnonzero(np.diff(at_rail, prepend=False, append=False))
        runs = edges[1::2] - edges[::2]
        if at_rail[0]:
            runs[0] += self._last_run
        else:
            self._in_runs += self._counted(self._last_run)
        self._last_run = int(runs[-1]) if at_rail[-1] else 0
        ended = runs[:-1] if at_rail[-1] else runs
        self._in_runs += int(ended[ended >= _SHORTEST_RUN].sum())

    @staticmethod
    def _counted(run: int) -> int:
        return run if run >= _SHORTEST_RUN else 0
