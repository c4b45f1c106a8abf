"""The category a patch ends in after a training (DISPatch 2025, section 2.1)."""

import numpy as np
from numpy.typing import NDArray

CATEGORIES = ("converging", "converged", "challenging", "exploding")
CONVERGING, CONVERGED, CHALLENGING, EXPLODING = range(4)

ROUNDING = 1e-12  # the mean of equal errors may come out a last place below them; they count as at the mean


def categorize(
    changes: NDArray[np.float64],
    last: NDArray[np.float64],
    converging_below: float = -0.01,
    exploding_above: float = 0.01,
) -> NDArray[np.int8]:
    """The category of each patch of ONE clip, as an index into CATEGORIES, in the shape of `changes`.

    Converging: Delta e < converging_below; exploding: Delta e > exploding_above. Of the others, bounds
    included, those whose last error is at most its mean over the clip's patches (equation 3) have converged,
    the rest is challenging. The thresholds are the paper's; they go with its level and its sum over bins.
    Raises ValueError for errors that are not finite: they would all count as challenging.

    >>> categories = categorize(np.array([-1.0, 0.0, 0.0, 1.0]), last=np.array([1.0, 1.0, 9.0, 1.0]))
    >>> [CATEGORIES[category] for category in categories]
    ['converging', 'converged', 'challenging', 'exploding']
    """
    if not (np.isfinite(changes).all() and np.isfinite(last).all()):
        raise ValueError("patch errors that are not finite have no category")
    highest_converged = last.mean() * (1 + ROUNDING)
    stable = np.where(last <= highest_converged, CONVERGED, CHALLENGING)
    moving = np.where(changes > exploding_above, EXPLODING, stable)
    return np.where(changes < converging_below, CONVERGING, moving).astype(np.int8)
