"""Speech that was clipped and then turned down, resampled or coded: its samples crowd below a level.

Such speech no longer lies flat at its highest value: filters and codecs put ripples on the flat tops. But its
amplitudes crowd at the level of the tops, where those of speech grow ever rarer.
"""

import numpy as np
from numpy.typing import NDArray

STEP = 1 / 32768
FEWEST_STEPS = 128
"""Between the lowest and the highest sample; in fewer, rounding alone flattens tops and crowds amplitudes."""

_RANGE = 2.0  # floating point files may go beyond full scale
_PER_DB = 10  # bins
_WINDOW = 11  # bins: 1.1 dB
_BELOW = (15, 70)  # bins between a level and those it is compared with
_SEARCHED = 60  # bins below the highest amplitude: ripples of a codec go that far above the tops
_CROWDED = 3.2  # a steady tone has 2.9; 1,455 recordings of real speech had 1.3 at most
_LEAST_SHARE = 0.005  # of all samples, for a crowd


class AmplitudeHistogram:
    """How often each amplitude of 16 bits occurs in a recording that comes block by block."""

    def __init__(self) -> None:
        self._counts = np.zeros(round(2 * _RANGE / STEP) + 1, np.int64)
        self._beyond = 0

    def add(self, block: NDArray) -> None:
        """Take the next block (T,) of finite samples into account."""
        if len(block) and max(block.max(), -block.min()) > _RANGE:
            inside = block[np.abs(block) <= _RANGE]
            self._beyond += len(block) - len(inside)
            block = inside
        if len(block):
            places = np.rint(block / STEP).astype(np.int64) + round(_RANGE / STEP)
            lowest = int(places.min())
            counts = np.bincount(places - lowest)
            self._counts[lowest : lowest + len(counts)] += counts

    @property
    def has_few_steps(self) -> bool:
        """Whether so few amplitudes occur that a flat top says nothing."""
        return not self._beyond and int(np.count_nonzero(self._counts)) < FEWEST_STEPS

    @property
    def crowded_share(self) -> float:
        """Share of the samples in a crowd near the highest or lowest amplitudes; 0 where there is none."""
        if self._beyond or self.has_few_steps:
            return 0.0
        places = np.flatnonzero(self._counts)  # some thousands of 131 073
        counts = self._counts[places]
        total = int(counts.sum())
        amplitudes = places * STEP - _RANGE
        amplitudes -= float(np.dot(amplitudes, counts)) / total  # around an offset
        return sum(_crowd(sign * amplitudes, counts, total) for sign in (1, -1))


def _crowd(amplitudes: NDArray, counts: NDArray, total: int) -> float:
    loud = amplitudes > STEP
    bins = np.floor(20 * _PER_DB * np.log10(amplitudes[loud] / STEP)).astype(np.int64)
    by_level = np.bincount(bins, weights=counts[loud], minlength=_WINDOW)
    around = np.convolve(by_level, np.ones(_WINDOW), "same")
    highest = int(np.flatnonzero(by_level)[-1]) if by_level.any() else 0
    nearest, furthest = _BELOW
    for level in range(highest, max(highest - _SEARCHED, furthest), -1):
        if around[level] >= _LEAST_SHARE * total:
            usual = around[level - furthest : level - nearest + 1].max()
            if around[level] > _CROWDED * usual:
                return float(around[level]) / total
    return 0.0
