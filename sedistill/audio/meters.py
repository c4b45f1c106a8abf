"""Levels of a recording that comes block by block; they are those of the whole, wherever it was cut.

Blocks are (T,) of float32, of any length, and finite.
"""

import math

import numpy as np
from numpy.typing import NDArray

from sedistill.audio.levels import SILENT_PEAK, frame_length, levels_of_frames, peak, with_last_frame

_SHORTEST_RUN = 3


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
    """Length, peak and active level of a recording. Of its samples only the energies of frames are kept."""

    def __init__(self, sample_rate: int) -> None:
        self.frames, self.peak = 0, 0.0
        self._frame = frame_length(sample_rate)
        self._energies: list[NDArray] = []
        self._rest = np.zeros(0, np.float32)

    def add(self, block: NDArray) -> None:
        """Take the next block into account."""
        self.frames += len(block)
        self.peak = max(self.peak, peak(block))
        samples = np.concatenate([self._rest, block])
        whole = len(samples) // self._frame * self._frame
        frames, self._rest = samples[:whole].reshape(-1, self._frame), samples[whole:].copy()
        self._energies.append(np.einsum("ij,ij->i", frames, frames))

    @property
    def active_level_db(self) -> float:
        """As `levels.active_level_db`, except that what is quieter than -300 dB counts as silence."""
        if self.frames == 0:
            return -math.inf
        energies, surplus = with_last_frame(np.concatenate(self._energies), self._rest, self._frame)
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
