"""Levels of waveforms in numpy: RMS, active level, SNR, clipping. All in dB relative to full scale 1.0.

Nothing here depends on the absolute level of a recording: scaling a waveform by g moves its levels by
20 log10 |g| and changes nothing else. Exact silence has the level -inf, and never raises or warns.

Nor does anything depend on an offset (a mean that is not zero, as cheap converters add): nobody hears it. All
levels, and with them SNRs, gains and silence, are those of a waveform without the mean of the whole of it.
"""

import math

import numpy as np
from numpy.typing import NDArray

FRAME_SECONDS = 0.020
ACTIVE_RANGE_DB = 40.0
PEAK_LIMIT = 0.99
SILENT_PEAK = 1 / 32768  # one step of 16 bits: what never leaves it is silence, whatever the format
NEGLIGIBLE_OFFSET_DB = -30.0
"""A mean so far below the active level is none: it changes a level by 0.004 dB."""
_ACTIVE_RANGE = 10.0 ** (-ACTIVE_RANGE_DB / 10.0)
_TOO_SMALL_TO_SQUARE = 1e-30  # mean squares below this have lost digits in float32


def db_to_gain(db: float) -> float:
    """A factor of amplitude from decibels.

    >>> db_to_gain(20)
    10.0
    """
    return float(10.0 ** (db / 20.0))


def gain_to_db(gain: float) -> float:
    """A factor of amplitude in decibels; -inf for 0.

    >>> gain_to_db(10.0), gain_to_db(0)
    (20.0, -inf)
    """
    return 20.0 * math.log10(gain) if gain > 0 else -math.inf


def without_mean(samples: NDArray) -> NDArray:
    """(T,) of floating point less its mean; a constant becomes exact zeros.

    >>> without_mean(np.array([1.0, 2.0, 3.0]))
    array([-1.,  0.,  1.])
    """
    if len(samples) == 0 or (samples[0] == samples[-1] and (samples == samples[0]).all()):
        return np.zeros_like(samples)  # which a rounded mean would miss
    return samples - samples.dtype.type(samples.mean(dtype=np.float64))


def offset_of(mean: float, active_level_db: float) -> float:
    """`mean`, or 0 where it is negligible beside the active level of the signal around it."""
    negligible = gain_to_db(abs(mean)) <= active_level_db + NEGLIGIBLE_OFFSET_DB
    return 0.0 if negligible or active_level_db == -math.inf else mean


def has_steady_mean(samples: NDArray) -> bool:
    """Whether the mean of (T,) is an offset and not slow rumble: whether it is alike in each quarter."""
    means = [float(part.mean(dtype=np.float64)) for part in np.array_split(samples, 4) if len(part)]
    return bool(means) and float(np.std(means)) < abs(float(np.mean(means))) / 2


def rms_db(samples: NDArray) -> float:
    """Root mean square of all samples (T,) around their mean, in dB; -inf for silence or an empty input.

    >>> round(rms_db(np.array([0.5, -0.5])), 4)
    -6.0206
    """
    samples = without_mean(samples)
    power = float(np.dot(samples, samples)) / len(samples) if len(samples) else 0.0
    if power < _TOO_SMALL_TO_SQUARE and samples.dtype == np.float32:
        wide = samples.astype(np.float64)
        power = float(np.dot(wide, wide)) / max(len(samples), 1)
    return _power_to_db(power)


def active_level_db(samples: NDArray, sample_rate: int) -> float:
    """RMS over the active frames of (T,): those of 20 ms within 40 dB of the loudest one. -inf for silence.

    The idea is that of ITU-T P.56 (the level of speech is that of its active part, so pauses do not lower
    it), with a plain rule in place of its envelope follower: no hangover, and a threshold that hangs on the
    loudest frame, so that it works as well for a gun shot followed by nothing and for files with exact zeros
    in the pauses. The last, shorter frame counts with its own length.

    >>> tone = np.sin(np.arange(16_000))
    >>> with_pause = np.append(tone, np.zeros(16_000))
    >>> round(rms_db(with_pause) - rms_db(tone), 2)
    -3.01
    >>> round(abs(active_level_db(with_pause, 16_000) - active_level_db(tone, 16_000)), 2)
    0.0
    """
    return rms_and_active_level_db(samples, sample_rate)[1]


def rms_and_active_level_db(samples: NDArray, sample_rate: int) -> tuple[float, float]:
    """`rms_db` and `active_level_db` of (T,) in one pass."""
    if len(samples) == 0:
        return -math.inf, -math.inf
    samples = without_mean(samples)
    frame = frame_length(sample_rate)
    whole = len(samples) // frame * frame
    frames = samples[:whole].reshape(-1, frame)
    energies, surplus = with_last_frame(np.einsum("ij,ij->i", frames, frames), samples[whole:], frame)
    if float(energies.max()) < _TOO_SMALL_TO_SQUARE and samples.dtype == np.float32 and samples.any():
        return rms_and_active_level_db(samples.astype(np.float64), sample_rate)
    return levels_of_frames(energies, surplus, len(samples), frame)


def frame_length(sample_rate: int) -> int:
    """Samples in a frame, of which levels are made.

    >>> frame_length(16_000)
    320
    """
    return max(1, round(FRAME_SECONDS * sample_rate))


def with_last_frame(energies: NDArray, rest: NDArray, frame: int) -> tuple[NDArray, float]:
    """Energies (sums of squares) of frames and of a shorter last one, and how much too high the last one is.

    The shorter one, of the samples `rest`, is counted as if it went on as it is, so that it compares with
    the others.
    """
    if len(rest) == 0:
        return energies, 0.0
    energy = float(np.dot(rest, rest))
    extended = energy * frame / len(rest)
    return np.append(energies.astype(np.float64), extended), extended - energy


def levels_of_frames(energies: NDArray, surplus: float, samples: int, frame: int) -> tuple[float, float]:
    """RMS and active level of `samples` samples from what `with_last_frame` returns."""
    active = energies >= float(energies.max()) * _ACTIVE_RANGE
    missing = -samples % frame  # what the last frame lacks in samples, and too much was counted for it
    count = int(np.count_nonzero(active)) * frame - (missing if active[-1] else 0)
    rms = _power_to_db((float(energies.sum()) - surplus) / samples)
    return rms, _power_to_db((float(energies[active].sum()) - (surplus if active[-1] else 0.0)) / count)


def snr_db(clean: NDArray, noise: NDArray, sample_rate: int) -> float:
    """Active level of the speech above that of the noise, in dB; inf without noise, -inf without speech.

    >>> speech = np.sin(np.arange(16_000))
    >>> round(snr_db(speech, 0.1 * speech, 16_000), 4)
    20.0
    """
    clean_db, noise_db = active_level_db(clean, sample_rate), active_level_db(noise, sample_rate)
    if clean_db == noise_db == -math.inf:
        return math.nan
    return clean_db - noise_db


def peak(samples: NDArray) -> float:
    """Largest magnitude; 0 for an empty input.

    >>> peak(np.array([0.5, -0.8]))
    0.8
    """
    return float(max(samples.max(), -samples.min())) if samples.size else 0.0


def clipping_guard(*signals: NDArray) -> float:
    """The one factor (at most 1) that keeps all signals within PEAK_LIMIT, to be applied to each of them.

    >>> clipping_guard(np.array([0.3]), np.array([1.98]))
    0.5
    """
    return gain_within(PEAK_LIMIT, max(peak(signal) for signal in signals))


def gain_within(limit: float, highest: float) -> float:
    """The factor (at most 1) that brings a peak of `highest` within `limit`.

    >>> gain_within(0.99, 1.98), gain_within(0.99, 0.5)
    (0.5, 1.0)
    """
    return limit / highest if highest > limit else 1.0


def _power_to_db(power: float) -> float:
    return 10.0 * math.log10(power) if power > 0 else -math.inf
