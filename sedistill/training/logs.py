"""What a run writes down: one tidy table, metrics.csv, and the same as TensorBoard events."""

import csv
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

COLUMNS = ("step", "epoch", "name", "value")


class RunLog:
    """Appends rows (step, epoch, name, value) to metrics.csv and to TensorBoard.

    When a run resumes at `first_step`, rows after it (work that was lost) are dropped first, so the table is
    that of an uninterrupted run.
    """

    def __init__(self, folder: Path, first_step: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.path = folder / "metrics.csv"
        _keep_rows_until(self.path, first_step)
        self.file = self.path.open("a", newline="", encoding="utf-8")
        self.writer = csv.writer(self.file)
        self.tensorboard = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)

    def write(self, step: int, epoch: int, values: Mapping[str, float]) -> None:
        """Log named values at a step (counted from 1)."""
        for name, value in values.items():
            self.writer.writerow((step, epoch, name, f"{value:.8g}"))
            self.tensorboard.add_scalar(name, value, step)
        self.file.flush()

    def close(self) -> None:
        self.file.close()
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


def read_metrics(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The curves of a run: name -> [(step, value), ...] from its metrics.csv."""
    curves: dict[str, list[tuple[int, float]]] = {}
    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            curves.setdefault(row["name"], []).append((int(row["step"]), float(row["value"])))
    return curves


def _keep_rows_until(path: Path, step: int) -> None:
    rows: list[list[str]] = []
    if path.exists() and step > 0:
        with path.open(newline="", encoding="utf-8") as file:
            complete = (row for row in csv.reader(file) if len(row) == len(COLUMNS))
            rows = [row for row in complete if row[0].isdigit() and int(row[0]) <= step]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
