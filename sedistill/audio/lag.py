"""Is one waveform in another, and how much later? Cross-correlation, made sharp by whitening.

The smoothed spectrum of the noisy waveform weighs the correlation: what is loud only because of noise, or of
the low frequencies of a voice, counts less (a matched filter). Level and polarity do not matter.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SMOOTH_HZ = 60.0
_QUIETEST_BIN = 1e-6  # of the loudest one; below lies what a codec or a low sample rate left empty
_PEAK_SECONDS = 0.02  # other peaks nearer than this are the shape of the peak itself
_NEAR_SECONDS = 0.1
_BEFORE_SECONDS = 0.02


@dataclass(frozen=True)
class Correlation:
    """The highest peak of the whitened cross-correlation of two waveforms, and what lies around it.

    Attributes:
        lag: samples by which the first waveform is later than the second.
        height: of the peak, 1 for a delayed copy, some 0.02 for two recordings of a few seconds; negative
            where the polarity is inverted.
        over_others: its height over that of the next peak elsewhere; near 1 for periodic sound.
        over_zero: its height over that at no lag (one sample beside counts too).
        sharpness: share of the peak in the power within 0.1 s of it; low under reverberation.
        near_zero: power from 20 ms before to 100 ms after no lag, over the mean power at all lags.
    """

    lag: int
    height: float
    over_others: float
    over_zero: float
    sharpness: float
    near_zero: float


def correlate(noisy: NDArray, clean: NDArray, sample_rate: int) -> Correlation | None:
    """The correlation of two waveforms (T,); None where one of them is silent.

    >>> clean = np.random.default_rng(0).normal(size=16_000)
    >>> correlate(np.roll(clean, 80), clean, 16_000).lag
    80
    """
    noisy, clean = (np.asarray(side, dtype=np.float32) - np.float32(side.mean()) for side in (noisy, clean))
    size = _fast_size(len(noisy) + len(clean))
    ours, theirs = np.fft.rfft(noisy, size), np.fft.rfft(clean, size)
    power = _smoothed(np.abs(ours).astype(np.float64) ** 2, max(1, round(_SMOOTH_HZ * size / sample_rate)))
    if not (0 < power.max() < np.inf and 0 < np.abs(theirs).max() < np.inf):
        return None
    weight = 1 / np.maximum(power, _QUIETEST_BIN * power.max())
    energies = [float(np.sum(np.abs(side) ** 2 * weight)) * 2 / size for side in (ours, theirs)]
    correlation = np.fft.irfft(ours * np.conj(theirs) * weight, size) / np.sqrt(energies[0] * energies[1])
    return _described(correlation, sample_rate)


def _described(correlation: NDArray, sample_rate: int) -> Correlation:
    size, heights = len(correlation), np.abs(correlation)
    peak = int(heights.argmax())
    height = float(heights[peak])

    def around(place: int, before: float, after: float) -> NDArray[np.int64]:
        return np.arange(place - round(before * sample_rate), place + round(after * sample_rate) + 1) % size

    others = heights.copy()
    others[around(peak, _PEAK_SECONDS, _PEAK_SECONDS)] = 0
    at_zero = max(heights[0], heights[1], heights[-1])
    near_peak = np.sum(correlation[around(peak, _NEAR_SECONDS, _NEAR_SECONDS)] ** 2)
    near_zero = np.mean(correlation[around(0, _BEFORE_SECONDS, _NEAR_SECONDS)] ** 2)
    tiny = float(np.finfo(np.float32).tiny)
    return Correlation(
        lag=peak if peak < size // 2 else peak - size,
        height=float(correlation[peak]),
        over_others=height / max(float(others.max()), tiny),
        over_zero=height / max(float(at_zero), tiny),
        sharpness=height**2 / max(float(near_peak), tiny),
        near_zero=float(near_zero / max(np.mean(correlation**2), tiny)),
    )


def _fast_size(least: int) -> int:
    """A size for a quick transform, at least so large: a small odd factor times a power of two."""
    return min(odd << max(0, (-(-least // odd) - 1).bit_length()) for odd in (1, 3, 5, 9, 15))


def _smoothed(power: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """The mean over the bins up to `reach` away."""
    sums = np.concatenate([[0.0], np.cumsum(power)])
    bins = np.arange(len(power))
    low, high = np.maximum(bins - reach, 0), np.minimum(bins + reach + 1, len(power))
    return (sums[high] - sums[low]) / (high - low)
