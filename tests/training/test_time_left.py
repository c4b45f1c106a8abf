"""How long a run will still take: every step and validation to come, at the speed of those that were."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sedistill.training import time_left
from sedistill.training.run import train
from sedistill.training.time_left import TimeLeft


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still unless it is put forward."""
    now = [1000.0]
    monkeypatch.setattr(time_left.time, "monotonic", lambda: now[0])
    return now


def steps(left: TimeLeft, now: list[float], count: int, seconds: float) -> None:
    left.step_began()
    for _ in range(count):
        now[0] += seconds
        left.step_ended()


def test_time_left_by_hand(now: list[float]) -> None:
    left = TimeLeft(steps_at_most=1000, batches_an_epoch=300, at_most=False)
    assert left.text(0, 0) == "", "nothing is known yet"
    steps(left, now, 300, 2.0)
    assert left.text(300, 0) == "23 min left, and validations", "700 steps of 2 s"
    with left.validation():
        now[0] += 60
    now[0] += 500  # whatever happens between epochs is no step
    steps(left, now, 100, 2.0)
    # 600 steps of 2 s, and the validations of epochs 2, 3 and the short 4th, 60 s each: 1380 s.
    assert left.text(400, 1) == "23 min left"
    steps(left, now, 200, 5.0)
    # A step took (400 * 2 + 200 * 5) / 600 = 3 s: 400 of them and three validations.
    assert left.text(600, 1) == "23 min left"
    assert left.text(1000, 3) == "60 s left"


def test_a_run_that_may_stop_sooner_takes_at_most_so_long(now: list[float]) -> None:
    left = TimeLeft(steps_at_most=10, batches_an_epoch=10, at_most=True)
    steps(left, now, 5, 1.0)
    assert left.text(5, 0) == "at most 5 s left, and validations"


def test_the_lines_of_a_run_tell_of_the_whole(
    write_recipe: Callable[..., Path], world: Path, capsys: pytest.CaptureFixture
) -> None:
    """Three epochs of three steps; a line at the end of each, where there is no terminal."""
    train(write_recipe(), output=world / "out")
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("training: ")]
    assert [line.split(" steps,")[0] for line in lines] == [
        "training: 3/9", "training: 6/9", "training: 9/9",
    ]  # fmt: skip
    assert ", and validations (epoch 1)" in lines[0]
    assert ", at most " in lines[1]
    assert lines[1].endswith("left (epoch 2)")
