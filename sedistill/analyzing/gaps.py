"""Where a teacher is ahead of a student, patch by patch, and what DISPatch makes of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sedistill.analyzing.trends import RunTrends
from sedistill.audio.spectrum import Stft
from sedistill.distill.bin_losses import MagnitudeL2
from sedistill.distill.dispatch import DISPatch
from sedistill.distill.patches import UniformPatches
from sedistill.training.patch_record.patch_trends import bins_of_patches, patch_bins
from sedistill.training.patch_record.record import PatchRecord

KEEP = 0.8  # the paper's share of selected patches


@dataclass(frozen=True)
class Gap:
    """A student against a teacher, after the last record of each, over all frames, (P, K).

    gap: the knowledge gap (equation 5) of the squared magnitude error, above 0 where the teacher is ahead;
    selected: whether DISPatch would distil the patch, at keep = 0.8.
    """

    teacher: RunTrends
    student: RunTrends
    gap: NDArray[np.float64]
    selected: NDArray[np.bool_]


def compute_gap(teacher: RunTrends, student: RunTrends) -> Gap:
    """The gap on the recorded clips, at the recorded level."""
    record = student.record
    objective = DISPatch(
        MagnitudeL2(), UniformPatches(record.facts["patch_size"]), keep=KEEP, score_reduction="sum",
        stft=stft_of(record),
    )  # fmt: skip
    gaps, chosen = [], []
    for samples in record.sample_slices:
        waves = (record.estimate, teacher.record.estimate, record.clean)
        seen = objective.explain(*(torch.from_numpy(wave[samples])[None] for wave in waves))
        gaps.append(seen.gap[0].double().numpy())
        chosen.append(seen.selected[0].numpy())
    return Gap(teacher, student, np.concatenate(gaps, axis=1), np.concatenate(chosen, axis=1))


def distilled_shares(record: PatchRecord) -> NDArray[np.float64] | None:
    """The share of records at which each bin was selected for distillation (F, K), None where none was."""
    if record.distilled is None or record.selections == 0:
        return None
    return record.distilled / record.selections


def mean_over_bins(values: NDArray, patch_size: int) -> NDArray[np.float64]:
    """The mean of a map (F, K) over the bins of each patch, (P, K)."""
    starts = np.flatnonzero(np.diff(patch_bins(len(values), patch_size), prepend=-1))
    sums = np.add.reduceat(values, starts, axis=0)
    return sums / bins_of_patches(len(values), patch_size)[:, None]


def over_bins(values: NDArray, record: PatchRecord) -> NDArray:
    """Values of patches (P, K) for each of their bins, (F, K)."""
    return values[patch_bins(stft_of(record).bins, record.facts["patch_size"])]


def stft_of(record: PatchRecord) -> Stft:
    """The transform in which a record's patches lie."""
    return Stft(record.facts["window_length"], record.facts["hop_length"])


def find_teacher(runs: list[RunTrends]) -> RunTrends | None:
    """The run that another's recipe names as its teacher."""
    named = {Path(r.record.facts["teacher"]).resolve() for r in runs if r.record.facts["teacher"]}
    return next((run for run in runs if (run.folder / "student").resolve() in named), None)
