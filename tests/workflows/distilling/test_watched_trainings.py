"""How far trainings are is read from their logs, and told as one bar."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from sedistill.training.run_folder.logs import RunLog
from sedistill.workflows.distilling.watched_trainings import JUDGED_AFTER, TooSlow, Watched
from sedistill.workflows.jobs import Run


def test_the_steps_of_all_runs_are_added(tmp_path: Path) -> None:
    trainings = Watched(tmp_path, 2, lambda run: [], lambda run: [], 1, steps=50)
    trainings.watched = [Run("a", 0), Run("b", 0), Run("not yet", 0)]
    for name, step in (("a", 20), ("b", 60)):
        folder = tmp_path / "runs" / name / "seed-0"
        folder.mkdir(parents=True)
        log = RunLog(folder)
        log.write(10, 0, {"se": 1.0})
        log.write(step, 1, {"se": 0.5, "valid/se": 0.5})
        log.close()
    assert trainings._done() == 20 + 50  # no run counts more than its steps


@pytest.mark.parametrize(
    ("share_done", "elapsed", "factor"),
    [
        (0.20, JUDGED_AFTER, None),
        (0.15, JUDGED_AFTER, None),
        (0.05, JUDGED_AFTER, 3.0),
        (0.05, JUDGED_AFTER / 2, None),  # too early to tell
        (0.0, JUDGED_AFTER, None),  # nothing is known yet
    ],
)
def test_trainings_that_take_too_long_end_early(
    tmp_path: Path, share_done: float, elapsed: float, factor: float | None
) -> None:
    trainings = Watched(tmp_path, 2, lambda run: [], lambda run: [], 1, steps=1000, allowed=100.0)
    trainings.watched = [Run("a", 0), Run("b", 0)]
    trainings.begun, trainings.judged, trainings.looked = 0.0, False, 100 * elapsed
    trainings.bar = SimpleNamespace(done=2000 * share_done)  # type: ignore[assignment]
    if factor is None:
        trainings._judge()
        return
    with pytest.raises(TooSlow) as slow:
        trainings._judge()
    assert slow.value.factor == pytest.approx(factor)
    trainings._judge()  # once only
