"""Do the noisy and the clean file of a pair belong together, sample by sample?

Measured on 31 real pairs, mixtures of real speech and noise down to -20 dB, 131 room responses, and pairs put
together wrongly.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sedistill.audio.lag import Correlation, correlate

Read = Callable[[int, int], tuple[NDArray, NDArray]]
"""(start, frames) -> that part of noisy and clean."""

FITS, SHIFTED, DRIFTS, UNRELATED, UNKNOWN = "fits", "shifted", "drifts", "unrelated", "unknown"

TRUSTED = "pairs_trusted"
"""In corpus.yaml and set.yaml: pairs that do not fit were kept on demand."""

WHOLE_SECONDS, STRETCH_SECONDS = 30.0, 20.0
"""Up to the first a pair is looked at as a whole, a longer one in three stretches of the second."""
SHORTEST_SECONDS = 0.5  # shorter ones cannot be told
LARGEST_FITTING_LAG = 1  # samples
# Other recordings stay below RELATED (0.07 at most, 0.01 to 0.04 usually); mixtures at -10 dB reach 0.2.
RELATED, RELATED_NEAR_ZERO = 0.085, 10.0
# Under reverberation a late reflection may be the highest peak: only a peak that stands alone is a lag.
_ALONE, _OVER_ZERO, _SHARP, _LONG_SECONDS = 2.0, 2.0, 0.04, 0.02
_SURE_HEIGHT, _SURE_OVER_ZERO = 0.2, 4.0  # of periodic sound, whose peaks repeat
_DRIFT_SAMPLES, _HALF_SECONDS = 3, 2.0


@dataclass(frozen=True)
class PairFit:
    """What was found. `lag` is in samples, positive where noisy is late; `other_lag` that of a later part."""

    verdict: str
    lag: int = 0
    other_lag: int = 0
    height: float = 0.0

    @property
    def is_inverted(self) -> bool:
        """Whether noisy has the opposite polarity of clean (which is no misalignment)."""
        return self.height < 0 and self.verdict in (FITS, SHIFTED)

    @property
    def is_wrong(self) -> bool:
        return self.verdict in (SHIFTED, DRIFTS, UNRELATED)

    def text(self, sample_rate: int) -> str:
        """ "is 800 samples (50.0 ms) late", with the noisy file as the subject."""
        if self.verdict == SHIFTED:
            way = "late" if self.lag > 0 else "early"
            return f"is {abs(self.lag)} samples ({1000 * abs(self.lag) / sample_rate:.1f} ms) {way}"
        if self.verdict == DRIFTS:
            return f"drifts, from {self.lag:+d} to {self.other_lag:+d} samples against its clean partner"
        if self.verdict == UNRELATED:
            return f"does not hold its clean partner in any alignment (correlation {abs(self.height):.2f})"
        return "fits"


def measure_fit(read: Read, frames: int, sample_rate: int) -> PairFit:
    """Look at a pair of `frames` samples. Memory does not grow with the length."""
    if frames < SHORTEST_SECONDS * sample_rate:
        return PairFit(UNKNOWN)
    stretches = _stretches(read, frames, sample_rate)
    found = [one for stretch in stretches if (one := correlate(*read(*stretch), sample_rate)) is not None]
    if not found:
        return PairFit(UNKNOWN)
    best = max(found, key=lambda one: abs(one.height))
    if not any(_is_related(one) for one in found):
        return PairFit(UNRELATED, height=best.height)
    if len(stretches) == 1 and frames >= 2 * _HALF_SECONDS * sample_rate:
        halves = [(0, frames // 2), (frames // 2, frames - frames // 2)]
        found = [one for half in halves if (one := correlate(*read(*half), sample_rate)) is not None]
    lags = [one.lag for one in found if abs(one.height) >= RELATED and one.over_others >= _ALONE]
    sharp = all(one.sharpness >= _SHARP for one in found)
    if len(lags) > 1 and sharp and max(lags) - min(lags) >= _DRIFT_SAMPLES:
        return PairFit(DRIFTS, lags[0], lags[-1], best.height)
    if _is_shifted(best, sample_rate):
        return PairFit(SHIFTED, best.lag, height=best.height)
    return PairFit(FITS, height=best.height)


def fit_of_arrays(noisy: NDArray, clean: NDArray, sample_rate: int) -> PairFit:
    """The same of two waveforms (T,) in memory."""
    frames = min(len(noisy), len(clean))
    return measure_fit(
        lambda start, count: (noisy[start : start + count], clean[start : start + count]), frames, sample_rate
    )


def shared_part(lag: int, noisy_frames: int, clean_frames: int) -> tuple[int, int, int]:
    """(start in noisy, start in clean, samples) of what both share where the noisy file is `lag` late."""
    noisy_start, clean_start = max(lag, 0), max(-lag, 0)
    return noisy_start, clean_start, min(noisy_frames - noisy_start, clean_frames - clean_start)


def _is_related(found: Correlation) -> bool:
    return abs(found.height) >= RELATED or found.near_zero >= RELATED_NEAR_ZERO


def _is_shifted(found: Correlation, sample_rate: int) -> bool:
    if abs(found.lag) <= LARGEST_FITTING_LAG or abs(found.height) < RELATED:
        return False
    if found.over_others < _ALONE:
        return abs(found.height) >= _SURE_HEIGHT and found.over_zero >= _SURE_OVER_ZERO
    is_peak = found.sharpness >= _SHARP or abs(found.lag) > _LONG_SECONDS * sample_rate
    return is_peak and found.over_zero >= _OVER_ZERO


def _stretches(read: Read, frames: int, sample_rate: int) -> list[tuple[int, int]]:
    """(start, frames) of what is looked at: the whole, or the loudest speech of each third."""
    if frames <= WHOLE_SECONDS * sample_rate:
        return [(0, frames)]
    wanted, third = round(STRETCH_SECONDS * sample_rate), frames // 3
    seconds = frames // sample_rate
    power = np.array([_power_of_second(read, second, sample_rate) for second in range(seconds)])
    starts = []
    for part in range(3):
        first, last = part * third // sample_rate, ((part + 1) * third) // sample_rate
        loudest = first + int(power[first : max(last, first + 1)].argmax())
        starts.append(min(max(loudest * sample_rate - wanted // 2, 0), frames - wanted))
    return [(start, wanted) for start in dict.fromkeys(starts)]


def _power_of_second(read: Read, second: int, sample_rate: int) -> float:
    _, clean = read(second * sample_rate, sample_rate)
    return float(np.mean(np.square(clean - clean.mean())))
