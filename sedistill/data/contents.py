"""What files held when they were last looked at: size, times and hash of each, of a corpus, a set or a run.

Size and times are looked at first, and what is in a file only where they differ. So a start costs a look into
the folder, and a copy or a move of everything costs one reading.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sedistill.common.csv_files import CsvWriter, read_rows
from sedistill.common.csv_index import indexed
from sedistill.common.errors import UserError
from sedistill.common.integrity import file_hash, joint_hash
from sedistill.common.parallel import parallel_map
from sedistill.common.reading import NAMES, is_taken, shown, why_no_file
from sedistill.common.texts import TextColumn, Texts
from sedistill.common.writing import atomic_path

FILES = "files.csv"
_SHOWN = 3


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


def look(files: Mapping[str, Path | str], known: Contents | None = None) -> Contents:
    """What files are now: as known where size and times are, else read. Those that are gone are left out."""
    if known is not None and len(known) == len(files) and _are_as_known(files, known):
        return known
    before = {} if known is None else dict(known.items())
    stamps = {name: stamp for name, path in files.items() if (stamp := stamp_of(path)) is not None}
    unread = [name for name, stamp in stamps.items() if name not in before or before[name].stamp != stamp]
    paths = [str(files[name]) for name in unread]
    hashes = parallel_map(_hash_or_nothing, paths, None, "Hashing", "files") if paths else []
    read = dict(zip(unread, hashes, strict=True))
    return Contents.of(
        (name, Content(stamp, sha256))
        for name, stamp in stamps.items()
        if (sha256 := read[name] if name in read else before[name].sha256)
    )


def _are_as_known(files: Mapping[str, Path | str], known: Contents) -> bool:
    """Whether all are there by the same names in the same order, with the same sizes and times."""
    return all(
        name == known_name and stamp_of(path) == (size, modified, changed)
        for (name, path), (known_name, size, modified, changed, _) in zip(
            files.items(), known.rows(), strict=True
        )
    )


def content_of(path: Path | str) -> Content:
    """One file that is there."""
    status = os.stat(path)
    return Content(Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns), file_hash(path))


def stamp_of(path: Path | str) -> Stamp | None:
    """None where there is no such file, or something that is no file and might be waited for."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def contents_hash(contents: Contents) -> str:
    """One hash of all files, by their names and what is in them."""
    if not contents.found_hash:
        contents.found_hash = joint_hash(contents.in_order())
    return contents.found_hash


def differences(was: Contents, found: Contents, files: Mapping[str, Path | str] | None = None) -> list[str]:
    """A few words on every file that is not what it was, or is gone, or new.

    files: where they lie, so as to say what lies in the place of one that is gone.
    """
    if was is found or (was.names == found.names and np.array_equal(was.hashes, found.hashes)):
        return []
    before, now = dict(was.items()), dict(found.items())
    names_before = {content.sha256: name for name, content in before.items()}
    told = []
    for name, content in before.items():
        if name not in now:
            told.append(f"{name} ({_why_gone(files[name]) if files and name in files else 'gone'})")
        elif now[name].sha256 != content.sha256:
            other = names_before.get(now[name].sha256)
            what = (
                f"now what {other} was" if other else f"was {content.sha256[:12]}, is {now[name].sha256[:12]}"
            )
            told.append(f"{name} ({what})")
    return told + [f"{name} (new)" for name in now if name not in before]


def _why_gone(path: Path | str) -> str:
    """ "gone", or what lies there instead of a file, such as "is a folder, not a file"."""
    return (why_no_file(path) if is_taken(path) else "") or "gone"


def shortened(told: list[str]) -> str:
    """The first few of a list, and how many more there are."""
    told = [shown(one) for one in told]
    more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return ", ".join(told[:_SHOWN]) + more


def write_contents(path: Path, contents: Contents) -> None:
    """Write contents as CSV, whole or not at all."""
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", **NAMES) as file,
    ):
        writer = CsvWriter(file)
        writer.writerow(_COLUMNS)
        writer.writerows(contents.rows())


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


def remember(path: Path, contents: Contents) -> bool:
    """Write contents where that can be done; a place that is read-only costs the next start a reading."""
    try:
        write_contents(path, contents)
    except (UserError, OSError):
        return False
    return True


def as_written(
    folder: Path, files: Mapping[str, Path | str], written_hash: str | None, remedy: str
) -> Contents:
    """The contents of a folder that a command of ours wrote. Raises UserError naming what is not as written.

    files: all of its files by name.
    written_hash: of the contents when they were written; None for a folder from before there were hashes,
        whose files are read now and believed.
    remedy: how to make it anew, for the sentence.
    """
    known = read_contents(folder / FILES, written_hash)
    now = look(files, known)
    if now is known:
        return now
    there = set(now.names)
    if gone := [f"{name} ({_why_gone(path)})" for name, path in files.items() if name not in there]:
        raise UserError(f"{folder} lacks files: {shortened(gone)}; put them back, or {remedy}.")
    if known is None:
        if written_hash not in (None, contents_hash(now)):
            raise UserError(
                f"{folder} was changed since it was written, and {FILES}, which would tell which file, is "
                f"missing or damaged; {remedy}."
            )
        if written_hash is None:
            kept = "are kept from now on" if remember(folder / FILES, now) else "cannot be kept there"
            print(f"note: {folder} is from before files had hashes; those of its {len(now)} files {kept}.")
            return now
    elif told := differences(known, now):
        raise UserError(
            f"{folder} was changed since it was written: {shortened(told)}; put back what was there, or "
            f"{remedy}."
        )
    if now != known:
        remember(folder / FILES, now)
    return now


def _digest(sha256: str) -> bytes:
    digest = bytes.fromhex(sha256)
    if len(digest) != 32:
        raise ValueError(f"{sha256} is no SHA-256")
    return digest


def _hash_or_nothing(path: str) -> str:
    """Of a file; empty where it cannot be read any more."""
    try:
        return file_hash(path)
    except (OSError, UserError):
        return ""


_COLUMNS = ("name", "bytes", "modified_ns", "changed_ns", "sha256")
_INDEX_KIND = "files 1"
_AT_A_TIME = 10_000
