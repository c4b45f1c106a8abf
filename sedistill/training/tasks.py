"""What one step computes. Plain and distilled training are one shape: a batch in, named losses out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from sedistill.audio.levels import db_to_gain
from sedistill.distill.dispatch import DISPatch
from sedistill.distill.several import Several
from sedistill.distill.taps import Taps
from sedistill.teachers.bandwidth import below
from sedistill.training.enhancement_losses import EnhancementLoss
from sedistill.training.processes.whole_batch import with_parts_of_all

TEACHER = "teacher"
"""The name of the run's own teacher among all that it has."""
OWN_PREFIX = "teachers."
"""Before the name of each of several of its own."""
TEACHERS = "teachers"
"""All of these by their names, for objectives that compare them."""
MAX_LEVEL_GAIN = 1e3  # silence is not blown up without bound when clips are brought to one level


class Objective(Protocol):
    """A term of distillation. `needs` names the signals it takes, as keywords (see docs/extend.md)."""

    @property
    def needs(self) -> tuple[str, ...]: ...

    @property
    def with_parts(self) -> Callable[..., tuple[Tensor, dict[str, Tensor]]]:
        """Called with those: the loss, a scalar with gradient, and what to log by name, "loss" among it."""


@dataclass
class FeatureTaps:
    """Where features are seen while the networks run: of the student, and of its `TEACHER`."""

    student: Taps
    teacher: Taps


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

    teachers: noisy (B, T) -> estimate (B, T), by name; never asked for what a batch brings under that name.
    band_teachers: the names of those that an objective has for its bands, by the objective's name.
    taps: where features are seen; None where no objective compares any.
    several: what the teachers whose names begin with `OWN_PREFIX` say together, as `TEACHER`.
    bandwidth: of half the data's rate, the share that the teachers can know; objectives hear nothing above.
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
        teachers: Mapping[str, Callable[[Tensor], Tensor]],
        kd_level_db: float | None,
        band_teachers: Mapping[str, Sequence[str]] | None = None,
        taps: FeatureTaps | None = None,
        bandwidth: float = 1.0,
        several: Several | None = None,
    ) -> None:
        self.bandwidth, self.several = bandwidth, several
        self.student, self.se_loss, self.se_weight = student, se_loss, se_weight
        self.objectives, self.kd_weight, self.kd_level_db = dict(objectives), kd_weight, kd_level_db
        self.teachers, self.band_teachers, self.taps = teachers, band_teachers or {}, taps
        self.share_done = 0.0  # of the schedule, for objectives that change along with it
        self.needs = {need for weight, one in self.objectives.values() if weight > 0 for need in one.needs}
        if taps is not None:  # validation and callbacks keep no features
            taps.student.watching = taps.teacher.watching = False
        # What objectives learn along with the student, and what is left behind with them.
        self.auxiliary = nn.ModuleDict(
            {n: o for n, (_, o) in self.objectives.items() if isinstance(o, nn.Module)}
        )

    def losses(self, batch: Mapping[str, Tensor]) -> StepLosses:
        """All terms for a batch with "noisy", "clean" and perhaps estimates of teachers, each (B, T).

        Where "clean" is of fewer clips, the last are without: terms that need it see those before them.
        """
        noisy, clean = batch["noisy"], batch["clean"]
        distils = self.kd_weight > 0 and any(weight > 0 for weight, _ in self.objectives.values())
        with _watching(self.taps.student if self.taps and distils else None):
            estimate = self.student(noisy)
        parts: dict[str, Tensor] = {}
        weighted_se = None
        if self.se_weight > 0 and len(clean):
            known, heard = (_first(len(clean), wave) for wave in (estimate.float(), noisy))
            se = self.se_loss(known, clean, heard).mean()
            parts["se"], weighted_se = se.detach(), self.se_weight * se
        if not distils:
            return StepLosses(weighted_se, None, parts)

        signals = self.signals(batch, estimate, self._teacher_estimates(batch))
        together: dict[str, Tensor] = {}
        if self.several is not None and self._needs_together:
            signals[TEACHER], together = self._together(signals)
        parts |= {f"{TEACHER}/{key}": value for key, value in together.items()}
        kd = estimate.new_zeros((), dtype=torch.float32)
        for name, (weight, objective) in self.objectives.items():
            if weight == 0:
                continue
            if name in self.band_teachers:
                signals["band_teachers"] = torch.stack(
                    [signals[one] for one in self.band_teachers[name]], dim=1
                )
            given = self.given(objective, signals)
            if not len(given.get("student", clean)):
                continue
            loss, details = with_parts_of_all(objective, given)
            kd = kd + weight * loss
            parts[f"kd/{name}"] = details.pop("loss")
            parts |= {f"{name}/{key}": value for key, value in details.items()}
        return StepLosses(weighted_se, self.kd_weight * kd, parts)

    def _teacher_estimates(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By name, from the batch where it brings them; features are seen in a live teacher only."""
        estimates = {name: batch[name] for name in (TEACHER, *self.teachers) if name in batch}
        for name, teacher in self.teachers.items():
            if name not in estimates:
                with _watching(self.taps.teacher if self.taps and name == TEACHER else None):
                    estimates[name] = teacher(batch["noisy"])
        return estimates

    def _together(self, signals: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """What several teachers say as one; the best of them where the clean speech is known."""
        assert self.several is not None
        own, clean = self.own_of(signals), signals["clean"]
        if self.several.rule == "best":
            own = {name: _first(len(clean), wave) for name, wave in own.items()}
        return self.several(own, clean)

    @property
    def _needs_together(self) -> bool:
        """Whether an objective hears several teachers as one waveform."""
        return any(
            weight > 0 and TEACHER in one.needs and not self.chooses(one)
            for weight, one in self.objectives.values()
        )

    def chooses(self, objective: Objective) -> bool:
        """Whether an objective itself chooses among several teachers, in its own patches."""
        best = self.several is not None and self.several.rule == "best"
        return best and isinstance(objective, DISPatch)

    def own_of(self, signals: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The signals of the run's several teachers by the names that the recipe gives them."""
        named = {name: wave for name, wave in signals.items() if name.startswith(OWN_PREFIX)}
        return {name.removeprefix(OWN_PREFIX): wave for name, wave in named.items()}

    def heard(self, wave: Tensor, gain: Tensor) -> Tensor:
        """A signal (B, T) as objectives hear it: with the gain (B or more, 1), and within the bandwidth."""
        wave = gain[: len(wave)] * wave
        return below(wave, self.bandwidth) if self.bandwidth < 1 and len(wave) else wave

    def given(self, objective: Objective, signals: Mapping[str, Any]) -> dict[str, Any]:
        """Of the signals those that an objective needs, of the clips for which all of them are known."""
        chooses = TEACHER in objective.needs and self.chooses(objective)
        by_name = {TEACHERS, TEACHER} if chooses else {TEACHERS}
        needs = {*objective.needs, "clean"} if chooses else objective.needs
        given = {need: self.own_of(signals) if need in by_name else signals[need] for need in needs}
        if not needs_clean(objective, self.several):
            return given
        return {need: _first(len(signals["clean"]), signal) for need, signal in given.items()}

    def signals(
        self, batch: Mapping[str, Tensor], estimate: Tensor, teachers: Mapping[str, Tensor]
    ) -> dict[str, Any]:
        """What the objectives need, by name; waveforms at the level at which they are compared."""
        own = {name: teachers[name] for name in self.teachers if name in teachers}  # in the recipe's order
        waves = {"student": estimate.float(), "clean": batch["clean"], "noisy": batch["noisy"]}
        waves |= own | dict(teachers)
        gain = level_gain(batch["clean"], self.kd_level_db)
        if len(without := batch["noisy"][len(gain) :]):
            gain = torch.cat([gain, level_gain(without, self.kd_level_db)])
        needed = self.needs.union(*self.band_teachers.values())
        if self.several is not None and TEACHER in needed:
            needed |= {"clean", *(name for name in waves if name.startswith(OWN_PREFIX))}
        signals: dict[str, Any] = {
            name: self.heard(wave, gain) for name, wave in waves.items() if name in needed
        }
        signals["share_done"] = self.share_done
        if self.taps is not None:
            signals["student_features"] = self.taps.student.take()
            signals["teacher_features"] = self.taps.teacher.take()
        return signals


def needs_clean(objective: Objective, several: Several | None) -> bool:
    """Whether an objective is for clips with clean speech alone: the best of several is nearest to that."""
    best = several is not None and several.rule == "best"
    return "clean" in objective.needs or (best and TEACHER in objective.needs)


def _first(clips: int, signal: Any) -> Any:
    """The first clips of a signal (B, ...), or of several by name; what is of no clip as it is."""
    if isinstance(signal, Mapping):
        return {name: _first(clips, one) for name, one in signal.items()}
    cut = isinstance(signal, Tensor) and signal.ndim > 1 and len(signal) > clips
    return signal[:clips] if cut else signal


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
    gain = (db_to_gain(level_db) / rms.clamp(min=1e-9)).clamp(max=MAX_LEVEL_GAIN)
    return gain.masked_fill(rms == 0, 1.0).masked_fill(~rms.isfinite(), torch.nan)
