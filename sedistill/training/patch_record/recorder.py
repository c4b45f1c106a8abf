"""Watches the patches of a few fixed clips while a network trains (DISPatch 2025, section 2.1)."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sedistill.audio.spectrum import Stft
from sedistill.common.errors import UserError
from sedistill.distill.choice import rule_text
from sedistill.distill.dispatch import DISPatch
from sedistill.models.eval_mode import evaluating
from sedistill.teachers.level_factor import level_factors, summarize_factors
from sedistill.training.not_finite import NotFiniteError
from sedistill.training.patch_record.clips import WatchedClips
from sedistill.training.patch_record.patch_trends import (
    PatchTrends,
    ThinnedRecords,
    bins_of_patches,
    patch_errors,
)
from sedistill.training.patch_record.record import PatchRecord, write_patch_record
from sedistill.training.patch_record.record_settings import PatchRecordSettings
from sedistill.training.tasks import OWN_PREFIX, TEACHER, Task, level_gain


@dataclass
class Selection:
    """What a task's DISPatch objective, the first if there are several, selects to be distilled."""

    objective: DISPatch
    task: Task

    @classmethod
    def of(cls, task: Task) -> "Selection | None":
        """The selection of a task, if it selects."""
        for _, objective in task.objectives.values():
            if isinstance(objective, DISPatch) and objective.selects:
                return cls(objective, task)
        return None

    @property
    def in_force(self) -> bool:
        """Whether the task distils at this moment."""
        return self.task.kd_weight > 0

    @property
    def rule(self) -> str:
        """Which patches are distilled, in words."""
        among = "" if self.objective.rank_over == "clip" else "; here of the recorded clips of one length"
        return rule_text(self.objective) + among

    def selected_bins(
        self,
        student: list[Tensor],
        teachers: list[dict[str, Tensor]],
        clean: list[Tensor],
        noisy: list[Tensor],
    ) -> list[NDArray[np.bool_]]:
        """The bins that are distilled, from waveforms (1, T) as they are of each clip: (F, K) of each.

        A ranking over a batch is one over the clips of one length.
        """
        groups: dict[int, list[int]] = {}
        for place, wave in enumerate(clean):
            group = place if self.objective.rank_over == "clip" else wave.shape[1]
            groups.setdefault(group, []).append(place)
        found: dict[int, NDArray[np.bool_]] = {}
        for places in groups.values():
            ours, truth, heard = (torch.cat([side[n] for n in places]) for side in (student, clean, noisy))
            theirs = {name: torch.cat([teachers[n][name] for n in places]) for name in teachers[places[0]]}
            found |= zip(places, self._selected(ours, theirs, truth, heard), strict=True)
        return [found[place] for place in range(len(clean))]

    def _selected(
        self, student: Tensor, teachers: dict[str, Tensor], clean: Tensor, noisy: Tensor
    ) -> NDArray[np.bool_]:
        gain = level_gain(clean, self.task.kd_level_db)
        student, clean, noisy = (self.task.heard(wave, gain) for wave in (student, clean, noisy))
        theirs = {name: self.task.heard(wave, gain) for name, wave in teachers.items()}
        teacher = self._teacher(theirs, clean)
        with torch.random.fork_rng():  # a random score draws, and the training must not notice
            seen = self.objective.explain(
                student, teacher, clean, noisy, teachers=self.task.own_of(theirs),
                share_done=self.task.share_done,
            )  # fmt: skip
        return seen.selected_bins.numpy()

    def _teacher(self, waves: dict[str, Tensor], clean: Tensor) -> Tensor | dict[str, Tensor]:
        task = self.task
        if task.several is None:
            return waves.get(TEACHER, clean)  # without one, nothing that is selected by is a teacher's
        several = task.own_of(waves)
        return several if task.chooses(self.objective) else task.several(several, clean)[0]


class PatchRecorder:
    """Records every `every_steps` steps the error of each patch; a `Callback` of the training loop.

    Weights, modes and random numbers stay as they are, and the run with them, bit for bit. Neither memory nor
    disk grows with the steps: of each patch a regression is kept, and at most 64 records, evenly spaced. The
    file patches.npz is written anew at each record.

    facts: what the file should say of the run.
    """

    def __init__(
        self,
        network: nn.Module,
        clips: WatchedClips,
        settings: PatchRecordSettings,
        folder: Path,
        device: torch.device,
        precision: torch.autocast,
        facts: dict[str, Any],
        selection: Selection | None,
    ) -> None:
        self.network, self.settings, self.folder = network, settings, folder
        self.device, self.precision, self.selection = device, precision, selection
        self.names = list(clips.names)
        self.noisy = [torch.from_numpy(noisy)[None] for noisy, _ in clips.pairs]
        self.clean = [torch.from_numpy(clean)[None] for _, clean in clips.pairs]
        self.gains = [level_gain(clean, settings.level_db) for clean in self.clean]
        self.stft = Stft()
        self.frames = np.array([self.stft(clean).shape[2] for clean in self.clean], dtype=np.int64)
        self.facts = facts | self._own_facts(clips.sample_rate)
        self._teacher_estimates: list[dict[str, Tensor]] | None = None

        shape = (len(bins_of_patches(self.stft.bins, settings.patch_size)), int(self.frames.sum()))
        self.step, self.selections = -1, 0
        self.untrained = np.zeros(shape, np.float32)
        self.trends, self.past = PatchTrends.empty(*shape), ThinnedRecords.empty(*shape)
        self.distilled = np.zeros((self.stft.bins, shape[1]), np.int32) if selection else None

    def after_step(self, step: int) -> None:
        """Record where it is due; step 0 is the untrained network."""
        if step <= self.step or step % self.settings.every_steps:
            return
        self.step = step
        raw = self._estimates()
        for name, estimate in zip(self.names, raw, strict=True):
            if not bool(estimate.isfinite().all()):
                raise NotFiniteError(f"the student's output for {name}, of which patches are recorded,")
        factor = 1.0
        if self.settings.correct_level:
            pairs = zip(raw, self.clean, strict=True)
            factor = summarize_factors(torch.cat([level_factors(*pair) for pair in pairs])).factor
        estimates = [factor * gain * one for gain, one in zip(self.gains, raw, strict=True)]
        errors = self._errors(estimates)
        if step == 0:
            self.untrained = errors.astype(np.float32)
        else:
            self.trends, self.past = self.trends.with_record(errors), self.past.with_record(step, errors)
            self._count_selected(raw)
        self.facts["level_factor"] = factor
        write_patch_record(self.folder, self._record(estimates))

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on, as tensors and numbers."""
        state: dict[str, Any] = {
            "step": self.step,
            "clips": self.facts["clips_hash"],
            "untrained": torch.from_numpy(self.untrained),
            "trends": _as_tensors(vars(self.trends)),
            "past": _as_tensors(vars(self.past)),
            "selections": self.selections,
        }
        if self.distilled is not None:
            state["distilled"] = torch.from_numpy(self.distilled)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave. Raises UserError when the clips are others now."""
        if state["clips"] != self.facts["clips_hash"]:
            raise UserError(
                f"{self.folder}: the first clips of data.{self.settings.split} are not those whose patches "
                "were recorded so far; put them back, or start the run afresh."
            )
        self.step, self.selections = state["step"], state["selections"]
        self.untrained = state["untrained"].numpy()
        self.trends = PatchTrends(**_as_arrays(state["trends"]))
        self.past = ThinnedRecords(**_as_arrays(state["past"]))
        if self.distilled is not None:
            self.distilled = state["distilled"].numpy()

    def _own_facts(self, sample_rate: int) -> dict[str, Any]:
        digest = hashlib.sha256()
        for side in (*self.noisy, *self.clean):
            digest.update(side.numpy().tobytes())
        levels = [
            20 * np.log10(max(float((gain * clean).std(unbiased=False)), 1e-9))
            for gain, clean in zip(self.gains, self.clean, strict=True)
        ]
        return {
            "clips_hash": digest.hexdigest(),
            "split": self.settings.split,
            "sample_rate": sample_rate,
            "window_length": self.stft.window_length,
            "hop_length": self.stft.hop_length,
            "patch_size": self.settings.patch_size,
            "every_steps": self.settings.every_steps,
            "level_db": self.settings.level_db,
            "clean_rms_db": [round(float(level), 3) for level in levels],
            "correct_level": self.settings.correct_level,
            **({"rule": self.selection.rule} if self.selection else {}),
        }

    def _estimates(self) -> list[Tensor]:
        """The network's own output of each clip, (1, T) float32 on the CPU."""
        with evaluating(self.network), self.precision:
            return [self.network(noisy.to(self.device)).float().cpu() for noisy in self.noisy]

    def _errors(self, estimates: list[Tensor]) -> NDArray[np.float64]:
        """e of every patch (P, K), the clips side by side."""
        parts = [
            patch_errors(self.stft(estimate), self.stft(gain * clean), self.settings.patch_size)[0]
            for estimate, gain, clean in zip(estimates, self.gains, self.clean, strict=True)
        ]
        return torch.cat(parts, dim=1).double().numpy()

    def _count_selected(self, raw: list[Tensor]) -> None:
        selection = self.selection
        if selection is None or self.distilled is None or not selection.in_force:
            return
        if self._teacher_estimates is None:
            self._teacher_estimates = self._ask_teacher(selection)
        selected = selection.selected_bins(raw, self._teacher_estimates, self.clean, self.noisy)
        self.distilled = self.distilled + np.concatenate(selected, axis=1, dtype=np.int32)
        self.selections += 1

    def _ask_teacher(self, selection: Selection) -> list[dict[str, Tensor]]:
        own = {
            n: one for n, one in selection.task.teachers.items() if n == TEACHER or n.startswith(OWN_PREFIX)
        }
        with torch.no_grad(), self.precision:
            return [
                {name: teacher(noisy.to(self.device)).float().cpu() for name, teacher in own.items()}
                for noisy in self.noisy
            ]

    def _record(self, estimates: list[Tensor]) -> PatchRecord:
        def side_by_side(waves: list[Tensor]) -> NDArray[np.float32]:
            return torch.cat(waves, dim=1)[0].numpy()

        return PatchRecord(
            facts=self.facts,
            clips=self.names,
            frames=self.frames,
            samples=np.array([clean.shape[1] for clean in self.clean], dtype=np.int64),
            noisy=side_by_side([gain * one for gain, one in zip(self.gains, self.noisy, strict=True)]),
            clean=side_by_side([gain * one for gain, one in zip(self.gains, self.clean, strict=True)]),
            estimate=side_by_side(estimates),
            untrained=self.untrained,
            trends=self.trends,
            past=self.past,
            step=self.step,
            distilled=self.distilled,
            selections=self.selections,
        )


def _as_tensors(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        for name, value in fields.items()
    }


def _as_arrays(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value.numpy() if isinstance(value, Tensor) else value for name, value in fields.items()}
