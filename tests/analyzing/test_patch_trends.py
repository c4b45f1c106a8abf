"""Trends of patches: the paper's formulas by hand, against numpy's fit, and what must always hold."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sedistill.analyzing.categories import (
    CATEGORIES,
    CHALLENGING,
    CONVERGED,
    CONVERGING,
    EXPLODING,
    categorize,
)
from sedistill.common.errors import UserError
from sedistill.training.patch_record.patch_trends import (
    PatchTrends,
    ThinnedRecords,
    bins_of_patches,
    patch_bins,
    patch_errors,
)

# (records, patches), between silence and the errors of loud, wrong patches.
SEQUENCES = st.integers(2, 12).flatmap(
    lambda records: arrays(np.float64, (records, 5), elements=st.floats(0, 100, width=32))
)


def trends_of(errors: np.ndarray) -> PatchTrends:
    trends = PatchTrends.empty(*errors.shape[1:])
    for record in errors:
        trends = trends.with_record(record)
    return trends


def categories_of(errors: np.ndarray) -> np.ndarray:
    trends = trends_of(errors)
    return categorize(trends.changes, trends.last)


def test_the_example_by_hand() -> None:
    errors = np.array([[0.10], [0.08], [0.07], [0.05]])
    trends = trends_of(errors)
    assert trends.slopes == pytest.approx(-0.016)
    assert trends.changes == pytest.approx(-0.048)
    assert categories_of(errors).tolist() == [CONVERGING]
    assert categories_of(errors[::-1]).tolist() == [EXPLODING]


def test_all_four_categories_by_hand() -> None:
    """Last errors .05 .02 .9 .35, mean .33: only the third of the stable ones lies above."""
    errors = np.array([[0.10, 0.02, 0.9, 0.05], [0.05, 0.02, 0.9, 0.35]])
    assert categories_of(errors).tolist() == [CONVERGING, CONVERGED, CHALLENGING, EXPLODING]
    assert CATEGORIES == ("converging", "converged", "challenging", "exploding")


def test_bounds_are_inclusive() -> None:
    changes, last = np.array([-0.01, 0.01, -0.01, 0.01]), np.array([1.0, 1.0, 3.0, 3.0])
    assert categorize(changes, last).tolist() == [CONVERGED, CONVERGED, CHALLENGING, CHALLENGING]
    all_alike = categorize(np.zeros(3), np.full(3, 0.7))
    assert all_alike.tolist() == [CONVERGED] * 3, "an error equal to the mean has converged"


def test_thresholds_move_the_bounds() -> None:
    changes, last = np.array([-0.015, 0.015]), np.ones(2)
    assert categorize(changes, last).tolist() == [CONVERGING, EXPLODING]
    assert categorize(changes, last, -0.02, 0.02).tolist() == [CONVERGED, CONVERGED]


@given(SEQUENCES)
def test_running_is_batch_least_squares(errors: np.ndarray) -> None:
    trends = trends_of(errors)
    slopes = np.polyfit(np.arange(len(errors)), errors, 1)[0]
    np.testing.assert_allclose(trends.slopes, slopes, atol=1e-9)
    np.testing.assert_allclose(trends.changes, slopes * (len(errors) - 1), atol=1e-8)
    np.testing.assert_array_equal(trends.last, errors[-1])


@given(SEQUENCES)
def test_a_first_record_may_come_late(errors: np.ndarray) -> None:
    late, in_order = trends_of(errors[1:]).with_first(errors[0]), trends_of(errors)
    np.testing.assert_allclose(late.slopes, in_order.slopes, atol=1e-9)
    np.testing.assert_array_equal(late.last, in_order.last)
    assert late.count == in_order.count


@given(SEQUENCES, st.floats(-50, 50, width=32))
def test_a_constant_more_changes_no_trend(errors: np.ndarray, constant: float) -> None:
    np.testing.assert_allclose(trends_of(errors + constant).changes, trends_of(errors).changes, atol=1e-9)


@given(SEQUENCES)
def test_time_reversed_negates_the_trend(errors: np.ndarray) -> None:
    np.testing.assert_allclose(trends_of(errors[::-1]).changes, -trends_of(errors).changes, atol=1e-9)


@given(SEQUENCES, st.floats(0, 0.1), st.floats(0, 0.1))
def test_categories_partition_the_patches(errors: np.ndarray, below: float, above: float) -> None:
    trends = trends_of(errors)
    found = categorize(trends.changes, trends.last, -below, above)
    shares = [np.mean(found == category) for category in range(len(CATEGORIES))]
    assert sum(shares) == pytest.approx(1)
    assert ((found == CONVERGING) == (trends.changes < -below)).all()
    assert ((found == EXPLODING) == (trends.changes > above)).all()


@given(arrays(np.float64, 5, elements=st.floats(0, 10)), st.integers(2, 9))
def test_what_stays_is_converged_or_challenging(error: np.ndarray, records: int) -> None:
    assert set(categories_of(np.tile(error, (records, 1)))) <= {CONVERGED, CHALLENGING}


def test_one_record_or_none_has_no_trend() -> None:
    assert PatchTrends.empty(3).changes.tolist() == [0, 0, 0]
    one = PatchTrends.empty(2).with_record([1.0, 3.0])
    assert one.changes.tolist() == [0, 0]
    assert categorize(one.changes, one.last).tolist() == [CONVERGED, CHALLENGING]


def test_means_over_bins_are_sums_divided() -> None:
    errors = np.array([[4.0, 6.0], [2.0, 9.0]])
    divided, direct = trends_of(errors).divided_by(np.array([2, 3])), trends_of(errors / [2, 3])
    np.testing.assert_allclose(divided.changes, direct.changes)
    np.testing.assert_allclose(divided.last, direct.last)


@given(st.integers(1, 200), st.sampled_from([2, 4, 8]))
def test_thinned_records_stay_few_even_and_begin_with_the_first(records: int, capacity: int) -> None:
    past = ThinnedRecords.empty(1, capacity=capacity)
    for number in range(records):
        past = past.with_record(10 * (number + 1), np.array([number]))
        assert len(past.steps) == len(past.errors) < capacity
    assert past.steps[0] == 10
    assert set(np.diff(past.steps)) <= {10 * past.interval}
    assert past.errors[:, 0].tolist() == [step // 10 - 1 for step in past.steps]
    assert records - (past.steps[-1] // 10) < past.interval, "the last one kept is recent"


def test_an_odd_capacity_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="even"):
        ThinnedRecords.empty(1, capacity=5)


def slow_errors(estimate: np.ndarray, clean: np.ndarray, size: int) -> list[list[float]]:
    """Equation 1 in loops, for one clip: [patch][frame]."""
    bins, frames = clean.shape
    return [
        [
            sum((abs(clean[f, t]) - abs(estimate[f, t])) ** 2 for f in range(start, min(start + size, bins)))
            for t in range(frames)
        ]
        for start in range(0, bins, size)
    ]


@pytest.mark.parametrize("size", [1, 4, 5, 11])
def test_errors_are_equation_1(size: int) -> None:
    torch.manual_seed(size)
    estimate, clean = torch.randn(2, 2, 11, 3, dtype=torch.complex128)
    found = patch_errors(estimate, clean, size)
    for clip in range(2):
        expected = slow_errors(estimate[clip].numpy(), clean[clip].numpy(), size)
        np.testing.assert_allclose(found[clip].numpy(), expected)
    counts = torch.from_numpy(bins_of_patches(11, size))[None, :, None]
    torch.testing.assert_close(patch_errors(estimate, clean, size, "mean"), found / counts)


def test_errors_by_hand_and_the_short_patch_on_top() -> None:
    clean = torch.tensor([3 + 4j, 1, 0, 2j, 1]).reshape(1, 5, 1)
    estimate = torch.tensor([4.0, 1, 2, 0, -3]).reshape(1, 5, 1).to(clean.dtype)
    assert patch_errors(estimate, clean, 2)[0, :, 0].tolist() == pytest.approx([1, 8, 4])
    assert patch_errors(estimate, clean, 2, "mean")[0, :, 0].tolist() == pytest.approx([0.5, 4, 4])
    assert patch_bins(5, 2).tolist() == [0, 0, 1, 1, 2]
    assert bins_of_patches(257, 20).tolist() == [20] * 12 + [17]
    with pytest.raises(UserError, match="did you mean mean"):
        patch_errors(estimate, clean, 2, "means")
