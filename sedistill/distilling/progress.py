"""How far trainings in processes of their own are, as their logs tell."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from sedistill.errors import UserError
from sedistill.progress import ProgressBar
from sedistill.training.jobs import Run, Trainings
from sedistill.training.run_folder.logs import read_metrics

LOOK_EVERY_SECONDS = 2.0


@dataclass
class Watched(Trainings):
    """Trainings of so many steps each, with one bar over all of them."""

    steps: int = 1

    def train(self, runs: Sequence[Run]) -> None:
        self.watched, self.looked = list(runs), time.monotonic()
        title = f"training {' and '.join(run.name for run in runs)}"
        with ProgressBar(title, self.steps * len(runs), "steps", self._done()) as self.bar:
            super().train(runs)

    def watch(self) -> None:
        if time.monotonic() - self.looked > LOOK_EVERY_SECONDS:
            self.looked = time.monotonic()
            if (more := self._done() - self.bar.done) > 0:
                self.bar.advance(more)

    def _done(self) -> int:
        return sum(min(self._steps_of(run), self.steps) for run in self.watched)

    def _steps_of(self, run: Run) -> int:
        with suppress(UserError):  # a line that is just being written
            curves = read_metrics(self.output / run.folder)
            return max((points[-1][0] for points in curves.values()), default=0)
        return 0
