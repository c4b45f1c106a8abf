"""What is measured is of the right size, and a step is one of the recipe's."""

import time

import pytest

from sedistill.common.errors import UserError
from sedistill.workflows.distilling import speed
from sedistill.workflows.distilling.recipes import recipes_to_time
from sedistill.workflows.distilling.speed import mixing_seconds, seconds_of, step_seconds


def test_an_action_is_timed_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "LONG_ENOUGH_SECONDS", 0.1)
    calls: list[float] = []

    def action() -> None:
        calls.append(time.perf_counter())
        time.sleep(0.2 if len(calls) == 1 else 0.02)  # the first one warms up

    assert 0.02 <= seconds_of(action) < 0.1
    assert len(calls) >= 4


def test_writing_a_second_of_a_mixture_takes_a_moment() -> None:
    assert 0 < mixing_seconds(16_000) < 1


def test_steps_are_timed_side_by_side() -> None:
    distilled, alone = recipes_to_time("fastenhancer-t", 8, threads=1).values()
    ((step, validating), (lone_step, _)) = step_seconds([distilled, alone], 0.25, threads=1)
    assert 0 < lone_step < 10
    assert 0 < validating < step < 10
    with pytest.raises(UserError, match=r"cannot be timed: .*there is no preset 'x'"):
        step_seconds([{**distilled, "student": "x"}], 0.25, threads=1)
