"""Whether paired differences differ from nothing: t-test, Wilcoxon, intervals, effect size, Holm, shares.

Everything takes plain arrays of differences, one a pair, whatever seeds they are of. Where pairs are not
independent, `Clusters` says which belong together, and errors and degrees of freedom are theirs. Tests are
two-tailed, intervals hold 95 %. The tests are written out here because what SciPy's Wilcoxon does with ties
and small samples changed between its versions; SciPy gives the distribution functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sedistill.common.extras import needed
from sedistill.evaluation.comparing.clusters import Clusters

CONFIDENCE = 0.95
EXACT_WILCOXON_UP_TO = 50
"""Pairs up to which the null distribution of the signed-rank sum is counted out; beyond it is normal."""

ROUNDING = 1e-12
"""Differences that vary by less than this share of their size are equal but for rounding."""


@dataclass(frozen=True)
class PairedTest:
    """What `n` paired differences say about the mean difference. What they cannot say is NaN.

    Attributes
        mean, sd: of the differences; sd with n - 1.
        low, high: the 95 % interval of the mean, from Student's t.
        t, p_t: the paired t-test (Student, 1908), two-tailed, n - 1 degrees of freedom; between clusters
            with their error and degrees of freedom.
        p_wilcoxon: the signed-rank test (Wilcoxon, 1945), two-tailed; NaN between clusters.
        d_z: mean / sd (Cohen, 1988, section 2.3.5): the effect in standard deviations of a difference.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    t: float
    p_t: float
    p_wilcoxon: float
    d_z: float


@dataclass(frozen=True)
class Share:
    """A ratio of two means of paired differences, with its 95 % interval."""

    value: float
    low: float
    high: float


def paired_test(differences: ArrayLike, clusters: Clusters | None = None) -> PairedTest:
    """Test finite paired differences (n,) against zero.

    `clusters` says which of them are not independent; None: all are.

    One pair has a mean and nothing else, none has nothing. Differences that are all equal have no spread to
    test the mean against: p_t and d_z are NaN, unless all are zero, where p_t is 1 and d_z 0. Raises
    ValueError for what is not a row of finite numbers.

    >>> test = paired_test([1.0, 2.0, 3.0])
    >>> test.mean, test.sd, round(test.t, 3), round(test.p_t, 3)
    (2.0, 1.0, 3.464, 0.074)
    """
    values = _finite_row(differences)
    n = len(values)
    mean = float(values.mean()) if n else np.nan
    if n < 2:
        return PairedTest(n, mean, *[np.nan] * 7)
    sd = float(values.std(ddof=1))
    p_wilcoxon = wilcoxon(values) if clusters is None or clusters.independent else np.nan
    if sd <= ROUNDING * np.abs(values).max():
        t, p_t, d_z = (0.0, 1.0, 0.0) if mean == 0 else (np.nan, np.nan, np.nan)
        return PairedTest(n, mean, 0.0, mean, mean, t, p_t, p_wilcoxon, d_z)
    error, freedom = standard_error(values, clusters)
    if np.isnan(error):
        return PairedTest(n, mean, sd, np.nan, np.nan, np.nan, np.nan, p_wilcoxon, mean / sd)
    t, half_width = mean / error, t_quantile(freedom) * error
    p_t = float(2 * _special().stdtr(freedom, -abs(t)))
    return PairedTest(n, mean, sd, mean - half_width, mean + half_width, float(t), p_t, p_wilcoxon, mean / sd)


def standard_error(values: NDArray[np.float64], clusters: Clusters | None) -> tuple[float, int]:
    """Of the mean of values (n,), with its degrees of freedom; NaN where all share one recording or n < 2."""
    if len(values) < 2:
        return np.nan, 0
    covariances, freedom = _covariances(values[None], clusters)
    variances = [float(covariance[0, 0]) for covariance in covariances]
    return float(np.sqrt(max(variances))) if variances else np.nan, freedom


def _covariances(
    values: NDArray[np.float64], clusters: Clusters | None
) -> tuple[list[NDArray[np.float64]], int]:
    """Of the means of values (rows, n): estimates, the largest to be used, and their degrees of freedom."""
    n = values.shape[1]
    if clusters is None or clusters.independent:
        return [np.atleast_2d(np.cov(values)) / n], n - 1
    return clusters.covariances(values), clusters.fewest - 1


def t_quantile(degrees_of_freedom: int) -> float:
    """Half the width of a 95 % interval in standard errors.

    >>> round(t_quantile(10), 3)
    2.228
    """
    return float(_special().stdtrit(degrees_of_freedom, (1 + CONFIDENCE) / 2))


def wilcoxon(differences: ArrayLike) -> float:
    """Two-tailed p of Wilcoxon's signed-rank test of finite differences (n,).

    Zeros are left out and equal sizes share their mean rank, as Wilcoxon did. Up to 50 pairs p is exact,
    given the ranks, ties included; beyond, it is the normal approximation without continuity correction.
    1 where every difference is zero.

    Three differences of one sign happen in 2 of 2^3 cases:

    >>> wilcoxon([0.1, 0.2, 0.4])
    0.25
    """
    values = _finite_row(differences)
    values = values[values != 0]
    if not len(values):
        return 1.0
    doubled = _doubled_ranks(np.abs(values))
    positive = int(doubled[values > 0].sum())
    smaller = min(positive, int(doubled.sum()) - positive)
    if len(values) > EXACT_WILCOXON_UP_TO:
        z = (smaller - doubled.sum() / 2) / np.sqrt((doubled.astype(float) ** 2).sum() / 4)
        return float(2 * _special().ndtr(z))
    return min(1.0, float(2 * _signed_rank_distribution(doubled)[: smaller + 1].sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for testing a whole family of hypotheses (Holm, 1979).

    Where nothing differs, the chance that any of them falls below 0.05 is at most 0.05, however the tests
    depend on each other. NaN stays and does not count: no test was made.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    known = sorted((p, position) for position, p in enumerate(p_values) if not np.isnan(p))
    corrected, largest = [np.nan] * len(p_values), 0.0
    for rank, (p, position) in enumerate(known):
        largest = max(largest, (len(known) - rank) * p)
        corrected[position] = min(1.0, largest)
    return corrected


def share(part: ArrayLike, whole: ArrayLike, clusters: Clusters | None = None) -> Share | None:
    """mean(part) / mean(whole) of differences (n,) paired with each other, with Fieller's interval (1954).

    The interval holds every ratio r for which a t-test does not tell the mean of part - r whole from zero. It
    is bounded exactly when the mean of `whole` itself differs from zero at the same level; else None. Between
    clusters it holds what any of their estimates does.

    >>> found = share([0.9, 1.1, 1.0, 1.0], [2.1, 1.9, 2.0, 2.0])
    >>> found.value, found.low < 0.5 < found.high
    (0.5, True)
    """
    part, whole = _finite_row(part), _finite_row(whole)
    if len(part) != len(whole):
        raise ValueError(f"{len(part)} differences cannot be paired with {len(whole)}.")
    n = len(whole)
    if n < 2:
        return None
    covariances, freedom = _covariances(np.stack([part, whole]), clusters)
    bounds = [_fieller(part.mean(), whole.mean(), one * t_quantile(freedom) ** 2) for one in covariances]
    known = [bound for bound in bounds if bound is not None]
    if not known or len(known) < len(bounds):
        return None
    return Share(
        float(part.mean() / whole.mean()), min(low for low, _ in known), max(high for _, high in known)
    )


def _fieller(a: float, b: float, spread: NDArray[np.float64]) -> tuple[float, float] | None:
    """The interval of a / b; `spread` is the covariance of both times the squared quantile."""
    aa, ab, bb = spread[[0, 0, 1], [0, 1, 1]]
    denominator = b**2 - bb
    if denominator <= 0:
        return None
    middle = (a * b - ab) / denominator
    half_width = np.sqrt(max(0.0, middle**2 - (a**2 - aa) / denominator))
    return float(middle - half_width), float(middle + half_width)


def _doubled_ranks(sizes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Twice the rank of each size: an integer, also where equal sizes share their mean rank."""
    _, group, count = np.unique(sizes, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (2 * last - count + 1)[group]


def _signed_rank_distribution(doubled_ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probability of each doubled sum of positive ranks, when every sign is a fair coin."""
    probability = np.zeros(int(doubled_ranks.sum()) + 1)
    probability[0] = 1.0
    for rank in doubled_ranks:
        probability /= 2
        probability[rank:] += probability[:-rank].copy()
    return probability


def _finite_row(values: ArrayLike) -> NDArray[np.float64]:
    row = np.asarray(values, dtype=np.float64)
    if row.ndim != 1 or not np.isfinite(row).all():
        raise ValueError(f"differences must be finite and of shape (n,), not {row.shape}.")
    return row


def _special() -> ModuleType:
    return needed("scipy.special", "eval", "comparing", package="scipy")
