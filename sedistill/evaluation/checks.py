"""What every metric asks of a clip before it says a number, and what it says instead of one."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

SILENCE_PEAK = 1e-6
"""A clip whose peak about its mean is below this (-120 dB of full scale) counts as silent."""


class MetricUndefined(Exception):  # noqa: N818 - not an error, an answer
    """The metric has no value on this clip; the message is the reason, fit for a table."""


def checked(samples: ArrayLike, name: str) -> NDArray[np.float64]:
    """A float64 copy (samples,); ValueError for other shapes, MetricUndefined for silence and NaN."""
    array = np.array(samples, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(
            f"the {name} must have shape (samples,), not {array.shape}; give one channel at a time"
        )
    if not np.isfinite(array).all():
        raise MetricUndefined(f"the {name} has NaN or infinite samples")
    if not len(array) or np.abs(array - array.mean()).max() < SILENCE_PEAK:
        raise MetricUndefined(f"the {name} is silent")
    return array


def checked_pair(clean: ArrayLike, estimate: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both `checked`, and of one length (else ValueError)."""
    reference, enhanced = checked(clean, "clean reference"), checked(estimate, "estimate")
    if reference.shape != enhanced.shape:
        raise ValueError(f"clean has {len(reference)} samples, the estimate {len(enhanced)}: not one clip")
    return reference, enhanced


def at_rate(samples: NDArray[np.float64], sample_rate: int, wanted_rate: int) -> NDArray[np.float64]:
    """The clip at `wanted_rate` Hz."""
    if sample_rate == wanted_rate:
        return samples
    from sedistill.audio.resampling import resample

    return resample(samples, sample_rate, wanted_rate)


def finite(score: float, name: str) -> float:
    """The score, or MetricUndefined where a package gave NaN or an infinity."""
    if not np.isfinite(score):
        raise MetricUndefined(f"{name} came out as {score}")
    return float(score)
