"""How far trainings are is read from their logs, and told as one bar."""

from pathlib import Path

from sedistill.distilling.progress import Watched
from sedistill.training.jobs import Run
from sedistill.training.run_folder.logs import RunLog


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
