"""Paired tests against hand calculations, SciPy, slow counting, and what must not matter."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from sedistill.evaluation.comparing.significance import (
    PairedTest,
    holm,
    paired_test,
    share,
    t_quantile,
    wilcoxon,
)

DIFFERENCES = st.lists(st.integers(-60, 60).map(lambda tenths: tenths / 10), min_size=2, max_size=12)


def test_a_t_test_by_hand() -> None:
    # Differences 1, 2, 3, 6: mean 3, sd sqrt((4 + 1 + 0 + 9) / 3) = 2.1602, t = 3 / (2.1602 / 2) = 2.7775.
    # With 3 degrees of freedom p = 1 - (2 / pi) (arctan x + x / (1 + x^2)), x = t / sqrt(3).
    test = paired_test([1.0, 2.0, 3.0, 6.0])
    x = 2.77746 / math.sqrt(3)
    assert test.mean == 3.0
    assert test.sd == pytest.approx(math.sqrt(14 / 3))
    assert test.t == pytest.approx(2.77746, abs=1e-5)
    assert test.p_t == pytest.approx(1 - 2 / math.pi * (math.atan(x) + x / (1 + x * x)), abs=1e-5)
    assert test.d_z == pytest.approx(3 / math.sqrt(14 / 3))
    half_width = 3.18245 * math.sqrt(14 / 3) / 2  # the table's value for 3 degrees of freedom
    assert (test.low, test.high) == pytest.approx((3 - half_width, 3 + half_width), abs=1e-4)


def test_two_pairs_by_hand() -> None:
    # One degree of freedom is Cauchy's distribution: 12.706 standard errors, p = 1 - (2 / pi) arctan t.
    test = paired_test([0.3, 0.1])
    assert t_quantile(1) == pytest.approx(12.7062, abs=1e-4)
    assert test.t == pytest.approx(2.0)
    assert test.p_t == pytest.approx(1 - 2 / math.pi * math.atan(2))
    assert test.p_wilcoxon == 0.5


def test_wilcoxon_by_hand() -> None:
    # Sizes 1, 2, 3, 4, 5 with only the smallest negative: sums up to 1 are {} and {1}, 2 of 32, two tails.
    assert wilcoxon([-1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(4 / 32)
    # Zeros take no part, and 2, 2 share rank 1.5: of the 8 signs only --- and +++ are as extreme.
    assert wilcoxon([0.0, 2.0, 2.0, 5.0]) == pytest.approx(2 / 8)
    assert wilcoxon([0.0, 0.0]) == 1.0


@given(DIFFERENCES)
def test_wilcoxon_is_what_counting_all_signs_gives(values: list[float]) -> None:
    left = np.array([value for value in values if value != 0])
    ranks = scipy.stats.rankdata(np.abs(left))
    centre = ranks.sum() / 2
    observed = abs(ranks[left > 0].sum() - centre)
    signs = np.array(list(itertools.product((0, 1), repeat=len(left)))).reshape(2 ** len(left), len(left))
    as_extreme = np.abs(signs @ ranks - centre) >= observed - 1e-9
    assert wilcoxon(values) == pytest.approx(as_extreme.mean())


@pytest.mark.parametrize("n", [3, 12, 50, 51, 300])
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_both_tests_are_scipys(n: int, shift: float) -> None:
    values = np.random.default_rng(n).standard_normal(n) + shift
    test = paired_test(values)
    method = "exact" if n <= 50 else "approx"
    assert test.p_t == pytest.approx(scipy.stats.ttest_1samp(values, 0).pvalue, rel=1e-9)
    assert test.p_wilcoxon == pytest.approx(scipy.stats.wilcoxon(values, method=method).pvalue, rel=1e-9)
    low, high = scipy.stats.t.interval(0.95, n - 1, values.mean(), scipy.stats.sem(values))
    assert (test.low, test.high) == pytest.approx((low, high), rel=1e-9)


def test_ties_and_zeros_of_many_pairs_are_scipys() -> None:
    values = np.round(np.random.default_rng(0).standard_normal(200), 1)
    expected = scipy.stats.wilcoxon(values, method="approx", zero_method="wilcox").pvalue
    assert wilcoxon(values) == pytest.approx(expected, rel=1e-9)


def test_many_equal_signs_are_very_unlikely_but_not_impossible() -> None:
    assert wilcoxon(np.arange(1.0, 51.0)) == pytest.approx(2.0**-49)


@given(DIFFERENCES)
def test_swapping_the_sides_changes_the_sign_alone(values: list[float]) -> None:
    test, swapped = paired_test(values), paired_test([-value for value in values])
    close(swapped.p_t, test.p_t)
    close(swapped.p_wilcoxon, test.p_wilcoxon)
    close(swapped.mean, -test.mean)
    close(swapped.d_z, -test.d_z)
    close(swapped.low, -test.high)


@given(DIFFERENCES, st.randoms(use_true_random=False), st.floats(0.01, 100))
def test_neither_order_nor_unit_matters(values: list[float], random: object, unit: float) -> None:
    shuffled = [unit * value for value in values]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    test, other = paired_test(values), paired_test(shuffled)
    close(other.p_t, test.p_t)
    close(other.d_z, test.d_z)
    close(other.mean, unit * test.mean)
    close(other.high, unit * test.high)


@given(DIFFERENCES)
def test_the_interval_holds_zero_exactly_when_the_t_test_is_not_significant(values: list[float]) -> None:
    test = paired_test(values)
    if not math.isnan(test.p_t) and abs(test.p_t - 0.05) > 1e-9:
        assert (test.low <= 0 <= test.high) == (test.p_t >= 0.05)


def test_what_cannot_be_said_is_nan() -> None:
    one = paired_test([0.4])
    assert (one.n, one.mean) == (1, 0.4)
    assert all(math.isnan(value) for value in (one.low, one.p_t, one.p_wilcoxon, one.d_z))
    assert math.isnan(paired_test([]).mean)
    constant = paired_test([0.1 + 0.2, 0.3, 0.3])
    assert constant.mean == constant.low == constant.high == pytest.approx(0.3)
    assert math.isnan(constant.p_t)
    assert math.isnan(constant.d_z)
    assert paired_test([0.0, 0.0, 0.0]) == PairedTest(3, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0)


@pytest.mark.parametrize("wrong", [[1.0, math.nan], [[1.0], [2.0]], 3.0])
def test_only_a_row_of_finite_differences_is_tested(wrong: object) -> None:
    with pytest.raises(ValueError, match="finite"):
        paired_test(wrong)  # type: ignore[arg-type]


def test_holm_by_hand() -> None:
    # In order 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1: 0.04, 0.06, 0.06, then not below the one before.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_tests_that_were_not_made_do_not_count() -> None:
    corrected = holm([0.02, math.nan, 0.01])
    assert math.isnan(corrected[1])
    assert corrected[0] == pytest.approx(0.02)
    assert corrected[2] == pytest.approx(0.02)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_keeps_order_and_lies_between_none_and_bonferroni(p_values: list[float]) -> None:
    corrected = holm(p_values)
    for p, q in zip(p_values, corrected, strict=True):
        assert p <= q <= min(1.0, len(p_values) * p)
    assert np.argsort(p_values, kind="stable").tolist() == sorted(
        range(len(corrected)), key=lambda i: (corrected[i], p_values[i])
    )


def test_a_share_by_hand() -> None:
    # part 1, 2, 3 and whole 4, 4, 4 vary in the part alone: the interval is that of the part, divided by 4.
    test = paired_test([1.0, 2.0, 3.0])
    closed = share([1.0, 2.0, 3.0], [4.0, 4.0, 4.0])
    assert closed is not None
    assert (closed.value, closed.low, closed.high) == pytest.approx((0.5, test.low / 4, test.high / 4))


def test_nothing_and_everything_as_shares() -> None:
    whole = np.random.default_rng(0).standard_normal(40) + 1.0
    everything, nothing = share(whole, whole), share(0 * whole, whole)
    assert everything is not None
    assert nothing is not None
    assert (everything.value, everything.low, everything.high) == pytest.approx((1, 1, 1), abs=1e-6)
    assert (nothing.value, nothing.low, nothing.high) == pytest.approx((0, 0, 0), abs=1e-6)


def test_no_share_of_a_whole_that_is_not_clear() -> None:
    assert share([1.0, 2.0, 3.0], [-1.0, 0.5, 1.0]) is None
    assert share([1.0], [2.0]) is None


@given(st.integers(0, 10_000))
def test_a_share_is_bounded_exactly_when_the_whole_is_significant(seed: int) -> None:
    rng = np.random.default_rng(seed)
    part, whole = rng.standard_normal((2, 12)) + rng.uniform(0, 1)
    closed = share(part, whole)
    assert (closed is not None) == (paired_test(whole).p_t < 0.05)
    if closed is not None:
        assert closed.low <= closed.value <= closed.high
        for edge in (closed.low, closed.high):
            assert paired_test(part - edge * whole).p_t == pytest.approx(0.05, abs=1e-6)


def test_a_share_is_close_to_the_bootstraps() -> None:
    rng = np.random.default_rng(1)
    whole = rng.standard_normal(200) + 2
    part = 0.3 * whole + 0.5 * rng.standard_normal(200)
    draws = rng.integers(0, 200, (4000, 200))
    slow = np.quantile(part[draws].mean(axis=1) / whole[draws].mean(axis=1), [0.025, 0.975])
    closed = share(part, whole)
    assert closed is not None
    assert (closed.low, closed.high) == pytest.approx(tuple(slow), abs=0.01)


def test_unequal_numbers_are_not_paired() -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        share([1.0, 2.0], [1.0, 2.0, 3.0])


def close(value: float, expected: float) -> None:
    assert value == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True)
