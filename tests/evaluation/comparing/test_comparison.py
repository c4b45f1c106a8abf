"""Methods against a baseline: pairing by clip and seed, families, shares, and what cannot be said."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.evaluation.comparing.alignment import AlignedSet
from sedistill.evaluation.comparing.comparison import Comparison, Difference, compare_methods

NAN = math.nan


def aligned(scores: dict, name: str = "test", metric: str = "si_sdr") -> AlignedSet:
    """A set with one metric, from method -> seed -> a score a clip."""
    clips = [f"clip{i}" for i in range(len(next(iter(next(iter(scores.values())).values()))))]
    by_method = {
        method: {seed: np.array([values], dtype=float) for seed, values in by_seed.items()}
        for method, by_seed in scores.items()
    }
    noisy = {None: np.zeros((1, len(clips)))}
    return AlignedSet(name, {metric: metric}, clips, {"noisy": noisy, **by_method})


def row_of(comparison: Comparison, method: str, set_name: str = "test") -> Difference:
    (row,) = (r for r in comparison.differences if (r.method, r.set_name) == (method, set_name))
    return row


def made_up(seeds: int, clips: int = 12, seed: int = 0) -> AlignedSet:
    rng = np.random.default_rng(seed)
    means = {"alone": 5.0, "kd": 5.6, "l2": 5.1, "teacher": 7.0}
    return aligned(
        {
            method: {s: mean + rng.standard_normal(clips) for s in range(1 if method == "teacher" else seeds)}
            for method, mean in means.items()
        }
    )


def test_a_comparison_by_hand() -> None:
    # kd - alone is 1, 2, 3 with seed 0 and 3, 2, 4 with seed 1: over clips 2, 2, 3.5, over seeds 2, 3.
    one = aligned({"alone": {0: [1, 1, 1], 1: [0, 1, 0]}, "kd": {0: [2, 3, 4], 1: [3, 3, 4]}})
    row = row_of(compare_methods([one]), "kd")
    assert (row.seeds, row.by_seed) == ((0, 1), (2.0, 3.0))
    assert row.over_clips.mean == row.over_seeds.mean == 2.5
    assert row.over_clips.sd == pytest.approx(math.sqrt(0.75))
    assert row.over_clips.t == pytest.approx(2.5 / (math.sqrt(0.75) / math.sqrt(3)))
    assert row.over_seeds.t == pytest.approx(5.0)
    assert row.method_mean == pytest.approx(19 / 6)
    assert row.baseline_mean == pytest.approx(4 / 6)
    assert row.gap_closed is None


def test_the_tests_are_scipys_on_the_same_pairs() -> None:
    one = made_up(seeds=3)
    row = row_of(compare_methods([one]), "kd")
    kd, alone = (np.stack([values[0] for values in one.scores[name].values()]) for name in ("kd", "alone"))
    over_clips = scipy.stats.ttest_rel(kd.mean(axis=0), alone.mean(axis=0))
    over_seeds = scipy.stats.ttest_rel(kd.mean(axis=1), alone.mean(axis=1))
    assert row.over_clips.p_t == pytest.approx(over_clips.pvalue)
    assert row.over_seeds.p_t == pytest.approx(over_seeds.pvalue)
    wilcoxon = scipy.stats.wilcoxon(kd.mean(axis=0), alone.mean(axis=0), method="exact")
    assert row.over_clips.p_wilcoxon == pytest.approx(wilcoxon.pvalue)


@given(st.integers(0, 1000), st.integers(1, 3))
def test_neither_the_order_of_clips_nor_of_seeds_matters(seed: int, seeds: int) -> None:
    one, order = made_up(seeds, seed=seed), np.random.default_rng(seed).permutation(12)
    other = AlignedSet(
        one.name,
        one.metrics,
        [one.clips[i] for i in order],
        {
            method: {s: values[:, order] for s, values in reversed(by_seed.items())}
            for method, by_seed in one.scores.items()
        },
    )
    for a, b in zip(compare_methods([one]).differences, compare_methods([other]).differences, strict=True):
        assert (a.method, a.seeds) == (b.method, b.seeds)
        assert a.over_clips.p_t == pytest.approx(b.over_clips.p_t)
        assert a.by_seed == pytest.approx(b.by_seed)
        assert a.over_seeds.p_t == pytest.approx(b.over_seeds.p_t, nan_ok=True)


def test_swapping_method_and_baseline_swaps_the_sign() -> None:
    one = made_up(seeds=2)
    there = row_of(compare_methods([one], baseline="alone"), "kd")
    back = row_of(compare_methods([one], baseline="kd"), "alone")
    assert back.over_clips.mean == pytest.approx(-there.over_clips.mean)
    assert back.over_clips.p_t == pytest.approx(there.over_clips.p_t)
    assert back.over_seeds.p_t == pytest.approx(there.over_seeds.p_t)


def test_only_common_seeds_are_paired() -> None:
    one = aligned({"alone": {0: [0, 0], 1: [1, 1]}, "kd": {1: [3, 4], 2: [9, 9]}})
    row = row_of(compare_methods([one]), "kd")
    assert (row.seeds, row.by_seed, row.over_clips.mean) == ((1,), (2.5,), 2.5)


def test_without_a_common_seed_means_are_compared_over_clips_alone() -> None:
    one = aligned({"alone": {0: [0, 0], 1: [2, 2]}, "kd": {None: [3, 4]}})
    row = row_of(compare_methods([one]), "kd")
    assert (row.seeds, row.by_seed, row.over_clips.mean) == ((), (), 2.5)
    assert math.isnan(row.over_seeds.mean)


def test_one_seed_says_nothing_over_seeds() -> None:
    row = row_of(compare_methods([made_up(seeds=1)]), "kd")
    assert row.by_seed == (pytest.approx(row.over_clips.mean),)
    assert math.isfinite(row.over_clips.p_t)
    assert math.isnan(row.over_seeds.p_t)
    assert math.isnan(row.corrected.seeds_t)


def test_undefined_pairs_are_dropped_and_counted() -> None:
    one = aligned({"alone": {0: [0, NAN, 0, 0], 1: [0] * 4}, "kd": {0: [1, 5, 2, 3], 1: [1, 5, NAN, 3]}})
    row = row_of(compare_methods([one]), "kd")
    assert (row.clips, row.of) == (2, 4)
    assert row.by_seed == (2.0, 2.0)
    assert (row.over_clips.n, row.over_clips.mean, row.method_mean) == (2, 2.0, 2.0)


def test_nothing_defined_is_no_number_at_all() -> None:
    row = row_of(compare_methods([aligned({"alone": {0: [NAN, 1]}, "kd": {0: [1, NAN]}})]), "kd")
    assert (row.clips, row.by_seed) == (0, ())
    assert math.isnan(row.method_mean)
    assert math.isnan(row.over_clips.mean)


def test_holm_is_over_all_methods_and_sets_of_one_metric() -> None:
    sets = [made_up(seeds=2, seed=1), made_up(seeds=2, seed=2)]
    sets[1].name = "pairs"
    comparison = compare_methods(sets)
    rows = [row for row in comparison.differences if row.method not in ("teacher", "noisy")]
    assert comparison.family_size == len(rows) == 4
    smallest = min(rows, key=lambda row: row.over_clips.p_t)
    assert smallest.corrected.clips_t == pytest.approx(min(1.0, 4 * smallest.over_clips.p_t))
    assert all(math.isnan(row_of(comparison, "teacher", one.name).corrected.clips_t) for one in sets)
    fewer = compare_methods(sets, methods=["kd"])
    assert fewer.family_size == 2
    assert row_of(fewer, "kd").corrected.clips_t <= row_of(comparison, "kd").corrected.clips_t


def test_the_share_of_the_gap() -> None:
    # The teacher is 4 ahead on every clip, kd 1, 2 and 3: half the gap.
    one = aligned({"alone": {0: [0, 1, 2]}, "kd": {0: [1, 3, 5]}, "teacher": {9: [4, 5, 6]}})
    closed = row_of(compare_methods([one]), "kd").gap_closed
    assert closed is not None
    assert closed.value == pytest.approx(0.5)
    assert row_of(compare_methods([one]), "teacher").gap_closed is None


@pytest.mark.parametrize(
    ("teacher", "why"),
    [
        ([-4.0, -5.0, -6.0, -4.0], "the teacher is worse"),
        ([9.0, -1.0, 2.0, 1.0], "it is ahead on some clips only"),
        ([0.8, 0.9, 0.8, 0.7], "with seed 1 it is behind"),
    ],
)
def test_no_share_of_a_gap_that_is_not_clear(teacher: list[float], why: str) -> None:
    one = aligned(
        {"alone": {0: [0] * 4, 1: [1] * 4}, "kd": {0: [1, 2, 1, 2], 1: [1, 2, 2, 2]}, "teacher": {0: teacher}}
    )
    assert row_of(compare_methods([one]), "kd").gap_closed is None, why


def test_the_teacher_is_the_same_beside_every_seed() -> None:
    one = aligned({"alone": {0: [0, 1], 1: [1, 2]}, "kd": {0: [1, 2]}, "teacher": {5: [4, 4], 6: [6, 6]}})
    row = row_of(compare_methods([one]), "teacher")
    assert (row.seeds, row.by_seed) == ((0, 1), (4.5, 3.5))


def test_the_noisy_input_can_be_the_baseline() -> None:
    row = row_of(compare_methods([made_up(seeds=2)], baseline="noisy"), "kd")
    assert row.seeds == (0, 1)
    assert row.over_clips.mean == pytest.approx(row.method_mean)


def test_names_that_are_not_there() -> None:
    one = made_up(seeds=2)
    with pytest.raises(UserError, match="no baseline alon; did you mean alone"):
        compare_methods([one], baseline="alon")
    with pytest.raises(UserError, match="no teacher techer; did you mean teacher"):
        compare_methods([one], teacher="techer")
    with pytest.raises(UserError, match="no method to compare kdd; did you mean kd"):
        compare_methods([one], methods=["kdd"])
    with pytest.raises(UserError, match="no method to compare alone"):
        compare_methods([one], methods=["alone"])
    with pytest.raises(UserError, match="cannot be baseline and teacher"):
        compare_methods([one], baseline="kd", teacher="kd")
    with pytest.raises(UserError, match="no method is called alone; say which is the baseline: a, b"):
        compare_methods([aligned({"a": {0: [1, 2]}, "b": {0: [1, 2]}})])


def test_nothing_to_compare() -> None:
    with pytest.raises(UserError, match="no method to compare with alone"):
        compare_methods([aligned({"alone": {0: [1, 2]}, "teacher": {0: [2, 3]}})])
