"""The gradients of KDRL's three networks from one forward pass.

Student and references stand at the same weights before a step, so one forward pass serves all three. Their
losses are combinations, clip by clip, of the same two distances: to the clean speech and to the teacher.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sedistill.training.gradients import average_gradients, gradients_of

# (estimate, target: (B, T)) -> one value a clip, (B,); lower is better.
Distance = Callable[[Tensor, Tensor], Tensor]


@dataclass
class ThreeGradients:
    """Gradients for every parameter: of the weighted loss, of the soft and of the hard target alone."""

    mixed: list[Tensor]
    soft: list[Tensor]
    hard: list[Tensor]


class SharedForward:
    """A forward pass of the student in training mode, from which gradients of weighted losses are taken.

    `estimate` (B, T), `hard` and `soft` (B,), the distances to clean speech and teacher, are detached and in
    float32 at least. `split` passes clips through the network one at a time: then the student's gradient is a
    weighted sum of both targets' gradients of the single clips and needs no backward pass of its own. Only
    for networks in which clips do not meet (no batch norm), and faster only where one clip fills the device.

    clean, teacher: None for a target that has no weight; its distances are then no part of anything.
    """

    def __init__(
        self,
        student: nn.Module,
        parameters: Sequence[nn.Parameter],
        distance: Distance,
        noisy: Tensor,
        clean: Tensor | None,
        teacher: Tensor | None,
        split: bool,
    ) -> None:
        self.student, self.parameters, self.batch = student, parameters, len(noisy)
        step = 1 if split else self.batch
        self.pieces = [slice(start, start + step) for start in range(0, self.batch, step)]
        estimates = [student(noisy[piece]) for piece in self.pieces]

        def distances_to(target: Tensor | None) -> list[Tensor]:
            if target is None:
                return []
            return [distance(e, target[piece]) for e, piece in zip(estimates, self.pieces, strict=True)]

        self.to_clean, self.to_teacher = distances_to(clean), distances_to(teacher)
        self.estimate = torch.cat([estimate.detach() for estimate in estimates]).float()
        nothing = self.estimate.new_zeros(0)
        self.hard, self.soft = (
            torch.cat(distances).detach() if distances else nothing
            for distances in (self.to_clean, self.to_teacher)
        )

    @property
    def means(self) -> dict[str, Tensor]:
        """What the log shows of the distances: the mean of those that were taken."""
        named = {"se": self.hard, "kd/soft": self.soft}
        return {name: distances.mean() for name, distances in named.items() if len(distances)}

    def mixed_gradient(self, hard_weight: Tensor, soft_weight: Tensor) -> list[Tensor]:
        """Gradient of the mean over clips of hard_weight * hard + soft_weight * soft, weights (B,)."""
        total = torch.cat(
            [self._mixed(number, hard_weight, soft_weight) for number in range(len(self.pieces))]
        )
        gradient = gradients_of(total.sum() / self.batch, self.parameters)
        average_gradients(gradient, network=self.student)
        return gradient

    def gradients(self, hard_weight: Tensor, soft_weight: Tensor) -> ThreeGradients:
        """That gradient, and those of the means of soft and of hard."""
        total = ThreeGradients(*([torch.zeros_like(p) for p in self.parameters] for _ in range(3)))
        for number, piece in enumerate(self.pieces):
            one_clip = piece.stop - piece.start == 1
            hard = self._gradient(self.to_clean[number], keep=True)
            soft = self._gradient(self.to_teacher[number], keep=not one_clip)
            _add(total.hard, hard)
            _add(total.soft, soft)
            if one_clip:
                _add(total.mixed, hard, float(hard_weight[piece]))
                _add(total.mixed, soft, float(soft_weight[piece]))
            else:
                _add(total.mixed, self._gradient(self._mixed(number, hard_weight, soft_weight), keep=False))
        average_gradients(total.mixed, total.soft, total.hard, network=self.student)
        return total

    def _mixed(self, number: int, hard_weight: Tensor, soft_weight: Tensor) -> Tensor:
        piece = self.pieces[number]
        if not self.to_teacher:
            return hard_weight[piece] * self.to_clean[number]
        if not self.to_clean:
            return soft_weight[piece] * self.to_teacher[number]
        return hard_weight[piece] * self.to_clean[number] + soft_weight[piece] * self.to_teacher[number]

    def _gradient(self, distances: Tensor, keep: bool) -> list[Tensor]:
        return gradients_of(distances.sum() / self.batch, self.parameters, retain_graph=keep)


def clips_do_not_meet(network: nn.Module) -> bool:
    """Whether no layer of the network relates the clips of a batch in training, as batch norm does."""
    return not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())


def _add(total: list[Tensor], gradient: Sequence[Tensor], weight: float = 1.0) -> None:
    for a, b in zip(total, gradient, strict=True):
        a.add_(b, alpha=weight)
