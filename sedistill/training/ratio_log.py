"""The ratios of KDRL as a run leaves them: ratios.csv with one row a clip of every logged step."""

import csv
from pathlib import Path

import numpy as np
from torch import Tensor

COLUMNS = ("step", "clip", "ratio")


class RatioLog:
    """Appends rows (step, clip's index in the training data, ratio) to a file.

    When a run resumes at `first_step`, rows after it (work that was lost) are dropped first, so the table is
    that of an uninterrupted run.
    """

    def __init__(self, path: Path, first_step: int = 0) -> None:
        self.path = path
        _keep_rows_until(path, first_step)

    def write(self, step: int, clips: Tensor, ratios: Tensor) -> None:
        """Log the ratios (B,) of the clips (B,) of a step (counted from 1)."""
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            for clip, ratio in zip(clips.tolist(), ratios.tolist(), strict=True):
                writer.writerow((step, clip, f"{ratio:.8g}"))


def read_ratios(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps, clips (both int64) and ratios (float64) of all rows, in the order they were written."""
    rows = _rows(path)
    steps, clips = (np.array([row[i] for row in rows], dtype=np.int64) for i in (0, 1))
    return steps, clips, np.array([row[2] for row in rows], dtype=np.float64)


def _keep_rows_until(path: Path, step: int) -> None:
    rows = [row for row in _rows(path) if int(row[0]) <= step] if path.exists() and step > 0 else []
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.reader(file) if len(row) == len(COLUMNS) and row[0].isdigit()]
