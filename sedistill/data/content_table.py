"""What files held when they were last looked at, as columns, and as the table files.csv."""

from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sedistill.common.csv_files import read_rows, write_csv
from sedistill.common.csv_index import indexed
from sedistill.common.errors import UserError
from sedistill.common.integrity import joint_hash
from sedistill.common.texts import TextColumn, Texts
from sedistill.common.writing import atomic_path

_COLUMNS = ("name", "bytes", "modified_ns", "changed_ns", "sha256")
_INDEX_KIND = "files 1"
_AT_A_TIME = 10_000


class Stamp(NamedTuple):
    """What a file system tells of a file at once. `changed_ns` also moves when a file is put in its place."""

    bytes: int
    modified_ns: int
    changed_ns: int


class Content(NamedTuple):
    """A file as it was when it had this stamp."""

    stamp: Stamp
    sha256: str


class Contents:
    """Files by name (the path below a set's folder, or a corpus's root and the path below that), as columns.

    Attributes:
        names: of the files.
        stamps: (n, 3) int64.
        hashes: (n, 32) uint8.
        found_hash: `contents_hash` of them, where it was taken before; "" else.
    """

    def __init__(self, names: Texts, stamps: NDArray, hashes: NDArray, found_hash: str = "") -> None:
        self.names, self.stamps, self.hashes, self.found_hash = names, stamps, hashes, found_hash

    @classmethod
    def of(cls, items: Iterable[tuple[str, Content]]) -> "Contents":
        """From names and contents as they come."""
        return cls.of_rows((name, *content.stamp, content.sha256) for name, content in items)

    @classmethod
    def of_rows(cls, rows: Iterable[tuple[str, int, int, int, str]]) -> "Contents":
        """From rows of files.csv."""
        names, rows = TextColumn(), iter(rows)
        stamps, hashes = [np.empty((0, 3), np.int64)], [np.empty((0, 32), np.uint8)]
        while some := list(islice(rows, _AT_A_TIME)):
            names.add([row[0] for row in some])
            stamps.append(np.array([row[1:4] for row in some], np.int64))
            data = b"".join(_digest(row[4]) for row in some)
            hashes.append(np.frombuffer(data, np.uint8).reshape(-1, 32))
        return cls(names.texts(), np.concatenate(stamps), np.concatenate(hashes))

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Contents):
            return NotImplemented
        alike = self.names == other.names and np.array_equal(self.stamps, other.stamps)
        return alike and np.array_equal(self.hashes, other.hashes)

    __hash__ = None  # type: ignore[assignment]

    def items(self) -> Iterator[tuple[str, Content]]:
        for name, *stamp, sha256 in self.rows():
            yield name, Content(Stamp(*stamp), sha256)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Rows of files.csv, a few at a time in memory."""
        names = iter(self.names)
        for first in range(0, len(self), _AT_A_TIME):
            stamps = self.stamps[first : first + _AT_A_TIME].tolist()
            digests = self.hashes[first : first + _AT_A_TIME].tobytes().hex()
            for number, stamp in enumerate(stamps):
                yield next(names), *stamp, digests[64 * number : 64 * number + 64]

    def in_order(self) -> Iterator[tuple[str, str]]:
        """Name and hash of each file, in the order of the names."""
        if not all(one < other for one, other in pairwise(self.names)):
            names = list(self.names)
            order = sorted(range(len(names)), key=names.__getitem__)
            return ((names[row], self.hashes[row].tobytes().hex()) for row in order)
        return ((row[0], row[-1]) for row in self.rows())

    def take(self, rows: NDArray[np.int64]) -> "Contents":
        """Some of them, in this order."""
        return Contents(self.names.take(rows), self.stamps[rows], self.hashes[rows])


def contents_hash(contents: Contents) -> str:
    """One hash of all files, by their names and what is in them."""
    if not contents.found_hash:
        contents.found_hash = joint_hash(contents.in_order())
    return contents.found_hash


def write_contents(path: Path, contents: Contents) -> None:
    """Write contents as CSV, whole or not at all."""
    with atomic_path(path) as temporary:
        write_csv(temporary, _COLUMNS, contents.rows())


def read_contents(path: Path, written_hash: str | None = None) -> Contents | None:
    """What `write_contents` wrote; None where it is missing, damaged or not what `written_hash` is of."""

    def build() -> tuple[dict[str, NDArray], dict[str, str]]:
        found = Contents.of_rows(_read_rows(path))
        arrays = {**found.names.arrays("names"), "stamps": found.stamps, "hashes": found.hashes}
        return arrays, {"hash": contents_hash(found)}

    try:
        arrays, facts = indexed(path, _INDEX_KIND, build)
    except (UserError, ValueError):
        return None
    contents = Contents(Texts.stored(arrays, "names"), arrays["stamps"], arrays["hashes"], facts["hash"])
    return contents if written_hash in (None, contents_hash(contents)) else None


def _read_rows(path: Path) -> Iterator[tuple[str, int, int, int, str]]:
    """Raises UserError and ValueError for what `write_contents` did not write."""
    rows = read_rows(path, "")
    if tuple(next(rows)[1]) != _COLUMNS:
        raise ValueError
    for _, (name, size, modified, changed, sha256) in rows:
        yield name, int(size), int(modified), int(changed), sha256


def _digest(sha256: str) -> bytes:
    digest = bytes.fromhex(sha256)
    if len(digest) != 32:
        raise ValueError(f"{sha256} is no SHA-256")
    return digest
