"""Of several teachers, which is nearest to the clean speech: by frequency, and by the SNR of the clip.

What is chosen hangs on the teachers and the clips alone, not on the student: so it is measured once, before
the training, and lies in the run's folder as chosen.csv.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sedistill.audio.levels import snr_db
from sedistill.common.csv_files import csv_text, read_csv
from sedistill.common.reading import TO_BE_READ, is_taken
from sedistill.common.writing import write_whole
from sedistill.data.fixed_sets import FixedSet
from sedistill.distill.dispatch import DISPatch
from sedistill.teachers.source import TeacherSource
from sedistill.training.tasks import TEACHER, Task

NAME = "chosen.csv"
COLUMNS = ("objective", "teacher", "band_hz", "snr_db", "bins", "chosen")
CLIPS = 40
"""Measured on at most so many, taken evenly."""
EDGES_HZ = (0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 24_000)
SNRS_DB = ("below 0", "0 to 5", "5 to 10", "10 to 15", "above 15")
SNR_EDGES_DB = (0.0, 5.0, 10.0, 15.0)


@dataclass(frozen=True)
class Chosen:
    """In how many of the bins of a band, in clips of an SNR, a teacher was the nearest, for one objective."""

    objective: str
    teacher: str
    band_hz: str
    snr_db: str
    bins: int
    chosen: int


@torch.no_grad()
def count_chosen(
    task: Task, teachers: Mapping[str, TeacherSource], clips: FixedSet, device: torch.device
) -> list[Chosen]:
    """Of every objective that hears the best of several teachers; none where there is no such."""
    few, counts = clips.evenly(CLIPS), dict[str, NDArray[np.int64]]()
    for index in range(len(few)):
        noisy, clean = few[index]
        batch = {"noisy": torch.from_numpy(noisy)[None], "clean": torch.from_numpy(clean)[None]}
        # Whoever the student is: nothing is chosen by it.
        estimates = {name: one.on_clip(few, index, device) for name, one in teachers.items()}
        waves = {name: torch.from_numpy(wave)[None] for name, wave in estimates.items()}
        level = snr_db(clean, noisy - clean, few.sample_rate)
        place = int(np.searchsorted(SNR_EDGES_DB, level, side="right")) if np.isfinite(level) else None
        for name, chosen in _chosen(task, batch, waves):
            by_band = _by_band(chosen.numpy(), len(teachers), few.sample_rate)
            known = counts.setdefault(name, np.zeros((*by_band.shape, len(SNRS_DB)), np.int64))
            if place is not None:  # nothing is said of silence
                known[..., place] += by_band
    names = [name.rpartition(".")[2] for name in teachers]
    return [row for name, known in counts.items() for row in _rows(name, names, known, few.sample_rate)]


def _chosen(
    task: Task, batch: dict[str, torch.Tensor], teachers: dict[str, torch.Tensor]
) -> Iterator[tuple[str, torch.Tensor]]:
    """By objective, whose number stands in each bin (F, K)."""
    signals = task.signals(batch, batch["noisy"], teachers)
    for name, (weight, objective) in task.objectives.items():
        if weight == 0 or TEACHER not in objective.needs or task.several is None:
            continue
        if isinstance(objective, DISPatch):
            chosen = objective.explain(**task.given(objective, signals)).chosen
            assert chosen is not None
        else:
            chosen = task.several.chosen(task.own_of(signals), signals["clean"])
        yield name, chosen[0]


def bands_of(sample_rate: int) -> list[tuple[int, int]]:
    """The bands in Hz up to half the rate."""
    nyquist = sample_rate // 2
    return [(low, min(high, nyquist)) for low, high in pairwise((*EDGES_HZ, 10**9)) if low < nyquist]


def _by_band(chosen: NDArray[np.int64], teachers: int, sample_rate: int) -> NDArray[np.int64]:
    """How often each was chosen in each band, (N, bands), from numbers (F, K)."""
    bands = bands_of(sample_rate)
    frequencies = np.linspace(0, sample_rate / 2, len(chosen))
    band = np.searchsorted([low for low, _ in bands], frequencies, side="right") - 1
    of_bin = np.stack([(chosen == number).sum(axis=1) for number in range(teachers)])
    return np.stack([np.bincount(band, one, len(bands)) for one in of_bin]).astype(np.int64)


def _rows(objective: str, names: list[str], counts: NDArray[np.int64], sample_rate: int) -> Iterator[Chosen]:
    totals = counts.sum(axis=0)
    for band, (low, high) in enumerate(bands_of(sample_rate)):
        for place, snr in enumerate(SNRS_DB):
            if totals[band, place]:
                for number, name in enumerate(names):
                    bins, chosen = int(totals[band, place]), int(counts[number, band, place])
                    yield Chosen(objective, name, f"{low} to {high}", snr, bins, chosen)


def write_chosen(folder: Path, rows: list[Chosen]) -> None:
    """chosen.csv in a run's folder."""
    text = csv_text([COLUMNS, *([getattr(row, column) for column in COLUMNS] for row in rows)])
    write_whole(folder / NAME, text, **TO_BE_READ)


def read_chosen(folder: Path) -> list[Chosen]:
    """What a run's folder has of it; nothing for a run with one teacher. Raises UserError."""
    path = folder / NAME
    return read_csv(path, Chosen, "delete it and start the run again") if is_taken(path) else []


def shares(rows: list[Chosen], by: str) -> dict[str, dict[str, float]]:
    """The share of the bins in which each teacher was chosen: by objective, band_hz or snr_db, and name."""
    groups: dict[str, dict[str, float]] = {}
    for group in dict.fromkeys(getattr(row, by) for row in rows):
        inside = [row for row in rows if getattr(row, by) == group]
        names = list(dict.fromkeys(row.teacher for row in inside))
        total = sum(row.bins for row in inside if row.teacher == names[0])
        groups[group] = {
            name: sum(row.chosen for row in inside if row.teacher == name) / total for name in names
        }
    return groups


def chosen_text(rows: list[Chosen]) -> list[str]:
    """A line an objective: the share of all bins in which each is the nearest."""
    return [
        f"{objective}: nearest to the clean speech is "
        f"{', '.join(f'{name} in {share:.0%}' for name, share in of_each.items())} of the bins"
        for objective, of_each in shares(rows, "objective").items()
    ]
