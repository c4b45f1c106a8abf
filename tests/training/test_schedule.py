"""Rates and beta1 of every step, against torch's own schedulers."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.common.settings import check_settings
from sedistill.training.recipe.optimiser_settings import OptimiserSettings
from sedistill.training.run import train
from sedistill.training.run_folder.logs import read_metrics
from sedistill.training.schedule import adam_beta1, learning_rate
from tests.training.runs import assert_resumes_exactly, train_until_ctrl_c

Write = Callable[..., Path]


def settings_for(schedule: str, length: int = 100, **changes: Any) -> OptimiserSettings:
    keys = {"schedule": schedule, "max_steps": length, **changes}
    return check_settings(OptimiserSettings, keys, "recipe")


def adam() -> torch.optim.Adam:
    return torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1e-5)


def of_torch(peak: float, length: int) -> list[tuple[float, float]]:
    """(rate, beta1) at each step of a training with OneCycleLR."""
    optimiser = adam()
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=peak, total_steps=length)
    seen = []
    for _ in range(length):
        seen.append((optimiser.param_groups[0]["lr"], optimiser.param_groups[0]["betas"][0]))
        optimiser.step()
        scheduler.step()
    return seen


@given(length=st.integers(1, 400), peak=st.floats(1e-6, 1.0))
@example(length=1, peak=1e-3)
@example(length=3, peak=1e-3)
@example(length=4, peak=1e-3)
@example(length=10, peak=1e-3)
@example(length=3000, peak=1e-3)
def test_one_cycle_is_torchs_at_every_step(length: int, peak: float) -> None:
    settings = settings_for("one_cycle", length)
    for step, (rate, beta1) in enumerate(of_torch(peak, length), start=1):
        assert math.isclose(learning_rate(settings, peak, step, length), rate, rel_tol=1e-9)
        assert adam_beta1(settings, step, length) == pytest.approx(beta1, rel=1e-12)


def test_one_cycle_by_hand() -> None:
    settings = settings_for("one_cycle", 10)  # the peak is at step 3, the end 7 steps on
    rates = [learning_rate(settings, 1.0, step, 10) for step in (1, 2, 3, 10)]
    assert rates == pytest.approx([0.04, 0.52, 1.0, 4e-6])
    assert [adam_beta1(settings, step, 10) for step in (1, 2, 3, 10)] == pytest.approx(
        [0.95, 0.9, 0.85, 0.95]
    )


@given(length=st.integers(1, 300), warmup=st.integers(0, 299))
def test_cosine_rises_and_falls_to_a_hundredth(length: int, warmup: int) -> None:
    warmup = min(warmup, length - 1)
    settings = settings_for("cosine", length, warmup_steps=warmup)
    rates = [learning_rate(settings, 2.0, step, length) for step in range(1, length + 1)]
    assert rates[:warmup] == pytest.approx([2.0 * step / warmup for step in range(1, warmup + 1)])
    assert rates[-1] == pytest.approx(0.02)
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert max(rates) <= 2.0


def test_wsd_by_hand() -> None:
    settings = settings_for("wsd", 20, warmup_steps=4, decay_share=0.25)
    rates = [learning_rate(settings, 1.0, step, 20) for step in range(1, 21)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:15] == [1.0] * 11
    assert rates[15:] == pytest.approx([0.802, 0.604, 0.406, 0.208, 0.01])


def test_a_run_follows_wsd_and_resumes_in_its_decay(write_recipe: Write, world: Path) -> None:
    optimiser = {"schedule": "wsd", "max_steps": 8, "decay_share": 0.5}
    recipe = write_recipe(optimiser=optimiser, logging={"every_steps": 1})
    assert_resumes_exactly(recipe, world, stop_at=6)
    seen = [value for _, value in read_metrics(world / "parts")["learning_rate"]]
    assert seen == pytest.approx([1e-3 * share for share in (1, 1, 1, 1, 0.7525, 0.505, 0.2575, 0.01)])


def test_a_share_of_decay_belongs_to_wsd() -> None:
    with pytest.raises(UserError, match="decay_share belongs to schedule: wsd"):
        settings_for("cosine", decay_share=0.3)


@given(step=st.integers(1, 1000), warmup=st.integers(0, 500), peak=st.floats(1e-6, 1.0))
def test_plateau_has_a_rise_at_most(step: int, warmup: int, peak: float) -> None:
    settings = check_settings(OptimiserSettings, {"warmup_steps": warmup}, "recipe")
    assert learning_rate(settings, peak, step, None) == pytest.approx(peak * min(1, step / max(warmup, 1)))


@pytest.mark.parametrize("schedule", ["plateau", "cosine", "wsd"])
def test_only_a_cycle_touches_beta1(schedule: str) -> None:
    assert adam_beta1(settings_for(schedule), 3, 100) is None


def betas(run: Path) -> list[Any]:
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return [list(group["betas"]) for group in state["optimiser"]["param_groups"]]


@pytest.mark.parametrize("stop_at", [1, 4])
def test_a_run_follows_the_cycle_and_resumes_in_it(write_recipe: Write, world: Path, stop_at: int) -> None:
    recipe = write_recipe(optimiser={"schedule": "one_cycle", "max_steps": 9}, logging={"every_steps": 1})
    rates, beta1 = zip(*of_torch(1e-3, 9), strict=True)
    train_until_ctrl_c(recipe, world / "stopped", stop_at)
    assert betas(world / "stopped") == [pytest.approx([beta1[stop_at - 1], 0.999])]
    assert_resumes_exactly(recipe, world, stop_at)
    assert betas(world / "parts") == [pytest.approx([0.95, 0.999])]
    seen = [value for _, value in read_metrics(world / "parts")["learning_rate"]]
    assert seen == pytest.approx(rates, rel=1e-6)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_without_a_number_of_steps_the_schedule_goes_over_all_epochs(
    write_recipe: Write, world: Path, schedule: str
) -> None:
    by_epochs = {"schedule": schedule, "max_epochs": 3, "max_steps": None}
    train(write_recipe("epochs", optimiser=by_epochs, logging={"every_steps": 1}), output=world / "out")
    seen = [value for _, value in read_metrics(world / "out")["learning_rate"]]
    steps = len(seen)
    assert steps % 3 == 0
    same = settings_for(schedule, steps)
    assert seen == pytest.approx([learning_rate(same, 1e-3, step, steps) for step in range(1, steps + 1)])
    assert seen[-1] <= 0.0100001e-3, "at its end, not in the middle"


def test_each_stage_has_its_cycle(write_recipe: Write, world: Path) -> None:
    recipe = write_recipe(
        teacher=str(world / "teacher"),
        objectives=[{"loss": "l2"}],
        two_step={"kd_steps": 4},
        optimiser={"schedule": "one_cycle", "max_steps": 9},
        logging={"every_steps": 1},
    )
    train(recipe, output=world / "out")
    seen = [value for _, value in read_metrics(world / "out")["learning_rate"]]
    expected = [rate for length in (4, 5) for rate, _ in of_torch(1e-3, length)]
    assert seen == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("optimiser", [{}, {"schedule": "cosine", "max_steps": 9, "warmup_steps": 2}])
def test_other_schedules_leave_adam_as_it_is(write_recipe: Write, world: Path, optimiser: dict) -> None:
    recipe = write_recipe(optimiser=optimiser)
    train_until_ctrl_c(recipe, world / "out", 4)
    train(recipe, output=world / "out")
    assert betas(world / "out") == [[0.9, 0.999]]
