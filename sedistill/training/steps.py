"""One update of the student, which the loop repeats: losses, gradients, clip, optimiser."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sedistill.models.eval_mode import evaluating
from sedistill.training.gradients import (
    average_gradients,
    average_what_backward_left,
    clip_gradients,
    gradient_balance,
    gradients_of,
)
from sedistill.training.not_finite import refuse_not_finite
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
    """Adds the weighted terms of a task, differentiates once, clips and steps."""

    def __init__(
        self,
        task: Task,
        student: nn.Module,
        optimiser: torch.optim.Optimizer,
        clip_norm: float | None,
        precision: torch.autocast,
    ) -> None:
        self.task, self.student, self.optimiser = task, student, optimiser
        self.clip_norm, self.precision = clip_norm, precision
        self.student_parameters = [p for p in student.parameters() if p.requires_grad]
        self.parameters = [*self.student_parameters, *task.auxiliary.parameters()]

    def __call__(self, batch: Mapping[str, Tensor], measure_balance: bool) -> dict[str, Tensor]:
        with self.precision:
            losses = self.task.losses(batch)
        log = dict(losses.parts)
        self.optimiser.zero_grad(set_to_none=True)
        if measure_balance and losses.se is not None and losses.kd is not None:
            log |= self._backward_apart(losses.se, losses.kd)
        else:
            losses.total.backward()
            average_what_backward_left(self.parameters, self.student)
        log |= clip_gradients(self.parameters, self.clip_norm)
        refuse_not_finite({**losses.parts, "the loss": losses.total, "the gradient": log["gradient/norm"]})
        self.optimiser.step()
        return log

    @torch.no_grad()
    def terms(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with evaluating(self.student), torch.random.fork_rng(), self.precision:
            return self.task.losses(batch).parts

    def _backward_apart(self, se: Tensor, kd: Tensor) -> dict[str, Tensor]:
        """The gradients of both terms on their own: their balance is returned, their sum goes to the step."""
        se_grads = gradients_of(se, self.parameters, retain_graph=True)
        kd_grads = gradients_of(kd, self.parameters)
        average_gradients(se_grads, kd_grads, network=self.student)
        for parameter, a, b in zip(self.parameters, se_grads, kd_grads, strict=True):
            parameter.grad = a + b
        students = len(self.student_parameters)  # maps of an objective have no say in the balance
        return gradient_balance(se_grads[:students], kd_grads[:students])

    def at(self, stage: Stage, share_done: float) -> None:
        self.task.share_done = share_done
        self.task.se_weight, self.task.kd_weight = stage.se_weight, stage.kd_weight

    def log_clips(self, step: int) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {"auxiliary": self.task.auxiliary.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.task.auxiliary.load_state_dict(state["auxiliary"])
