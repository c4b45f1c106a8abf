"""What a run writes down while it goes on: metrics.csv, and the same as TensorBoard events.

A table grows by a row a line, the step first. A kill may cut the last line short.
"""

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from sedistill.common import ranks
from sedistill.common.csv_files import CsvWriter, as_written, read_columns, write_csv
from sedistill.common.reading import is_taken, is_utf8, require_file
from sedistill.common.writing import atomic_path, named_disk_errors

METRICS = "metrics.csv"
COLUMNS = ("step", "epoch", "name", "value")


class GrowingTable:
    """Appends rows to a CSV file with these columns, of which the first is the step.

    When a run resumes at `first_step`, rows after it (work that was lost) are dropped first, so the table is
    that of an uninterrupted run.
    """

    def __init__(self, path: Path, columns: Sequence[str], first_step: int = 0) -> None:
        self.path = path
        rows = complete_rows(path, columns) if first_step > 0 else []
        with atomic_path(path) as temporary:
            write_csv(temporary, columns, (row for row in rows if int(row[0]) <= first_step))
        with named_disk_errors(path):
            self.file = path.open("a", newline="", encoding="utf-8")

    def append(self, rows: Iterable[Sequence[object]]) -> None:
        """Add rows; a kill loses none of them."""
        with named_disk_errors(self.path):
            CsvWriter(self.file).writerows(rows)
            self.file.flush()

    def flush(self) -> None:
        """A power cut loses none of what is there so far."""
        with named_disk_errors(self.path):
            os.fsync(self.file.fileno())

    def close(self) -> None:
        with named_disk_errors(self.path):
            self.file.close()


def complete_rows(path: Path, columns: Sequence[str]) -> list[list[str]]:
    """The rows that are whole, without the header; none where there is nothing. Others are lost.

    Raises UserError where no file lies there.
    """
    if not is_taken(path):
        return []
    require_file(path, "put back what was there, or take it away")
    text = path.read_bytes().decode("utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1].replace("\0", "")
    rows = csv.reader(whole.splitlines())
    return [
        [as_written(cell) for cell in row]
        for row in rows
        if len(row) == len(columns) and row[0].isdecimal() and not any("\ufffd" in cell for cell in row)
    ]


def read_table(path: Path, kind: type) -> dict[str, list[Any]]:
    """The columns of a run's table, each cell of the type that the dataclass `kind` gives its column.

    A last line that is cut short is passed over; no file gives no rows. Raises UserError for any other row
    that does not fit.
    """
    if not is_taken(path):
        return {field.name: [] for field in fields(kind)}
    return read_columns(path, kind, "put a good copy in its place, or train the run again", growing=True)


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

        self.table = GrowingTable(self.folder / METRICS, COLUMNS, first_step)
        self.tensorboard = None
        if not is_utf8(self.folder):
            print("note: TensorBoard writes to no name that is not UTF-8; metrics.csv has the curves.")
            return
        with named_disk_errors(self.folder):
            self.tensorboard = SummaryWriter(str(self.folder / "tensorboard"), purge_step=first_step + 1)

    def write(self, step: int, epoch: int, values: Mapping[str, float]) -> None:
        """Log named values at a step (counted from 1)."""
        self.table.append((step, epoch, name, f"{value:.8g}") for name, value in values.items())
        if self.tensorboard is None:
            return
        with named_disk_errors(self.folder):
            for name, value in values.items():
                self.tensorboard.add_scalar(name, value, step)

    def flush(self) -> None:
        """What a checkpoint says was logged is on the disk before the checkpoint is."""
        self.table.flush()

    def close(self) -> None:
        self.table.close()
        if self.tensorboard is None:
            return
        with named_disk_errors(self.folder):
            self.tensorboard.close()


class NoLog:
    """Of a process that writes nothing, because another one does."""

    def go_back_to(self, step: int) -> None: ...

    def write(self, step: int, epoch: int, values: Mapping[str, float]) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


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
        """The means, over all processes, which are then forgotten."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return ranks.average_by_name(means)

    def state_dict(self) -> dict[str, dict]:
        return {"sums": {k: v.cpu() for k, v in self.sums.items()}, "counts": dict(self.counts)}

    def load_state_dict(self, state: dict[str, dict], device: torch.device) -> None:
        self.sums = {name: total.to(device) for name, total in state["sums"].items()}
        self.counts = dict(state["counts"])


def mean_state(states: Sequence[Mapping[str, dict]]) -> dict[str, dict]:
    """Of the `Means` of several processes the state of one that has seen the clips of all of them."""
    counts = {name: count for state in states for name, count in state["counts"].items()}
    sums = {}
    for name, count in counts.items():
        means = [state["sums"][name] / state["counts"][name] for state in states if name in state["sums"]]
        sums[name] = count * torch.stack(means).mean()
    return {"sums": sums, "counts": counts}


@dataclass(frozen=True)
class _Row:
    step: Annotated[int, Field(ge=0)]
    epoch: Annotated[int, Field(ge=0)]
    name: str
    value: float


def read_metrics(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The curves of a run, name -> [(step, value), ...], from its metrics.csv. Raises UserError."""
    curves: dict[str, list[tuple[int, float]]] = {}
    rows = read_table(folder / METRICS, _Row)
    for step, name, value in zip(rows["step"], rows["name"], rows["value"], strict=True):
        curves.setdefault(name, []).append((step, value))
    return curves
