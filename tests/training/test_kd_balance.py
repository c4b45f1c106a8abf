"""Distillation weighed by the length of its gradient: the rule by hand, and a training that follows it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.training.kd_balance import KDBalance, is_measured
from sedistill.training.run import train
from sedistill.training.run_folder.logs import read_metrics
from tests.training.runs import assert_resumes_exactly, same, weights

Write = Callable[..., Path]


def test_the_first_measurement_counts_whole_and_later_ones_as_a_mean() -> None:
    """Unweighted ratios 8, 2 and 1 ask for factors 1/4, 1 and 2 where 2 is wanted: mean of logs."""
    balance = KDBalance(2.0)
    assert balance.follow(8.0) == pytest.approx(1 / 4)
    assert balance.follow(2.0 * balance.factor) == pytest.approx(2.0)  # sqrt(1/4 * 1) = 1/2
    assert balance.factor == pytest.approx(1 / 2)
    balance.follow(1.0 * balance.factor)
    assert balance.factor == pytest.approx((1 / 4 * 1 * 2) ** (1 / 3))


@given(ratio=st.floats(1e-3, 1e3), weight=st.floats(1e-6, 1e6), counts=st.integers(1, 40))
def test_a_constant_ratio_is_met_whatever_the_weight_was(ratio: float, weight: float, counts: int) -> None:
    balance = KDBalance(ratio)
    for _ in range(counts):
        balance.follow(weight * balance.factor)
    assert weight * balance.factor == pytest.approx(ratio)


def test_a_gradient_far_too_long_is_shortened_at_once_and_one_too_short_lengthened_slowly() -> None:
    """As where the large loss of a network's first steps falls away, and distillation's stays."""
    balance = KDBalance(1.0)
    for ratio in (1.0, 1.0, 100.0):
        balance.follow(ratio * balance.factor)
    assert (balance.measured, balance.factor) == (1, pytest.approx(1 / 100))
    balance.follow(100 / 4 * balance.factor)  # 4 times too short: half of it is believed, in logs
    assert balance.factor == pytest.approx(2 / 100)
    balance.follow(100 / 54 * balance.factor)  # 27 times: a third
    assert balance.factor == pytest.approx(6 / 100)


def test_one_odd_measurement_is_forgotten_at_the_next() -> None:
    """As of a batch of which the student's own loss has next to no gradient."""
    balance = KDBalance(1.0)
    for ratio in (2.0, 2.0, 2e4, 2.0):
        balance.follow(ratio * balance.factor)
    assert (balance.measured, balance.factor) == (1, pytest.approx(1 / 2))


@pytest.mark.parametrize(
    ("ratios", "factor"),
    [
        ([1.0, 1.0, 1.0, 1.0, 100.0, 0.01], 1.0),  # the teacher's own weight again, not a hundred times it
        ([1.0, 1.0, 1.0, 1.0, 100.0, 0.01, 100.0], 0.01),
        ([1.0, 1e-4], 100.0),  # the first is a measurement as any other: their mean
        ([1e4, 1.0], 0.01),
    ],
)
def test_a_cut_is_taken_back_and_no_more(ratios: list[float], factor: float) -> None:
    balance = KDBalance(1.0)
    for ratio in ratios:
        balance.follow(ratio * balance.factor)
    assert balance.factor == pytest.approx(factor)


def test_what_a_cut_took_outlasts_a_checkpoint() -> None:
    balance, resumed = KDBalance(1.0), KDBalance(1.0)
    for ratio in (1.0, 1.0, 100.0):
        balance.follow(ratio * balance.factor)
    resumed.load_state_dict(balance.state_dict())
    assert resumed.follow(1.0 * balance.factor) == balance.follow(1.0 * balance.factor) == pytest.approx(100)


def test_the_first_steps_are_measured_more_often() -> None:
    assert [step for step in range(1, 150) if is_measured(step, 50)] == [1, 2, 4, 8, 16, 32, 51, 101]
    assert all(is_measured(step, 1) for step in range(1, 9))


@pytest.mark.parametrize("measured", [0.0, math.inf, math.nan])
def test_nothing_is_learnt_from_a_gradient_that_is_none(measured: float) -> None:
    balance = KDBalance(1.0)
    balance.follow(3.0)
    assert balance.follow(measured) == 1.0
    assert (balance.measured, balance.factor) == (1, pytest.approx(1 / 3))


def test_a_weight_of_any_size_leads_to_the_same_student(
    write_recipe: Write, distilled: dict[str, Any], world: Path
) -> None:
    """Where each step is measured, the logged ratio stays near what was asked, and the weight cancels out."""
    logging = {"every_steps": 1, "gradients_every_steps": 1}
    recipe = write_recipe(**distilled, kd_over_se=0.5, logging=logging, optimiser={"max_epochs": 2})
    student = train(recipe, output=world / "one")
    curves = read_metrics(world / "one")
    assert curves["gradient/kd_over_se"][0][1] == pytest.approx(0.5)
    assert all(0.2 < value < 1.2 for _, value in curves["gradient/kd_over_se"])
    heavier = train(recipe, ["kd_weight=512"], output=world / "two")
    for name, value in weights(heavier).items():
        assert value.sub(weights(student)[name]).abs().max() < 1e-5
    plain = train(recipe, ["kd_over_se=null", "kd_weight=512"], output=world / "three")
    assert not same(weights(plain), weights(heavier))


def test_it_resumes_exactly(write_recipe: Write, distilled: dict[str, Any], world: Path) -> None:
    assert_resumes_exactly(write_recipe(**distilled, kd_over_se=1.0), world, stop_at=5)


@pytest.mark.parametrize("change", [{"se_weight": 0}, {"objectives": []}, {"two_step": {"kd_steps": 3}}])
def test_it_needs_both_terms_at_once(
    write_recipe: Write, distilled: dict[str, Any], world: Path, change: dict[str, Any]
) -> None:
    with pytest.raises(UserError, match="kd_over_se"):
        train(write_recipe(**{**distilled, "kd_over_se": 1.0, **change}), output=world / "out")


def test_steps_that_measure_decide_on_the_student_and_so_are_no_others_when_it_goes_on(
    write_recipe: Write, distilled: dict[str, Any], world: Path
) -> None:
    for name, follows in (("free", None), ("bound", 1.0)):
        train(write_recipe(**distilled, kd_over_se=follows), output=world / name)
    assert train(write_recipe(**distilled), ["logging.gradients_every_steps=3"], output=world / "free")
    with pytest.raises(UserError, match=r"other settings \(logging.gradients_every_steps\)"):
        train(
            write_recipe(**distilled, kd_over_se=1.0), ["logging.gradients_every_steps=3"],
            output=world / "bound",
        )  # fmt: skip
    train(write_recipe(**distilled, kd_over_se=1.0), ["logging.every_steps=3"], output=world / "bound")
