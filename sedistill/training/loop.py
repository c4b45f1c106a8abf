"""The one training loop: steps, validation, checkpoints. Interrupted anywhere, it goes on exactly there."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from sedistill.common import ranks
from sedistill.common.devices import peak_memory_mb
from sedistill.common.errors import UserError
from sedistill.common.interruption import deferred
from sedistill.common.progress import ProgressBar
from sedistill.common.reading import is_taken
from sedistill.data.batches import EpochBatches
from sedistill.data.workers import Batches, named_worker_faults
from sedistill.training.kd_balance import is_measured
from sedistill.training.not_finite import NotFiniteError, first_cause, refuse_state_not_finite
from sedistill.training.optimiser import AveragedWeights
from sedistill.training.polarity import Polarity
from sedistill.training.processes.alike import refuse_drift
from sedistill.training.recipe.optimiser_settings import OptimiserSettings
from sedistill.training.recipe.schema import LoggingSettings
from sedistill.training.run_folder.checkpoints import BEST, LAST, save_checkpoint
from sedistill.training.run_folder.logs import Means, NoLog, RunLog
from sedistill.training.run_folder.run_state import Progress, draw_apart, restore_run, save_run
from sedistill.training.schedule import LearningRate, Stage, stage_of
from sedistill.training.steps import Step
from sedistill.training.time_left import TimeLeft
from sedistill.training.validation import Score, Validation

RETURNS = 3
"""How often one command goes back to the last checkpoint after something that was not finite."""

REMEDY = (
    "start anew under another name with a lower optimiser.learning_rate or weight of that term, or without "
    "that clip"
)


class Callback(Protocol):
    """Looks on while a network trains, and changes nothing of it."""

    def after_step(self, step: int) -> None:
        """Called with 0 before the first step, and with its number (from 1) after each."""

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on: tensors, numbers, strings, nested dicts."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""


@dataclass
class Loop:
    """Trains `network` by `step` until its schedule ends or validation stops improving.

    Epochs end with a validation; the best weights are kept in checkpoints/best.ckpt, everything that is
    needed to resume in checkpoints/last.ckpt. Where a new stage begins, optimiser, learning rate, the mean of
    the weights and the search for the best ones begin afresh.

    validation: what decides which weights are the best.
    keep_optimiser: whether the next stage starts with the optimiser's moments.
    polarity: gives a new student's output the sign of the speech; None leaves it as it is.
    averaged: the mean of the weights, which then is what is validated and kept as the best.
    refuse_changed_data: called before anything is saved; raises UserError when the data are others now.
    """

    network: nn.Module
    step: Step
    validation: Validation
    stages: Sequence[Stage]
    train_batches: Batches
    settings: OptimiserSettings
    logging: LoggingSettings
    folder: Path
    device: torch.device
    keep_optimiser: bool = False
    polarity: Polarity | None = None
    averaged: AveragedWeights | None = None
    callbacks: Sequence[Callback] = ()
    refuse_changed_data: Callable[[], None] = lambda: None
    progress: Progress = field(default_factory=Progress)
    means: Means = field(default_factory=Means)

    def __post_init__(self) -> None:
        self.optimiser = self.step.optimiser
        self.order = cast(EpochBatches, self.train_batches.batch_sampler)
        self.order.set_position(0, 0)
        self.batches_an_epoch = len(self.order)
        self.steps_at_most = self.settings.steps_at_most(self.batches_an_epoch)
        self.time_left = TimeLeft(
            self.steps_at_most, self.batches_an_epoch, at_most=self.settings.schedule == "plateau"
        )
        self.failed_steps: set[int] = set()
        self.saved_step = 0
        self.last_path = self.folder / LAST
        self.best_path = self.folder / BEST
        self.rate = LearningRate(self.optimiser, self.settings, self.batches_an_epoch)

    def run(self) -> Progress:
        """Train to the end, from wherever checkpoints/last.ckpt stands. Returns the final progress."""
        if ranks.from_first(lambda: is_taken(self.last_path)):
            self._restore()
        else:
            draw_apart(0)
        self.last_saved = time.monotonic()
        log = RunLog(self.folder, first_step=self.progress.step) if ranks.is_first() else NoLog()
        with closing(log) as self.log, deferred() as self.is_interrupted:
            while not self.progress.finished:
                try:
                    with named_worker_faults():
                        if self.progress.step == 0:
                            self._after_step()
                        self._epoch()
                except NotFiniteError as fault:
                    self._go_back(fault)
        return self.progress

    def _go_back(self, fault: NotFiniteError) -> None:
        """To the last checkpoint, which is whole: what a device got wrong once goes right the second time.

        Raises UserError where the same step fails again, or the third one does, or there is no checkpoint.
        """
        step = self.progress.step
        if not ranks.from_first(lambda: is_taken(self.last_path)):
            raise UserError(f"training stopped at step {step}: {fault} is not finite; {REMEDY}.")
        if step in self.failed_steps or len(self.failed_steps) == RETURNS:
            raise UserError(
                f"training stopped at step {step}: {fault} is not finite, again after going back to the last "
                f"good checkpoint (step {self.saved_step}), which is kept in {self.folder}; {REMEDY}."
            )
        self.failed_steps.add(step)
        print(f"\nstep {step}: {fault} is not finite; going back to the last checkpoint.", flush=True)
        self._restore()
        self.log.go_back_to(self.progress.step)

    def _epoch(self) -> None:
        self.network.train()
        self.order.set_position(self.progress.epoch, self.progress.batch)
        total = min(self.batches_an_epoch, self.progress.batch + self.steps_at_most - self.progress.step)
        with ProgressBar(
            "training", self.steps_at_most, "steps", done=self.progress.step, left=self._left
        ) as bar:
            started = self.time_left.step_began()
            for batch in self.train_batches:
                if self.progress.batch >= total:
                    break
                loss = self._train_on(batch)
                self.progress.seconds += time.monotonic() - started
                self._after_step()
                self._checkpoint_if_due()
                started = self.time_left.step_ended()
                bar.advance(1, note=loss)
        self._validate()

    def _left(self) -> str:
        progress = self.progress
        return f"{self.time_left.text(progress.step, progress.epoch)} (epoch {progress.epoch + 1})"

    def _train_on(self, batch: Mapping[str, Tensor]) -> str:
        self.progress.step += 1
        self.progress.batch += 1
        self._enter_stage_if_new()
        stage = self.stages[self.progress.stage]
        self.rate.set(self.progress.step, stage)
        self.step.at(stage, stage.share_done(self.progress.step, self.rate.planned_steps))
        measure_balance = is_measured(self.progress.step, self.logging.gradients_every_steps)
        on_device = to_device(batch, self.device)
        try:
            self.means.add(self.step(on_device, measure_balance))
        except NotFiniteError as fault:
            raise first_cause(fault, on_device, self.network, self.step.terms, self._origin) from None
        self.step.log_clips(self.progress.step)
        if self.progress.step % self.logging.every_steps == 0:
            return self._log_means()
        return ""

    def _origin(self, clip: int) -> str:
        return self.train_batches.examples.origin((self.progress.epoch, clip))  # type: ignore[attr-defined]

    def _after_step(self) -> None:
        if self.averaged is not None and self.progress.step:
            self.averaged.update()
        turned = self.polarity is not None and self.polarity.look(self.progress.step)
        if turned and self.averaged is not None:
            self.averaged.restart()
        if self.callbacks:
            with ranks.failing_together(NotFiniteError):
                for callback in self.callbacks if ranks.is_first() else ():
                    callback.after_step(self.progress.step)

    def _enter_stage_if_new(self) -> None:
        number = stage_of(self.progress.step, self.stages)
        if number == self.progress.stage:
            return
        self.progress.stage = number
        self.progress.best_loss, self.progress.best_metric = float("inf"), None
        self.progress.best_epoch = self.progress.epoch
        if not self.keep_optimiser:
            self.optimiser.state.clear()
        if self.averaged is not None:
            self.averaged.restart()
        self.rate.start()
        print(f"step {self.progress.step}: stage {number + 1} of {len(self.stages)} begins", flush=True)

    def _log_means(self) -> str:
        values = self.means.take()
        for name, value in values.items():
            if not math.isfinite(value):
                raise NotFiniteError(name)
        values["learning_rate"] = self.optimiser.param_groups[0]["lr"]
        self.log.write(self.progress.step, self.progress.epoch, values)
        return "  ".join(f"{k} {v:.3g}" for k, v in values.items() if k == "se" or k.startswith("kd/"))

    def _validate(self) -> None:
        progress, settings = self.progress, self.settings
        refuse_drift(self.network, self.step.state_dict(), progress.step)
        with (
            self.time_left.validation(),
            nullcontext() if self.averaged is None else self.averaged.in_place(),
        ):
            score = self.validation.measure(self._checkpoint_if_due, self.is_interrupted)
            self.refuse_changed_data()
            if score.is_better_than(self._best):
                best = {"student": self.network.state_dict()}
                with ranks.failing_together(NotFiniteError):
                    refuse_state_not_finite(best)
                progress.best_loss, progress.best_metric = score.loss, score.metric
                progress.best_epoch, progress.best_step = progress.epoch, progress.step
                if ranks.is_first():
                    save_checkpoint(self.best_path, best)
        if settings.schedule == "plateau":
            self.rate.after_validation(score.loss if score.metric is None else -score.metric)
        self.log.write(
            progress.step,
            progress.epoch,
            {
                **self.validation.values(score),
                "valid/best": progress.best_loss,
                "seconds": progress.seconds,
                "memory_mb": peak_memory_mb(self.device),
            },
        )
        print(
            f"epoch {progress.epoch + 1}: {self.validation.text(score, self._best)}, "
            f"step {progress.step}, {progress.seconds / 60:.1f} min",
            flush=True,
        )
        progress.epoch += 1
        progress.batch = 0
        progress.finished = self._is_over()
        self._save_last()

    def _is_over(self) -> bool:
        """Whether the epoch before the current one was the last."""
        progress, settings = self.progress, self.settings
        last_stage = progress.stage == len(self.stages) - 1
        stalled = progress.epoch - 1 - progress.best_epoch >= settings.stop_after
        out_of_steps = settings.max_steps is not None and progress.step >= settings.max_steps
        stops = settings.schedule == "plateau" and last_stage and stalled
        return stops or out_of_steps or progress.epoch >= settings.max_epochs

    @property
    def _best(self) -> Score:
        return Score(self.progress.best_loss, self.progress.best_metric)

    def _checkpoint_if_due(self) -> None:
        due = time.monotonic() - self.last_saved > 60 * self.logging.checkpoint_minutes
        interrupted, due = ranks.any_says(self.is_interrupted(), due and ranks.is_first())
        if interrupted or due:
            self._save_last()
        if interrupted:
            print(f"\nstopped after step {self.progress.step}, which is saved.", flush=True)
            raise KeyboardInterrupt

    def _save_last(self) -> None:
        self.refuse_changed_data()
        refuse_drift(self.network, self.step.state_dict(), self.progress.step)
        self.log.flush()
        save_run(self)
        self.saved_step = self.progress.step
        self.last_saved = time.monotonic()

    def _restore(self) -> None:
        restore_run(self)
        self.progress.finished = self.progress.finished and self._is_over()  # not where given more steps
        self.saved_step = self.progress.step
        if not self.progress.finished:
            print(f"resuming at step {self.progress.step} (epoch {self.progress.epoch + 1}) of {self.folder}")


def to_device(batch: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """The tensors of a batch on the device."""
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}
