"""What one step computes. Plain and distilled training are one shape: a batch in, named losses out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from sedistill.distill.taps import Taps
from sedistill.training.enhancement_losses import EnhancementLoss

MAX_LEVEL_GAIN = 1e3  # silence is not blown up without bound when clips are brought to one level


class Objective(Protocol):
    """A term of distillation. `needs` names the signals it takes, as keywords (see docs/extend.md)."""

    @property
    def needs(self) -> tuple[str, ...]: ...

    @property
    def with_parts(self) -> Callable[..., tuple[Tensor, dict[str, Tensor]]]:
        """Called with those: the loss, a scalar with gradient, and what to log by name, "loss" among it."""


@dataclass
class Guides:
    """Those who know more than the student: noisy (B, T) -> estimates, never asked for what a batch brings.

    teacher -> (B, T); band_teachers -> (B, N, T), those of all objectives that have a teacher for each band.
    own_bands: which of the N are an objective's own, by its name; all of them where it is not named.
    teacher_taps, student_taps: where features are seen while a network runs.
    """

    teacher: Callable[[Tensor], Tensor] | None = None
    band_teachers: Callable[[Tensor], Tensor] | None = None
    own_bands: Mapping[str, Sequence[int]] = field(default_factory=dict)
    teacher_taps: Taps | None = None
    student_taps: Taps | None = None


@dataclass
class StepLosses:
    """The terms of one step: `se` and `kd` are weighted scalars to add; `parts` are what the log shows."""

    se: Tensor | None
    kd: Tensor | None
    parts: dict[str, Tensor] = field(default_factory=dict)

    @property
    def total(self) -> Tensor:
        if self.se is None or self.kd is None:
            return cast(Tensor, self.kd if self.se is None else self.se)
        return self.se + self.kd


class Task:
    """Losses of a student on a batch: its own enhancement loss, plus objectives if there are any.

    objectives: name -> (weight, objective). A weight of 0 leaves a term out altogether: neither its value
    nor, where no other term asks for it, the teacher's estimate is computed, and no features are kept.
    """

    def __init__(
        self,
        student: Callable[[Tensor], Tensor],
        se_loss: EnhancementLoss,
        se_weight: float,
        objectives: Mapping[str, tuple[float, Objective]],
        kd_weight: float,
        guides: Guides,
        kd_level_db: float | None,
    ) -> None:
        self.student, self.se_loss, self.se_weight = student, se_loss, se_weight
        self.objectives, self.kd_weight, self.kd_level_db = dict(objectives), kd_weight, kd_level_db
        self.guides = guides
        self.needs = {need for weight, one in self.objectives.values() if weight > 0 for need in one.needs}
        for taps in (guides.student_taps, guides.teacher_taps):
            if taps is not None:  # what validation and those who look on compute is nobody's to keep
                taps.watching = False
        # What objectives learn along with the student, and what is left behind with them.
        self.auxiliary = nn.ModuleDict(
            {n: o for n, (_, o) in self.objectives.items() if isinstance(o, nn.Module)}
        )

    def losses(self, batch: Mapping[str, Tensor]) -> StepLosses:
        """All terms for a batch with "noisy", "clean" and perhaps "teacher", each (B, T)."""
        noisy, clean = batch["noisy"], batch["clean"]
        distils = self.kd_weight > 0 and any(weight > 0 for weight, _ in self.objectives.values())
        with _watching(self.guides.student_taps if distils else None):
            estimate = self.student(noisy)
        parts: dict[str, Tensor] = {}
        weighted_se = None
        if self.se_weight > 0:
            se = self.se_loss(estimate.float(), clean, noisy).mean()
            parts["se"], weighted_se = se.detach(), self.se_weight * se
        if not distils:
            return StepLosses(weighted_se, None, parts)

        signals = self._signals(batch, estimate)
        kd = estimate.new_zeros((), dtype=torch.float32)
        for name, (weight, objective) in self.objectives.items():
            if weight == 0:
                continue
            loss, details = objective.with_parts(
                **{need: self._own(name, need, signals[need]) for need in objective.needs}
            )
            kd = kd + weight * loss
            parts[f"kd/{name}"] = details.pop("loss")
            parts |= {f"{name}/{key}": value for key, value in details.items()}
        return StepLosses(weighted_se, self.kd_weight * kd, parts)

    def _own(self, objective: str, need: str, signal: Any) -> Any:
        """A signal as an objective is given it: of the teachers for bands its own ones."""
        rows = self.guides.own_bands.get(objective) if need == "band_teachers" else None
        return signal if rows is None else signal[:, list(rows)]

    def _signals(self, batch: Mapping[str, Tensor], estimate: Tensor) -> dict[str, Any]:
        """What the objectives need, by name; waveforms at the level at which they are compared."""
        guides = self.guides
        signals: dict[str, Any] = {}
        if guides.student_taps is not None:
            signals["student_features"] = guides.student_taps.take()
        waves = {"student": estimate.float(), "clean": batch["clean"], "noisy": batch["noisy"]}
        for name, guide in (("teacher", guides.teacher), ("band_teachers", guides.band_teachers)):
            if name in batch:
                waves[name] = batch[name]
            elif guide is not None:
                with _watching(guides.teacher_taps):
                    waves[name] = guide(batch["noisy"])
        if guides.teacher_taps is not None:
            signals["teacher_features"] = guides.teacher_taps.take()
        gain = level_gain(batch["clean"], self.kd_level_db)
        for name in self.needs & waves.keys():
            wave = waves[name]
            signals[name] = wave * (gain if wave.ndim == 2 else gain[:, None])
        return signals


@contextmanager
def _watching(taps: Taps | None) -> Iterator[None]:
    """Activations are kept inside, where there are taps."""
    if taps is None:
        yield
        return
    taps.watching = True
    try:
        yield
    finally:
        taps.watching = False


@torch.no_grad()
def clip_losses(
    student: Callable[[Tensor], Tensor],
    se_loss: EnhancementLoss,
    precision: torch.autocast,
    batch: Mapping[str, Tensor],
) -> Tensor:
    """The enhancement loss of every clip of a validation batch, (B,)."""
    noisy = batch["noisy"]
    with precision:
        return se_loss(student(noisy).float(), batch["clean"], noisy)


def level_gain(clean: Tensor, level_db: float | None) -> Tensor:
    """The gain (B, 1) that brings each clean clip (B, T) to an RMS of `level_db` dB full scale; 1 for None.

    The RMS is that around the clip's mean, as all levels are (`audio.levels`). One gain serves student,
    teacher and clean of a clip, so their relations stay as they are. Where the clean signal is silence it is
    1; NaN where it has no finite level: a gain of 0 would hide that.
    """
    if level_db is None:
        return clean.new_ones(len(clean), 1)
    rms = clean.float().std(dim=1, keepdim=True, unbiased=False)
    gain = (10 ** (level_db / 20) / rms.clamp(min=1e-9)).clamp(max=MAX_LEVEL_GAIN)
    return gain.masked_fill(rms == 0, 1.0).masked_fill(~rms.isfinite(), torch.nan)


def gradients(loss: Tensor, parameters: Sequence[nn.Parameter], retain_graph: bool = False) -> list[Tensor]:
    """The gradient of `loss` for every parameter; zeros where it does not reach.

    Each lies in memory as its parameter does, which `backward()` sees to, `autograd.grad` does not, and fused
    optimisers take for granted: they would pair values with the wrong weights.
    """
    grads = torch.autograd.grad(loss, parameters, retain_graph=retain_graph, allow_unused=True)
    return [
        torch.zeros_like(parameter) if grad is None else torch.empty_like(parameter).copy_(grad)
        for parameter, grad in zip(parameters, grads, strict=True)
    ]


def gradient_balance(se_grads: Sequence[Tensor], kd_grads: Sequence[Tensor]) -> dict[str, Tensor]:
    """Norm ratio KD/SE and cosine of the two gradients over all parameters."""
    se_norm = torch.nn.utils.get_total_norm(list(se_grads))
    kd_norm = torch.nn.utils.get_total_norm(list(kd_grads))
    inner = torch.stack([(a * b).sum() for a, b in zip(se_grads, kd_grads, strict=True)]).sum()
    tiny = torch.finfo(se_norm.dtype).tiny
    return {
        "gradient/kd_over_se": (kd_norm / se_norm.clamp(min=tiny)).clamp(max=torch.finfo(se_norm.dtype).max),
        "gradient/cosine": inner / (se_norm * kd_norm).clamp(min=tiny),
    }
