"""One row a clip: as a record, as columns that data workers share, and as text.

Many clips are arrays of numpy, so that data workers share them instead of copying them: Python objects are
copied page by page as soon as a forked worker counts a reference to them.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from hashlib import blake2b
from itertools import count, islice
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from sedistill.common.paths import PathInside
from sedistill.common.texts import TextColumn, Texts

INDEX_VERSION = 1
"""Of what `ClipTable.arrays` holds."""
MOST_FRAMES = 2**40  # samples: two years at 16 kHz


def _known_kind(kind: str) -> str:
    if kind not in ("clean", "noise", "noisy"):
        raise ValueError("it must be clean, noise or noisy")
    return kind


@dataclass(frozen=True, slots=True)
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
_NUMBERS = {
    name: {int: np.int64, float: np.float64}[kind] for name, kind in COLUMNS.items() if kind in (int, float)
}
_FEW = ("root", "kind", "split", "group")
_TEXTS = ("path", "audio_sha256", "pair", "source", "recording")
_DEFAULTS = {field.name: field.default for field in fields(Clip) if field.default is not MISSING}
_AT_A_TIME = 10_000


class ClipTable:
    """Clips as columns, which many processes share.

    Attributes:
        arrays: all of it, by names: numbers (n,); of columns with few different texts a number (n,) for each,
            and the texts in the order of their bytes; other texts one behind another.
        file: (n,), the number of each clip's file, as they appear.
        numbers: the columns of numbers, by name.
        codes, choices: of the columns of few texts: (n,), and the texts.
        texts: the other columns, by name.
    """

    def __init__(self, arrays: Mapping[str, NDArray]) -> None:
        self.arrays = arrays
        self.numbers = {name: arrays[name] for name in _NUMBERS}
        self.codes = {name: arrays[name] for name in _FEW}
        self.choices = {name: list(Texts.stored(arrays, f"{name}.of")) for name in _FEW}
        self.texts = {name: Texts.stored(arrays, name) for name in _TEXTS}
        self.file = arrays["file"]

    @classmethod
    def of(cls, clips: Iterable[Clip]) -> "ClipTable":
        """From clips in memory."""
        clips = iter(clips)
        parts = iter(lambda: list(islice(clips, _AT_A_TIME)), [])
        return cls.joined(
            {name: [getattr(clip, name) for clip in some] for name in COLUMNS} for some in parts
        )

    @classmethod
    def joined(cls, parts: Iterable[Mapping[str, list[Any]]]) -> "ClipTable":
        """From some rows after others, as columns; those that a clip has a default for may be missing."""
        numbers: dict[str, list[NDArray]] = {name: [np.empty(0, kind)] for name, kind in _NUMBERS.items()}
        texts = {name: TextColumn() for name in _TEXTS}
        known: dict[str, dict[str, int]] = {name: {} for name in _FEW}
        codes: dict[str, list[NDArray]] = {name: [np.empty(0, np.int32)] for name in _FEW}
        names = [np.empty(0, "V16")]
        for some in parts:
            length = len(some["path"])
            columns = {name: some.get(name, [_DEFAULTS.get(name)] * length) for name in COLUMNS}
            for name, kind in _NUMBERS.items():
                numbers[name].append(np.array(columns[name], kind))
            for name, column in texts.items():
                column.add(list(map(str, columns[name])))
            for name, codes_of in known.items():
                row = [codes_of.setdefault(str(text), len(codes_of)) for text in columns[name]]
                codes[name].append(np.array(row, np.int32))
            names.append(_short_names(columns["root"], columns["path"]))
        arrays = {name: np.concatenate(column) for name, column in numbers.items()}
        for name, codes_of in known.items():
            arrays |= _few(name, codes_of, np.concatenate(codes.pop(name)))
        for name in _TEXTS:
            arrays |= texts.pop(name).texts().arrays(name)
        return cls(arrays | {"file": numbered(np.concatenate(names))})

    def __len__(self) -> int:
        return len(self.file)

    def __getitem__(self, row: int) -> Clip:
        return Clip(**{name: self.value(name, row) for name in COLUMNS})

    def __iter__(self) -> Iterator[Clip]:
        return (self[row] for row in range(len(self)))

    def take(self, rows: NDArray[Any]) -> "ClipTable":
        """The clips of these rows (numbers or marks), in that order."""
        rows = np.arange(len(self))[rows]
        arrays = {name: self.arrays[name][rows] for name in (*_NUMBERS, *_FEW)}
        for name in _FEW:
            arrays |= Texts.stored(self.arrays, f"{name}.of").arrays(f"{name}.of")
        for name in _TEXTS:
            arrays |= self.texts[name].take(rows).arrays(name)
        return ClipTable(arrays | {"file": numbered(self.file[rows])})

    def with_splits(self, names: Sequence[str], codes: NDArray[np.int64]) -> "ClipTable":
        """The same clips in other splits: the places of theirs in `names`, (n,)."""
        return ClipTable({**self.arrays, **_few("split", dict(zip(names, count())), codes)})

    def value(self, name: str, row: int) -> Any:
        """A cell."""
        if name in self.numbers:
            return self.numbers[name][row].item()
        return self.text(name, row)

    def text(self, name: str, row: int) -> str:
        """A cell of text."""
        return self.choices[name][self.codes[name][row]] if name in self.codes else self.texts[name][row]

    def cut_from(self, rows: NDArray[np.int64]) -> Iterator[str]:
        """The recordings these clips are of, as `Clip.cut_from`."""
        cells = self.lines(("recording", "source", "root", "path"), rows)
        return (recording or source or f"{root}/{path}" for recording, source, root, path in cells)

    def is_in(self, name: str, text: str) -> NDArray[np.bool_]:
        """(n,): which clips have this text in a column of few."""
        choices = self.choices[name]
        return self.codes[name] == (choices.index(text) if text in choices else -1)

    def lines(self, columns: Sequence[str], rows: NDArray[np.int64]) -> Iterator[tuple[str, ...]]:
        """Cells of these rows as corpus.csv has them."""
        for first in range(0, len(rows), _AT_A_TIME):
            some = rows[first : first + _AT_A_TIME]
            yield from zip(*(self._as_text(name, some) for name in columns), strict=True)

    def _as_text(self, name: str, rows: NDArray[np.int64]) -> Iterable[str]:
        if name in self.codes:
            choices = self.choices[name]
            return [choices[code] for code in self.codes[name][rows].tolist()]
        if name in self.texts:
            return self.texts[name].among(rows)
        return map(
            "{:.6g}".format if _NUMBERS[name] is np.float64 else str, self.numbers[name][rows].tolist()
        )


class ClipFiles(Mapping[str, str]):
    """Where every file of some clips lies, by its name: made when asked for, as there may be millions."""

    def __init__(self, clips: ClipTable, rows: NDArray[np.int64], roots: Mapping[str, Path]) -> None:
        _, first = np.unique(clips.file[rows], return_index=True)
        self.clips, self.rows, self.roots = clips, rows[first], roots

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[str]:
        return ("/".join(both) for both in self._both())

    def items(self) -> Iterator[tuple[str, str]]:  # type: ignore[override]
        places = {name: f"{place}/" for name, place in self.roots.items()}
        return ((f"{root}/{path}", places[root] + path) for root, path in self._both())

    def __getitem__(self, name: str) -> str:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, str]:
        return dict(self.items())

    def _both(self) -> Iterator[tuple[str, ...]]:
        return self.clips.lines(("root", "path"), self.rows)


def _short_names(roots: Iterable[Any], paths: Iterable[Any]) -> NDArray[np.void]:
    names = (os.fsencode(f"{root}/{path}") for root, path in zip(roots, paths, strict=True))
    return np.frombuffer(b"".join(blake2b(name, digest_size=16).digest() for name in names), "V16")


def _few(name: str, codes_of: Mapping[str, int], codes: NDArray[Any]) -> dict[str, NDArray]:
    """A column of few texts as arrays, in the order of bytes. codes: (n,), their numbers in `codes_of`."""
    ordered = sorted(codes_of, key=os.fsencode)
    place = np.empty(len(ordered), np.int32)
    place[[codes_of[text] for text in ordered]] = np.arange(len(ordered))
    return {name: place[codes], **Texts.of(ordered).arrays(f"{name}.of")}


def numbered(names: NDArray[Any]) -> NDArray[np.int64]:
    """(n,): 0 for the first, then counted up at each one that was not there before."""
    _, first, which = np.unique(names, return_index=True, return_inverse=True)
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    return place[which]
