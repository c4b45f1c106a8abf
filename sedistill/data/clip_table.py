"""One row a clip: as a record, as an array that data workers share, and as text.

In memory many clips are one numpy array, so that data workers share it instead of copying it: Python objects
are copied page by page as soon as a forked worker counts a reference to them.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from sedistill.common.paths import PathInside

MOST_FRAMES = 2**40  # samples: two years at 16 kHz


def _known_kind(kind: str) -> str:
    if kind not in ("clean", "noise", "noisy"):
        raise ValueError("it must be clean, noise or noisy")
    return kind


@dataclass(frozen=True)
class Clip:
    """One usable piece of audio: `frames` samples of a mono file at the corpus's rate, from `start` on.

    `root` names an entry of the corpus's roots, `path` is relative to it. `sample_rate` and `channels` are
    those of the file the user gave, `source`, which differs from `path` when it was converted.
    `pair` is the name a noisy clip shares with its clean one, else "". `group` is a speaker or a class of
    noise; `recording` names what several files were cut from, where that is known, else "". `offset` is the
    mean of the recording, 0 where it is negligible; it is taken away on reading, and `active_level_db` and
    `peak` are without it.
    """

    root: str
    path: PathInside
    kind: Annotated[str, AfterValidator(_known_kind)]
    split: str
    group: str
    start: Annotated[int, Field(ge=0, le=MOST_FRAMES)]
    frames: Annotated[int, Field(ge=1, le=MOST_FRAMES)]
    active_level_db: float
    peak: float
    clipped_share: float
    sample_rate: int
    channels: int
    audio_sha256: str
    pair: str = ""
    source: str = ""
    recording: str = ""
    offset: float = 0.0

    @property
    def given(self) -> tuple[str, str]:
        """(root, path) of the file that the user gave, converted or not."""
        if not self.source:
            return self.root, self.path
        root, path = self.source.split("/", 1)
        return root, path

    @property
    def cut_from(self) -> str:
        """The recording this clip is of: two clips of one are not independent."""
        return self.recording or self.source or f"{self.root}/{self.path}"


COLUMNS = get_type_hints(Clip)  # without bounds


def table_of(clips: Iterable[Clip]) -> NDArray[np.void]:
    """A row a clip; text columns are UTF-8 bytes."""
    rows = [[getattr(clip, name) for name in COLUMNS] for clip in clips]
    columns: dict[str, NDArray] = {}
    for place, (name, kind) in enumerate(COLUMNS.items()):
        values = [row[place] for row in rows]
        if kind not in (int, float):
            columns[name] = np.array([os.fsencode(str(value)) for value in values], dtype=np.bytes_)
        elif kind is int:
            columns[name] = np.array([int(value) for value in values], dtype=np.int64)
        else:
            columns[name] = np.array([float(value) for value in values], dtype=np.float64)
    table = np.empty(len(rows), dtype=[(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        table[name] = column
    return table


def clip_of(row: np.void) -> Clip:
    """A row of a table as a record."""
    return Clip(*(_to_python(row[name]) for name in COLUMNS))


def text_of(value: Any) -> str:
    """A cell of a table as corpus.csv has it."""
    value = _to_python(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _to_python(value: Any) -> Any:
    return os.fsdecode(value) if isinstance(value, bytes) else value.item()
