"""A machine that became slower than it was measured: the training begins anew, with as many steps as fit."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from sedistill.training.loop import Loop
from sedistill.workflows.distilling import plan, stages, student_training, watched_trainings
from sedistill.workflows.distilling.command import distil
from sedistill.workflows.distilling.result_folder import ResultFolder
from sedistill.workflows.distilling.watched_trainings import Watched
from sedistill.workflows.jobs import Run, Trainings
from tests.workflows.distilling.conftest import InThisProcess

HOURS = 0.02
STEP_SECONDS = 18.0
"""By the clock of this test; 5 were measured."""


class StepByStep(Trainings):
    """Trains in this process, and is watched after every step."""

    def train(self, runs: Sequence[Run]) -> None:
        step = Loop._train_on

        def step_and_watch(loop: Loop, batch: Any) -> str:
            note = step(loop, batch)
            watched_trainings.time.now += STEP_SECONDS  # type: ignore[attr-defined]
            self.watch()
            return note

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Loop, "_train_on", step_and_watch)
            InThisProcess.train(self, runs)  # type: ignore[arg-type]


class Slow(Watched, StepByStep):
    """The bar and the judgement of `Watched` over such trainings."""


@pytest.mark.usefixtures("small")
def test_a_training_that_will_take_too_long_begins_anew_with_fewer_steps(
    tmp_path: Path,
    folders: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(watched_trainings, "time", clock)
    monkeypatch.setattr(stages, "Watched", Slow)
    # No time goes by but that of steps, on however busy a machine the test runs.
    monkeypatch.setattr(ResultFolder, "spent_now", 0.0)
    monkeypatch.setattr(student_training, "slower_than_assumed", lambda *_: 1.0)
    monkeypatch.setattr(student_training, "decided_steps", plan.decided_steps)
    result = distil(
        tmp_path / "mine", **folders, student="convtasnet-tiny", hours=HOURS, weak_teacher=True, twin=False
    )
    assert result is not None
    told = capsys.readouterr().out
    assert told.count("as long as was measured, and begins anew") == 1
    first, second = (int(line.split()[0]) for line in told.splitlines() if "steps fit into" in line)
    # 3.6 times as long a step: the first attempt was told so after one of them, the second one fits.
    assert 0.2 * first <= second < 0.5 * first
    card = yaml.safe_load((result.student / "card.yaml").read_text())
    assert card["training"]["steps"] == second
    assert clock.now == STEP_SECONDS * (1 + second)
    assert STEP_SECONDS * second < 1.25 * 3600 * HOURS
