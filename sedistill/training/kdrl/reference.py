"""KDRL's reference: what the student would have become by another gradient."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

Moments = Literal["copied", "own", "fresh"]


class Reference:
    """A copy of the student's parameters that takes a step from the student's present weights.

    moments: the optimiser state the step starts from; "copied": the student's, so that with the student's own
    gradient the copy becomes what the student becomes, bit for bit; "own": its own of the steps before;
    "fresh": none. Options of the optimiser, learning rate included, are the student's at each step.
    """

    def __init__(self, student: nn.Module, optimiser: torch.optim.Optimizer, moments: Moments) -> None:
        self.student, self.students_optimiser, self.moments = student, optimiser, moments
        self.copies = {
            p: torch.empty_like(p, requires_grad=False) for p in student.parameters() if p.requires_grad
        }
        self.named = {name: self.copies[p] for name, p in student.named_parameters() if p.requires_grad}
        self.optimiser = type(optimiser)(self._groups())  # type: ignore[call-arg]

    def step(self, gradients: Sequence[Tensor], clip_norm: float | None) -> None:
        """Start from the student's weights and take one step by `gradients` (one a parameter that learns).

        clip_norm: the largest norm of all gradients together; None for no limit.
        """
        self._copy_student()
        for copy, gradient in zip(self.copies.values(), gradients, strict=True):
            copy.grad = gradient
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(list(self.copies.values()), clip_norm)
        self.optimiser.step()

    def __call__(self, noisy: Tensor) -> Tensor:
        """The copy's estimate, in the mode the student is in and with its buffers: (B, T) -> (B, T)."""
        return functional_call(self.student, self.named, (noisy,))

    def state_dict(self) -> dict[str, Any]:
        """Its own moments, all that is kept from step to step."""
        return self.optimiser.state_dict() if self.moments == "own" else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.moments == "own":
            self.optimiser.load_state_dict(state)

    def _groups(self) -> list[dict[str, Any]]:
        return [
            {**group, "params": [self.copies[p] for p in group["params"] if p in self.copies]}
            for group in self.students_optimiser.param_groups
        ]

    @torch.no_grad()
    def _copy_student(self) -> None:
        for parameter, copy in self.copies.items():
            copy.copy_(parameter)
        for own, groups in zip(self.optimiser.param_groups, self._groups(), strict=True):
            own.update(groups)
        if self.moments == "own":
            return
        self.optimiser.state.clear()
        if self.moments == "copied":
            for parameter, copy in self.copies.items():
                self.optimiser.state[copy] = {
                    name: value.clone() if isinstance(value, Tensor) else value
                    for name, value in self.students_optimiser.state.get(parameter, {}).items()
                }
