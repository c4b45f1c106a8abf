"""What one step computes. Plain and distilled training are one shape: a batch in, named losses out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from sedistill.training.enhancement_losses import EnhancementLoss
from sedistill.training.objectives import Objective

MAX_LEVEL_GAIN = 1e3  # silence is not blown up without bound when clips are brought to one level


@dataclass
class StepLosses:
    """The terms of one step: `se` and `kd` are weighted scalars to add; `parts` are what the log shows."""

    se: Tensor
    kd: Tensor | None
    parts: dict[str, Tensor] = field(default_factory=dict)

    @property
    def total(self) -> Tensor:
        return self.se if self.kd is None else self.se + self.kd


class Task:
    """Losses of a student on a batch: its own enhancement loss, plus objectives if there are any.

    `teacher` turns noisy (B, T) into the teacher's estimate (B, T); it is not asked when the batch brings
    that estimate along (a cache). A weight of 0 leaves a term out of the gradient altogether.
    """

    def __init__(
        self,
        student: nn.Module,
        se_loss: EnhancementLoss,
        se_weight: float,
        objectives: Mapping[str, tuple[float, Objective]],
        kd_weight: float,
        teacher: Callable[[Tensor], Tensor] | None,
        kd_level_db: float | None,
    ) -> None:
        self.student, self.se_loss, self.se_weight = student, se_loss, se_weight
        self.objectives, self.kd_weight, self.kd_level_db = dict(objectives), kd_weight, kd_level_db
        self.teacher = teacher

    def losses(self, batch: Mapping[str, Tensor]) -> StepLosses:
        """All terms for a batch with "noisy", "clean" and perhaps "teacher", each (B, T)."""
        noisy, clean = batch["noisy"], batch["clean"]
        estimate = self.student(noisy)
        se = self.se_loss(estimate.float(), clean, noisy).mean()
        parts = {"se": se.detach()}
        if not self.objectives:
            return StepLosses(self.se_weight * se, None, parts)

        teacher = self._teacher_estimate(batch)
        gain = level_gain(clean, self.kd_level_db)
        kd = estimate.new_zeros((), dtype=torch.float32)
        for name, (weight, objective) in self.objectives.items():
            loss, details = objective.with_parts(
                gain * estimate.float(), None if teacher is None else gain * teacher, gain * clean
            )
            kd = kd + weight * loss
            parts[f"kd/{name}"] = details.pop("loss")
            parts |= {f"{name}/{key}": value for key, value in details.items()}
        return StepLosses(self.se_weight * se, self.kd_weight * kd, parts)

    def validation_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The enhancement loss of every clip, (B,)."""
        noisy = batch["noisy"]
        return self.se_loss(self.student(noisy).float(), batch["clean"], noisy)

    def _teacher_estimate(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        if "teacher" in batch:
            return batch["teacher"]
        return None if self.teacher is None else self.teacher(batch["noisy"])


def level_gain(clean: Tensor, level_db: float | None) -> Tensor | float:
    """The gain (B, 1) that brings each clean clip (B, T) to an RMS of `level_db` dB full scale; 1 for None.

    One gain serves student, teacher and clean of a clip, so their relations stay as they are.
    """
    if level_db is None:
        return 1.0
    rms = clean.float().square().mean(dim=1, keepdim=True).sqrt()
    return (10 ** (level_db / 20) / rms.clamp(min=1e-9)).clamp(max=MAX_LEVEL_GAIN)


def gradients(loss: Tensor, parameters: Sequence[nn.Parameter], retain_graph: bool = False) -> list[Tensor]:
    """The gradient of `loss` for every parameter; zeros where it does not reach."""
    grads = torch.autograd.grad(loss, parameters, retain_graph=retain_graph, allow_unused=True)
    return [
        torch.zeros_like(parameter) if grad is None else grad
        for parameter, grad in zip(parameters, grads, strict=True)
    ]


def gradient_balance(se_grads: Sequence[Tensor], kd_grads: Sequence[Tensor]) -> dict[str, Tensor]:
    """Norm ratio KD/SE and cosine of the two gradients over all parameters."""
    se_norm = torch.nn.utils.get_total_norm(list(se_grads))
    kd_norm = torch.nn.utils.get_total_norm(list(kd_grads))
    inner = torch.stack([(a * b).sum() for a, b in zip(se_grads, kd_grads, strict=True)]).sum()
    tiny = torch.finfo(se_norm.dtype).tiny
    return {
        "gradient/kd_over_se": kd_norm / se_norm.clamp(min=tiny),
        "gradient/cosine": inner / (se_norm * kd_norm).clamp(min=tiny),
    }
