"""How far trainings in processes of their own are, as their logs tell, and whether there is time for them."""

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from sedistill.common.errors import UserError
from sedistill.common.progress import ProgressBar
from sedistill.training.run_folder.logs import read_metrics
from sedistill.workflows.jobs import Run, Trainings

LOOK_EVERY_SECONDS = 2.0
JUDGED_AFTER = 0.15
"""Of the time that is allowed: whether the steps will fit is judged then, and not again."""
TOLERATED = 1.25
"""So much longer than allowed is no reason to begin again."""


class TooSlow(Exception):  # noqa: N818 - no fault, but news
    """The trainings will take `factor` times as long as is allowed."""

    def __init__(self, factor: float) -> None:
        super().__init__(f"{factor:.2f} times as long as allowed")
        self.factor = factor


@dataclass
class Watched(Trainings):
    """Trainings of so many steps each, with one bar over all of them.

    allowed: seconds for all of them; trainings from the first step on that will take much longer end early
        by raising TooSlow.
    """

    steps: int = 1
    allowed: float = math.inf

    def train(self, runs: Sequence[Run]) -> None:
        self.watched, self.looked = list(runs), time.monotonic()
        self.begun, self.judged = self.looked, self._done() > 0
        title = f"training {' and '.join(run.name for run in runs)}"
        with ProgressBar(title, self.steps * len(runs), "steps", self._done()) as self.bar:
            super().train(runs)

    def watch(self) -> None:
        if time.monotonic() - self.looked > LOOK_EVERY_SECONDS:
            self.looked = time.monotonic()
            if (more := self._done() - self.bar.done) > 0:
                self.bar.advance(more)
            self._judge()

    def _judge(self) -> None:
        """Once, when enough has been done to tell: raise TooSlow where the rest will not fit."""
        elapsed = self.looked - self.begun
        if self.judged or elapsed < JUDGED_AFTER * self.allowed or not self.bar.done:
            return
        self.judged = True
        factor = elapsed * self.steps * len(self.watched) / self.bar.done / self.allowed
        if factor > TOLERATED:
            raise TooSlow(factor)

    def _done(self) -> int:
        return sum(min(self._steps_of(run), self.steps) for run in self.watched)

    def _steps_of(self, run: Run) -> int:
        with suppress(UserError):  # a line that is just being written
            curves = read_metrics(self.output / run.folder)
            return max((points[-1][0] for points in curves.values()), default=0)
        return 0
