"""The ratios of KDRL as a run leaves them: ratios.csv with one row a clip of every logged step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from torch import Tensor

from sedistill.training.run_folder.logs import GrowingTable, read_table

RATIOS = "ratios.csv"
COLUMNS = ("step", "clip", "ratio")


class RatioLog:
    """Appends rows (step, clip's index in the training data, ratio) to a file, from `first_step` on."""

    def __init__(self, path: Path, first_step: int = 0) -> None:
        self.table = GrowingTable(path, COLUMNS, first_step)

    def write(self, step: int, clips: Tensor, ratios: Tensor) -> None:
        """Log the ratios (B,) of the clips (B,) of a step (counted from 1)."""
        pairs = zip(clips.tolist(), ratios.tolist(), strict=True)
        self.table.append((step, clip, f"{ratio:.8g}") for clip, ratio in pairs)


@dataclass(frozen=True)
class _Row:
    step: Annotated[int, Field(ge=0)]
    clip: Annotated[int, Field(ge=0)]
    ratio: Annotated[float, Field(ge=0, le=1)]


def read_ratios(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps, clips (both int64) and ratios (float64) of all rows, in the order they were written."""
    rows = read_table(path, _Row)
    steps, clips = (np.array(rows[name], dtype=np.int64) for name in ("step", "clip"))
    return steps, clips, np.array(rows["ratio"], dtype=np.float64)
