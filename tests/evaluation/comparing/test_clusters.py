"""Clips that share recordings: by hand, against slow sums, the iid case, and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.evaluation.comparing.clusters import Clusters
from sedistill.evaluation.comparing.significance import PairedTest, paired_test, share, t_quantile

FEW = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(-50, 50)), min_size=3, max_size=25)


def clusters(utterances: object, noises: object) -> Clusters:
    return Clusters(tuple(map(str, utterances)), tuple(map(str, noises)))  # type: ignore[call-overload]


def test_by_hand() -> None:
    # Six clips, three utterances a b c, two noises x y. Differences minus their mean of 3: -2 -1 0 0 1 2.
    # Sums by utterance: -3, 0, 3 -> 18; by noise (a x, a x, b x; b y, c y, c y): -3, 3 -> 18; by both:
    # ax -3, bx 0, by 0, cy 3 -> 18. So 18 + 18 - 18 = 18, times 2 / 1 for two noises, over 36: error 1.
    test = paired_test([1.0, 2, 3, 3, 4, 5], clusters("aabbcc", "xxxyyy"))
    assert test.mean == 3
    assert test.t == pytest.approx(3.0)
    assert test.high == pytest.approx(3 + 12.7062, abs=1e-3)  # one degree of freedom
    assert test.p_t == pytest.approx(1 - 2 / math.pi * math.atan(3))
    assert math.isnan(test.p_wilcoxon)
    assert test.d_z == pytest.approx(3 / math.sqrt(2))


@given(FEW)
def test_the_error_is_what_slow_sums_over_clusters_give(rows: list[tuple[int, int, int]]) -> None:
    utterances, noises, values = zip(*rows, strict=True)
    if len(set(utterances)) < 2 or len(set(noises)) < 2 or len(set(values)) < 2:
        return
    residuals = [value - sum(values) / len(values) for value in values]

    def meat(keys: list) -> float:
        return sum(sum(r for r, k in zip(residuals, keys, strict=True) if k == key) ** 2 for key in set(keys))

    both = list(zip(utterances, noises, strict=True))
    two_way = meat(list(utterances)) + meat(list(noises)) - meat(both)
    largest = max(two_way, meat(list(utterances)), meat(list(noises)), sum(r * r for r in residuals))
    fewest = min(len(set(utterances)), len(set(noises)))
    error = math.sqrt(fewest / (fewest - 1) * largest) / len(values)
    test = paired_test(values, clusters(utterances, noises))
    if not clusters(utterances, noises).independent:
        assert test.high - test.mean == pytest.approx(t_quantile(fewest - 1) * error)


def same(one: PairedTest, two: PairedTest) -> bool:
    return all(
        a == pytest.approx(b, rel=1e-12, nan_ok=True)
        for a, b in zip(vars(one).values(), vars(two).values(), strict=True)
    )


@given(st.lists(st.floats(-9, 9), min_size=2, max_size=60))
def test_nothing_shared_is_the_test_of_independent_clips(values: list[float]) -> None:
    alone = [str(i) for i in range(len(values))]
    nothing = [""] * len(values)
    for of in (clusters(alone, alone), clusters(alone, nothing), clusters(nothing, nothing)):
        assert same(paired_test(values, of), paired_test(values))
    one_noise = clusters(alone, ["one"] * len(values))  # about other utterances, and this noise alone
    assert same(paired_test(values, one_noise), paired_test(values))


def test_the_formula_itself_is_the_iid_one_where_nothing_is_shared() -> None:
    values = np.random.default_rng(0).standard_normal((2, 40))
    alone = clusters(range(40), range(40))
    for covariance in alone.covariances(values):
        np.testing.assert_allclose(covariance, np.cov(values) / 40, rtol=1e-12)


def test_several_noises_in_a_clip_tie_it_to_each_of_their_clips() -> None:
    of = clusters("abcd", ["x;y", "y", "z", "z;x"])
    either = np.array([[1, 1, 0, 1], [1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 1]], dtype=bool)
    np.testing.assert_array_equal(of.kinds[1], either)
    assert (of.utterance_count, of.noise_count, of.fewest) == (4, 3, 3)
    residuals = np.array([3.0, -1, -4, 2])
    expected = 3 / 2 / 16 * residuals @ either @ residuals
    assert of.covariances(residuals[None] + 7)[0][0, 0] == pytest.approx(expected)


def test_clips_of_several_noises_each_are_no_more_than_the_clips() -> None:
    many = ["x;a1;a2", "x;b1;b2", *(f"{i};{i}a;{i}b" for i in range(4))]
    assert clusters("uuuuuu", many).fewest == 6


def test_one_recording_of_every_kind_says_nothing() -> None:
    test = paired_test([1.0, 2.0, 4.0], clusters("aaa", "xxx"))
    assert test.mean == pytest.approx(7 / 3)
    assert all(math.isnan(value) for value in (test.low, test.high, test.t, test.p_t))
    assert share([1.0, 2.0], [2.0, 3.0], clusters("aa", "xx")) is None


def test_a_pure_interaction_is_not_taken_for_certainty() -> None:
    # Both sums by utterance and both by noise are 0: the error is that of independent clips, times 2 / 1.
    test = paired_test([2.0, 0, 0, 2], clusters("aabb", "xyxy"))
    assert test.high - 1 == pytest.approx(t_quantile(1) * math.sqrt(2 * 4) / 4)


def test_shares_are_wider_between_clusters() -> None:
    rng = np.random.default_rng(1)
    utterances, noises = rng.integers(0, 12, 200), rng.integers(0, 9, 200)
    whole = 3 + rng.standard_normal(12)[utterances] * 0.5 + rng.standard_normal(9)[noises] * 0.5
    part = 0.5 * whole + 0.3 * rng.standard_normal(12)[utterances] + 0.1 * rng.standard_normal(200)
    narrow, wide = share(part, whole), share(part, whole, clusters(utterances, noises))
    assert narrow is not None
    assert wide is not None
    assert wide.value == narrow.value
    assert wide.low < narrow.low < narrow.high < wide.high


def test_intervals_hold_the_truth_where_those_of_independent_clips_do_not() -> None:
    rng, trials = np.random.default_rng(0), 200
    held = held_if_independent = 0
    for _ in range(trials):
        utterances, noises = rng.integers(0, 20, 120), rng.integers(0, 8, 120)
        values = rng.standard_normal(20)[utterances] + 0.5 * rng.standard_normal(8)[noises]
        values += rng.standard_normal(120)
        test, independent = paired_test(values, clusters(utterances, noises)), paired_test(values)
        held += test.low <= 0 <= test.high
        held_if_independent += independent.low <= 0 <= independent.high
    assert 0.90 <= held / trials <= 0.99
    assert held_if_independent / trials < 0.7
