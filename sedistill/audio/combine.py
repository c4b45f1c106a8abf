"""Waveforms put together: speech and noise at an SNR, and recordings end to end."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sedistill.audio import levels


def mix_at_snr(
    clean: NDArray,
    noise: NDArray,
    snr_db: float,
    level_db: float,
    clean_level_db: float,
    noise_level_db: float,
    clean_peak: float = math.inf,
    noise_peak: float = math.inf,
) -> tuple[NDArray, NDArray, float]:
    """Scale speech to `level_db` and noise to `snr_db` below it, add, and guard against clipping.

    Args:
        clean, noise: (T,) each; both are overwritten, since fresh memory costs more than the arithmetic.
        clean_level_db, noise_level_db: their levels as they are, on whatever measure the SNR is meant in.
        clean_peak, noise_peak: no sample is larger than this; where known, and low enough, nothing can clip
            and nothing is measured.

    Returns: noisy, clean, and the factor (at most 1) both were multiplied by to stay below 0.99.

    Speech at -20 dB and noise 10 dB below it, both measured as RMS:

    >>> speech, noise = np.array([0.5, -0.5]), np.array([1.0, 1.0])
    >>> noisy, clean, guard = mix_at_snr(
    ...     speech, noise, snr_db=10, level_db=-20, clean_level_db=levels.gain_to_db(0.5), noise_level_db=0
    ... )
    >>> clean, (noisy - clean).round(4), guard
    (array([ 0.1, -0.1]), array([0.0316, 0.0316]), 1.0)
    """
    clean_gain = levels.db_to_gain(level_db - clean_level_db)
    noise_gain = levels.db_to_gain(level_db - snr_db - noise_level_db)
    clean *= clean_gain
    noise *= noise_gain
    noisy = noise
    noisy += clean
    if clean_peak * clean_gain + noise_peak * noise_gain <= levels.PEAK_LIMIT:
        return noisy, clean, 1.0
    guard = levels.clipping_guard(noisy, clean)
    if guard < 1.0:
        noisy *= guard
        clean *= guard
    return noisy, clean, guard


def join(pieces: Sequence[NDArray], crossfade: int) -> NDArray:
    """Join waveforms (T_i,) with equal-power cross-fades of `crossfade` samples.

    Squared fading gains add up to one, so that joined recordings, which are not alike sample by sample,
    keep their power across the joint.

    >>> join([np.ones(3), np.ones(3)], crossfade=0)
    array([1., 1., 1., 1., 1., 1.])
    >>> len(join([np.ones(3), np.ones(3)], crossfade=2))
    4
    """
    joined = np.empty(sum(map(len, pieces)) - crossfade * (len(pieces) - 1), dtype=pieces[0].dtype)
    rise = np.sin(np.linspace(0.0, np.pi / 2, crossfade, endpoint=False) + np.pi / 4 / max(crossfade, 1))
    rise = rise.astype(joined.dtype)
    end = 0
    for number, piece in enumerate(pieces):
        start = end - crossfade if number else 0
        if number and crossfade:
            faded = joined[start:end] * rise[::-1] + piece[:crossfade] * rise
            joined[start : start + len(piece)] = piece
            joined[start:end] = faded
        else:
            joined[start : start + len(piece)] = piece
        end = start + len(piece)
    return joined
