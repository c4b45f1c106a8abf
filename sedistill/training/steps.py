"""One update of the student, which the loop repeats: losses, gradients, clip, optimiser."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sedistill.models.eval_mode import evaluating
from sedistill.training.compiled import uncompiled
from sedistill.training.gradients import (
    KD_OVER_SE,
    NORM,
    average_gradients,
    average_what_backward_left,
    clip_gradients,
    gradient_balance,
    gradients_of,
)
from sedistill.training.kd_balance import KDBalance
from sedistill.training.not_finite import refuse_not_finite
from sedistill.training.pieces import mean_of, pieces_of
from sedistill.training.schedule import Stage
from sedistill.training.tasks import Task


class Step(Protocol):
    """What the loop asks of a method of training."""

    optimiser: torch.optim.Optimizer
    """The student's; the loop sets its rates before each call and keeps its state."""

    def __call__(self, batch: Mapping[str, Tensor], measure_balance: bool) -> dict[str, Tensor]:
        """Update the student by one batch on the device; return what to log, 0-dim tensors.

        measure_balance: whether this is one of the steps at which gradients are compared.

        Raises NotFiniteError, naming the term, before anything is learnt from a loss or a gradient that is
        not finite.
        """

    def terms(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The terms of the loss on a batch, by name, without a step: to find the clip that one fails on."""

    def at(self, stage: Stage, share_done: float) -> None:
        """Take the weights of a stage of the schedule, and what share of it is done; before each step."""

    def log_clips(self, step: int) -> None:
        """Write what the step just done, of this number, said of single clips, if anything."""

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on, besides the student and its optimiser."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""


class PlainStep:
    """Adds the weighted terms of a task, differentiates once, clips and steps.

    pieces: in how many a batch is computed, one after the other; their gradients add up.
    kd_balance: what weighs distillation by its gradient; None leaves it at the task's kd_weight.

    In float16 the loss is multiplied, by GradScaler, so that no gradient becomes 0; a step whose gradient
    then is too large for the format is left out, and the factor halved. At a factor of 1 it is a fault.
    """

    def __init__(
        self,
        task: Task,
        student: nn.Module,
        optimiser: torch.optim.Optimizer,
        clip_norm: float | None,
        precision: torch.autocast,
        pieces: int = 1,
        kd_balance: KDBalance | None = None,
    ) -> None:
        self.task, self.student, self.optimiser = task, student, optimiser
        self.clip_norm, self.precision, self.pieces = clip_norm, precision, pieces
        self.kd_balance = kd_balance
        scales = precision.fast_dtype == torch.float16
        self.scaler = torch.amp.GradScaler(precision.device, enabled=scales)
        self.student_parameters = [p for p in student.parameters() if p.requires_grad]
        self.parameters = [*self.student_parameters, *task.auxiliary.parameters()]

    def __call__(self, batch: Mapping[str, Tensor], measure_balance: bool) -> dict[str, Tensor]:
        parts: list[dict[str, Tensor]] = []
        apart: list[list[Tensor]] = []
        self.optimiser.zero_grad(set_to_none=True)
        for piece in pieces_of(batch, self.pieces):
            with self.precision, uncompiled() if measure_balance else nullcontext():
                losses = self.task.losses(piece)
            parts.append({**losses.parts, "the loss": losses.total.detach()})
            if measure_balance and losses.se is not None and losses.kd is not None:
                apart = self._added(apart, losses.se, losses.kd)
            else:
                self._share(losses.total).backward()
        balance = self._average(apart)
        self.scaler.unscale_(self.optimiser)
        clipped = clip_gradients(self.parameters, self.clip_norm)
        log = mean_of(parts)
        norm = clipped[NORM]
        too_large = self._is_too_large(norm)
        refuse_not_finite(log if too_large else {**log, "the gradient": norm})
        self.scaler.step(self.optimiser)
        self.scaler.update()
        del log["the loss"]
        if self.scaler.is_enabled():
            log["gradient/skipped_share"] = norm.new_tensor(float(too_large))
        return log if too_large else log | balance | clipped

    def _share(self, loss: Tensor) -> Tensor:
        """Of the loss of a piece what it adds to that of the batch, multiplied where the format wants it."""
        return self.scaler.scale(loss / self.pieces)

    def _added(self, sums: list[list[Tensor]], se: Tensor, kd: Tensor) -> list[list[Tensor]]:
        """The gradients of both terms on their own, added to those of the pieces before."""
        own = [
            gradients_of(self._share(se), self.parameters, retain_graph=True),
            gradients_of(self._share(kd), self.parameters),
        ]
        for total, gradients in zip(sums, own, strict=True) if sums else ():
            torch._foreach_add_(total, gradients)
        return sums or own

    def _average(self, apart: list[list[Tensor]]) -> dict[str, Tensor]:
        """Over processes, in the parameters. Of gradients taken apart the balance is returned."""
        if not apart:
            average_what_backward_left(self.parameters, self.student)
            return {}
        se_grads, kd_grads = apart
        average_gradients(se_grads, kd_grads, network=self.student)
        students = len(self.student_parameters)  # maps of an objective have no say in the balance
        balance = gradient_balance(se_grads[:students], kd_grads[:students])
        if self.kd_balance is not None and balance:
            change = self.kd_balance.follow(float(balance[KD_OVER_SE]))
            torch._foreach_mul_(kd_grads, change)
            balance[KD_OVER_SE] = change * balance[KD_OVER_SE]
            balance["gradient/kd_factor"] = torch.tensor(self.kd_balance.factor)
        for parameter, a, b in zip(self.parameters, se_grads, kd_grads, strict=True):
            parameter.grad = a + b
        return balance

    def _is_too_large(self, norm: Tensor) -> bool:
        if not self.scaler.is_enabled() or self.scaler.get_scale() <= 1:
            return False
        return not bool(norm.isfinite())

    @torch.no_grad()
    def terms(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with evaluating(self.student), torch.random.fork_rng(), self.precision:
            return self.task.losses(batch).parts

    def at(self, stage: Stage, share_done: float) -> None:
        self.task.share_done = share_done
        factor = 1.0 if self.kd_balance is None else self.kd_balance.factor
        self.task.se_weight, self.task.kd_weight = stage.se_weight, factor * stage.kd_weight

    def log_clips(self, step: int) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        balance = {} if self.kd_balance is None else {"kd_balance": self.kd_balance.state_dict()}
        return {"auxiliary": self.task.auxiliary.state_dict(), "scaler": self.scaler.state_dict(), **balance}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.task.auxiliary.load_state_dict(state["auxiliary"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
        if self.kd_balance is not None:
            self.kd_balance.load_state_dict(state["kd_balance"])
