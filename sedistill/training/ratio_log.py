"""The ratios of KDRL as a run leaves them: ratios.csv with one row a clip of every logged step."""

from pathlib import Path

import numpy as np
from torch import Tensor

from sedistill.training.tables import GrowingTable, complete_rows

COLUMNS = ("step", "clip", "ratio")


class RatioLog:
    """Appends rows (step, clip's index in the training data, ratio) to a file, from `first_step` on."""

    def __init__(self, path: Path, first_step: int = 0) -> None:
        self.table = GrowingTable(path, COLUMNS, first_step)

    def write(self, step: int, clips: Tensor, ratios: Tensor) -> None:
        """Log the ratios (B,) of the clips (B,) of a step (counted from 1)."""
        pairs = zip(clips.tolist(), ratios.tolist(), strict=True)
        self.table.append((step, clip, f"{ratio:.8g}") for clip, ratio in pairs)


def read_ratios(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps, clips (both int64) and ratios (float64) of all rows, in the order they were written."""
    rows = complete_rows(path, COLUMNS)
    steps, clips = (np.array([row[i] for row in rows], dtype=np.int64) for i in (0, 1))
    return steps, clips, np.array([row[2] for row in rows], dtype=np.float64)
