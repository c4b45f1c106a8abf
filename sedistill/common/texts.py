"""Texts by the million as columns: one behind another in an array of bytes, and where each ends."""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sedistill.common.reading import NAMES

_AT_A_TIME = 10_000


class Texts:
    """Texts one behind another, as the bytes of names of files, and where each of them ends."""

    def __init__(self, ends: NDArray[np.int64], data: NDArray[np.uint8]) -> None:
        self.ends, self.data = ends, data  # (n + 1,), the first 0

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Texts":
        """From texts in memory."""
        column = TextColumn()
        column.add(list(texts))
        return column.texts()

    @classmethod
    def stored(cls, arrays: Mapping[str, NDArray], name: str) -> "Texts":
        """What `arrays` gave, found again by its name among others."""
        return cls(arrays[f"{name}.ends"], arrays[f"{name}.data"])

    def arrays(self, name: str) -> dict[str, NDArray]:
        """Both arrays by names, to be kept among others."""
        return {f"{name}.ends": self.ends, f"{name}.data": self.data}

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, row: int) -> str:
        return self.data[self.ends[row] : self.ends[row + 1]].tobytes().decode(**NAMES)

    def __iter__(self) -> Iterator[str]:
        return self.among(np.arange(len(self)))

    def among(self, rows: NDArray[np.int64]) -> Iterator[str]:
        """The texts of these rows, a few at a time."""
        for first in range(0, len(rows), _AT_A_TIME):
            some = self._gathered(rows[first : first + _AT_A_TIME])
            data, ends = some.data.tobytes(), some.ends.tolist()
            text = data.decode(**NAMES)
            if len(text) == len(data):  # one byte a character
                yield from [text[begin:end] for begin, end in pairwise(ends)]
            else:
                yield from [data[begin:end].decode(**NAMES) for begin, end in pairwise(ends)]

    def take(self, rows: NDArray[np.int64]) -> "Texts":
        """The texts of these rows."""
        column = TextColumn()
        for first in range(0, len(rows), _AT_A_TIME):
            column.append(self._gathered(rows[first : first + _AT_A_TIME]))
        return column.texts()

    @property
    def are_there(self) -> NDArray[np.bool_]:
        """(n,): which are not empty."""
        return np.diff(self.ends) > 0

    def codes(self) -> NDArray[np.int64]:
        """(n,): the same number for the same text."""
        digests = bytearray()
        for first in range(0, len(self), _AT_A_TIME):
            some = self._gathered(np.arange(first, min(first + _AT_A_TIME, len(self))))
            data = some.data.tobytes()
            for begin, end in pairwise(some.ends.tolist()):
                digests += blake2b(data[begin:end], digest_size=16).digest()
        return np.unique(np.frombuffer(bytes(digests), "V16"), return_inverse=True)[1]

    def _gathered(self, rows: NDArray[np.int64]) -> "Texts":
        starts = self.ends[rows]
        lengths = self.ends[rows + 1] - starts
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        places = np.arange(ends[-1]) + np.repeat(starts - ends[:-1], lengths)
        return Texts(ends, self.data[places])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Texts)
            and np.array_equal(self.ends, other.ends)
            and np.array_equal(self.data, other.data)
        )

    __hash__ = None  # type: ignore[assignment]


class TextColumn:
    """Texts as they come."""

    def __init__(self) -> None:
        self.lengths: list[NDArray[np.int64]] = []
        self.data = bytearray()

    def append(self, texts: Texts) -> None:
        self.lengths.append(np.diff(texts.ends))
        self.data += texts.data.tobytes()

    def add(self, texts: list[str]) -> None:
        parts = [text.encode(**NAMES) for text in texts]
        self.lengths.append(np.fromiter(map(len, parts), np.int64, len(parts)))
        self.data += b"".join(parts)

    def texts(self) -> Texts:
        ends = np.concatenate([np.zeros(1, np.int64), *self.lengths])
        return Texts(np.cumsum(ends, out=ends), np.frombuffer(bytes(self.data), np.uint8))
