"""How long a run will still take: all its steps and validations, by what they took so far."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sedistill.common.progress import duration_text


class TimeLeft:
    """Measures steps and validations of this command, and tells how long those to come will take.

    steps_at_most, batches_an_epoch: of the run; each epoch ends with a validation.
    at_most: whether a stopping rule may end the run sooner.
    """

    def __init__(self, steps_at_most: int, batches_an_epoch: int, at_most: bool) -> None:
        self.steps_at_most, self.at_most = steps_at_most, at_most
        self.epochs = math.ceil(steps_at_most / batches_an_epoch)
        self.steps = self.validations = 0
        self.step_seconds = self.validation_seconds = 0.0
        self.began = time.monotonic()

    def step_began(self) -> float:
        """A step begins: now, which is returned."""
        self.began = time.monotonic()
        return self.began

    def step_ended(self) -> float:
        """A step is over, with what came with it, and the next begins: now, which is returned."""
        began = self.began
        self.step_seconds += self.step_began() - began
        self.steps += 1
        return self.began

    @contextmanager
    def validation(self) -> Iterator[None]:
        """A validation takes as long as what is inside."""
        began = time.monotonic()
        yield
        self.validation_seconds += time.monotonic() - began
        self.validations += 1

    def text(self, step: int, epoch: int) -> str:
        """Such as "at most 36 min left", after so many steps and validated epochs of the run.

        Before the first validation it is not known how long those take, which is said.
        """
        if not self.steps:
            return ""
        seconds = (self.steps_at_most - step) * self.step_seconds / self.steps
        bound = "at most " if self.at_most else ""
        if not self.validations:
            return f"{bound}{duration_text(seconds)} left, and validations"
        seconds += (self.epochs - epoch) * self.validation_seconds / self.validations
        return f"{bound}{duration_text(seconds)} left"
