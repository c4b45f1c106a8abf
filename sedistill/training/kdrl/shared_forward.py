"""The gradients of KDRL's three networks from one forward pass.

Student and references stand at the same weights before a step, so one forward pass serves all three. Their
losses are combinations, clip by clip, of the same two distances: to the clean speech and to the teacher.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sedistill.models.eval_mode import keeping_buffers
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
    pieces: in so many the batch passes through the network, above 1 a second time with each gradient, as the
        weights of one clip may hang on all of them: then the graph of one piece alone is in memory.
    """

    def __init__(
        self,
        student: nn.Module,
        parameters: Sequence[nn.Parameter],
        distance: Distance,
        precision: torch.autocast,
        noisy: Tensor,
        clean: Tensor | None,
        teacher: Tensor | None,
        split: bool,
        pieces: int,
    ) -> None:
        self.student, self.parameters, self.batch = student, parameters, len(noisy)
        self.distance, self.precision = distance, precision
        self.noisy, self.targets = noisy, (clean, teacher)
        step = 1 if split else max(1, self.batch // pieces)
        self.pieces = [slice(start, start + step) for start in range(0, self.batch, step)]
        if pieces == 1:
            self.kept = passed = [self._pass(piece) for piece in self.pieces]
        else:
            with torch.no_grad(), torch.random.fork_rng(), keeping_buffers(student):
                passed = [self._pass(piece) for piece in self.pieces]
            self.kept = []
        self.estimate = torch.cat([one.estimate for one in passed])
        nothing = self.estimate.new_zeros(0)
        self.hard, self.soft = (
            nothing if target is None else torch.cat([one.distances[side] for one in passed]).detach()
            for side, target in enumerate(self.targets)
        )

    def _pass(self, piece: slice) -> "_Passed":
        with self.precision:
            estimate = self.student(self.noisy[piece])
            distances = [
                estimate.new_zeros(0) if target is None else self.distance(estimate, target[piece])
                for target in self.targets
            ]
        return _Passed(estimate.detach().float(), *distances)

    @property
    def means(self) -> dict[str, Tensor]:
        """What the log shows of the distances: the mean of those that were taken."""
        named = {"se": self.hard, "kd/soft": self.soft}
        return {name: distances.mean() for name, distances in named.items() if len(distances)}

    def mixed_gradient(self, hard_weight: Tensor, soft_weight: Tensor) -> list[Tensor]:
        """Gradient of the mean over clips of hard_weight * hard + soft_weight * soft, weights (B,)."""
        total = [torch.zeros_like(parameter) for parameter in self.parameters]
        for number, piece in enumerate(self.pieces):
            passed = self._passed(number)
            _add(total, self._gradient(passed.mixed(hard_weight[piece], soft_weight[piece]), keep=False))
        average_gradients(total, network=self.student)
        return total

    def gradients(self, hard_weight: Tensor, soft_weight: Tensor) -> ThreeGradients:
        """That gradient, and those of the means of soft and of hard."""
        total = ThreeGradients(*([torch.zeros_like(p) for p in self.parameters] for _ in range(3)))
        for number, piece in enumerate(self.pieces):
            passed, one_clip = self._passed(number), piece.stop - piece.start == 1
            hard = self._gradient(passed.to_clean, keep=True)
            soft = self._gradient(passed.to_teacher, keep=not one_clip)
            _add(total.hard, hard)
            _add(total.soft, soft)
            if one_clip:
                _add(total.mixed, hard, float(hard_weight[piece]))
                _add(total.mixed, soft, float(soft_weight[piece]))
            else:
                mixed = passed.mixed(hard_weight[piece], soft_weight[piece])
                _add(total.mixed, self._gradient(mixed, keep=False))
        average_gradients(total.mixed, total.soft, total.hard, network=self.student)
        return total

    def _passed(self, number: int) -> "_Passed":
        return self.kept[number] if self.kept else self._pass(self.pieces[number])

    def _gradient(self, distances: Tensor, keep: bool) -> list[Tensor]:
        return gradients_of(distances.sum() / self.batch, self.parameters, retain_graph=keep)


@dataclass
class _Passed:
    """Of a piece with b clips the estimate (b, T), detached, and its distances (b,); empty without target."""

    estimate: Tensor
    to_clean: Tensor
    to_teacher: Tensor

    @property
    def distances(self) -> tuple[Tensor, Tensor]:
        return self.to_clean, self.to_teacher

    def mixed(self, hard_weight: Tensor, soft_weight: Tensor) -> Tensor:
        if not len(self.to_teacher):
            return hard_weight * self.to_clean
        if not len(self.to_clean):
            return soft_weight * self.to_teacher
        return hard_weight * self.to_clean + soft_weight * self.to_teacher


def clips_do_not_meet(network: nn.Module) -> bool:
    """Whether no layer of the network relates the clips of a batch in training, as batch norm does."""
    return not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())


def _add(total: list[Tensor], gradient: Sequence[Tensor], weight: float = 1.0) -> None:
    for a, b in zip(total, gradient, strict=True):
        a.add_(b, alpha=weight)
