"""A run in one stage or, in the two-step schedule, two: distillation alone, then supervision alone."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """Steps start + 1 .. end of a run (end None: until the run stops) and the weights in force in them."""

    start: int
    end: int | None
    se_weight: float
    kd_weight: float

    def length(self, planned_steps: int) -> int:
        """Steps of this stage in a run of so many; a stopping rule may end it sooner."""
        return (planned_steps if self.end is None else self.end) - self.start


def one_stage(se_weight: float, kd_weight: float) -> list[Stage]:
    """Both terms from the first step to the last."""
    return [Stage(0, None, se_weight, kd_weight)]


def two_stages(kd_steps: int, se_weight: float, kd_weight: float) -> list[Stage]:
    """Two-step distillation (2024): `kd_steps` of the objectives alone, then the student's own loss alone."""
    return [Stage(0, kd_steps, 0.0, kd_weight), Stage(kd_steps, None, se_weight, 0.0)]


def stage_of(step: int, stages: Sequence[Stage]) -> int:
    """Number of the stage to which a step (counted from 1) belongs."""
    return next(number for number, stage in enumerate(stages) if stage.end is None or step <= stage.end)
