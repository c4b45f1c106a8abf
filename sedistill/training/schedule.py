"""The schedule of a run: its stages, and the learning rate and Adam's beta1 of every step.

All of it follows from the step's number alone: there is no state to save.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sedistill.training.recipe.schema import OptimiserSettings

LAST_SHARE = 0.01
"""Of the peak: to this a cosine falls, and the decay of wsd."""

# What torch's OneCycleLR does by default.
RISE_SHARE = 0.3
START_DIVISOR, END_DIVISOR = 25.0, 1e4
HIGH_BETA1, LOW_BETA1 = 0.95, 0.85


def learning_rate(settings: OptimiserSettings, peak: float, step: int, length: int) -> float:
    """The rate of a step, counted from 1, in a stage of `length` steps, which only plateau may end sooner.

    peak: the recipe's rate, or what the plateau rule has made of it.

    One cycle: Smith and Topin, "Super-Convergence" (2019), in the form of torch's OneCycleLR. wsd: Hu et al.,
    "MiniCPM" (2024), with a straight decay.
    """
    if settings.schedule == "one_cycle":
        start = peak / START_DIVISOR
        return _one_cycle(step, length, start, peak, start / END_DIVISOR)
    if step <= settings.warmup_steps:
        return peak * (step / settings.warmup_steps)
    if settings.schedule == "plateau":
        return peak
    if settings.schedule == "wsd":
        left = min(1.0, (length - step) / (settings.decay_share * length))
        return peak * (LAST_SHARE + (1 - LAST_SHARE) * left)
    share = (step - settings.warmup_steps) / max(length - settings.warmup_steps, 1)
    return peak * (LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * share)))


def adam_beta1(settings: OptimiserSettings, step: int, length: int) -> float | None:
    """Adam's beta1 for a step, counted as above; None where the schedule leaves it as it is.

    In a cycle it is low where the rate is high, so that large steps do not carry on for long.
    """
    if settings.schedule != "one_cycle":
        return None
    return _one_cycle(step, length, HIGH_BETA1, LOW_BETA1, HIGH_BETA1)


def _one_cycle(step: int, length: int, start: float, middle: float, end: float) -> float:
    """Half a cosine from `start` at step 1 to `middle`, and another to `end` at the last step."""
    done, turn, last = step - 1, RISE_SHARE * length - 1, length - 1  # the turn may lie between two steps
    if done <= turn:
        return _half_cosine(start, middle, done / turn)
    return _half_cosine(middle, end, (done - turn) / (last - turn))


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


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
