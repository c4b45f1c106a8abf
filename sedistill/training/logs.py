"""What a run writes down: one tidy table, metrics.csv, and the same as TensorBoard events."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from sedistill.training.tables import GrowingTable, read_table
from sedistill.writing import named_disk_errors

COLUMNS = ("step", "epoch", "name", "value")


class RunLog:
    """Appends rows (step, epoch, name, value) to metrics.csv and to TensorBoard, from `first_step` on."""

    def __init__(self, folder: Path, first_step: int = 0) -> None:
        self.folder = folder
        self._open(first_step)

    def go_back_to(self, step: int) -> None:
        """Drop the rows after a step, from which the run goes on."""
        self.close()
        self._open(step)

    def _open(self, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.table = GrowingTable(self.folder / "metrics.csv", COLUMNS, first_step)
        with named_disk_errors(self.folder):
            self.tensorboard = SummaryWriter(str(self.folder / "tensorboard"), purge_step=first_step + 1)

    def write(self, step: int, epoch: int, values: Mapping[str, float]) -> None:
        """Log named values at a step (counted from 1)."""
        self.table.append((step, epoch, name, f"{value:.8g}") for name, value in values.items())
        with named_disk_errors(self.folder):
            for name, value in values.items():
                self.tensorboard.add_scalar(name, value, step)

    def flush(self) -> None:
        """What a checkpoint says was logged is on the disk before the checkpoint is."""
        self.table.flush()

    def close(self) -> None:
        self.table.close()
        with named_disk_errors(self.folder):
            self.tensorboard.close()


class Means:
    """Running means of named scalars since the last `take`; part of a checkpoint, so logs resume exactly."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            value = value.detach().double()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """The means, which are then forgotten."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means

    def state_dict(self) -> dict[str, dict]:
        return {"sums": {k: v.cpu() for k, v in self.sums.items()}, "counts": dict(self.counts)}

    def load_state_dict(self, state: dict[str, dict], device: torch.device) -> None:
        self.sums = {name: total.to(device) for name, total in state["sums"].items()}
        self.counts = dict(state["counts"])


@dataclass(frozen=True)
class _Row:
    step: Annotated[int, Field(ge=0)]
    epoch: Annotated[int, Field(ge=0)]
    name: str
    value: float


def read_metrics(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The curves of a run, name -> [(step, value), ...], from its metrics.csv. Raises UserError."""
    curves: dict[str, list[tuple[int, float]]] = {}
    rows = read_table(folder / "metrics.csv", _Row)
    for step, name, value in zip(rows["step"], rows["name"], rows["value"], strict=True):
        curves.setdefault(name, []).append((step, value))
    return curves
