"""The schedule of a run: its stages, and the learning rate and Adam's beta1 of every step.

All of it follows from the step's number alone, except what the plateau rule has made of the peak.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from sedistill.training.recipe.optimiser_settings import OptimiserSettings

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


class LearningRate:
    """The rates of an optimiser, set before each step; in each stage they begin afresh."""

    def __init__(
        self, optimiser: torch.optim.Optimizer, settings: OptimiserSettings, batches_an_epoch: int
    ) -> None:
        self.optimiser, self.settings = optimiser, settings
        self.planned_steps = settings.planned_steps(batches_an_epoch)
        self.start()

    def start(self) -> None:
        """Begin a stage."""
        self.peak = self.settings.learning_rate
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimiser, factor=0.5, patience=self.settings.halve_after - 1, threshold=0.0
        )

    def set(self, step: int, stage: "Stage") -> None:
        """As the schedule has it for a step of the run, counted from 1."""
        step, length = step - stage.start, stage.length(self.planned_steps)
        rate = learning_rate(self.settings, self.peak, step, length)
        beta1 = adam_beta1(self.settings, step, length)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
            if beta1 is not None:
                group["betas"] = (beta1, group["betas"][1])

    def after_validation(self, value: float) -> None:
        """The plateau rule, by a value of which less is better."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.peak
        self.plateau.step(value)
        self.peak = self.optimiser.param_groups[0]["lr"]

    def state_dict(self) -> dict[str, Any]:
        return {"plateau": self.plateau.state_dict(), "peak_rate": self.peak}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.plateau.load_state_dict(state["plateau"])
        self.peak = state["peak_rate"]


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

    def share_done(self, step: int, planned_steps: int) -> float:
        """How far a step (of the run, from 1) is on the way from the first to the last of these, 0 to 1."""
        return min((step - self.start - 1) / max(self.length(planned_steps) - 1, 1), 1.0)


def one_stage(se_weight: float, kd_weight: float) -> list[Stage]:
    """Both terms from the first step to the last."""
    return [Stage(0, None, se_weight, kd_weight)]


def two_stages(kd_steps: int, se_weight: float, kd_weight: float) -> list[Stage]:
    """Two-step distillation (2024): `kd_steps` of the objectives alone, then the student's own loss alone."""
    return [Stage(0, kd_steps, 0.0, kd_weight), Stage(kd_steps, None, se_weight, 0.0)]


def stage_of(step: int, stages: Sequence[Stage]) -> int:
    """Number of the stage to which a step (counted from 1) belongs."""
    return next(number for number, stage in enumerate(stages) if stage.end is None or step <= stage.end)
