"""What files held when they were last looked at: size, times and hash of each, of a corpus, a set or a run.

Size and times are looked at first, and what is in a file only where they differ. So a start costs a look into
the folder, and a copy or a move of everything costs one reading.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from sedistill.common.csv_files import CsvWriter, read_cells
from sedistill.common.errors import UserError
from sedistill.common.integrity import file_hash, joint_hash
from sedistill.common.parallel import parallel_map
from sedistill.common.reading import NAMES, is_taken, shown, why_no_file
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


Contents = dict[str, Content]
"""By name: the path below a set's folder, or a corpus's root and the path below that."""


def look(files: Mapping[str, Path | str], known: Mapping[str, Content] | None = None) -> Contents:
    """What files are now: as known where size and times are, else read. Those that are gone are left out."""
    known = known or {}
    stamps = {name: stamp for name, path in files.items() if (stamp := stamp_of(path)) is not None}
    unread = [name for name, stamp in stamps.items() if name not in known or known[name].stamp != stamp]
    paths = [str(files[name]) for name in unread]
    hashes = parallel_map(_hash_or_nothing, paths, None, "Hashing", "files") if paths else []
    read = dict(zip(unread, hashes, strict=True))
    return {
        name: Content(stamp, sha256)
        for name, stamp in stamps.items()
        if (sha256 := read[name] if name in read else known[name].sha256)
    }


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


def contents_hash(contents: Mapping[str, Content]) -> str:
    """One hash of all files, by their names and what is in them."""
    return joint_hash({name: content.sha256 for name, content in contents.items()})


def differences(
    before: Mapping[str, Content], now: Mapping[str, Content], files: Mapping[str, Path | str] | None = None
) -> list[str]:
    """A few words on every file that is not what it was, or is gone, or new.

    files: where they lie, so as to say what lies in the place of one that is gone.
    """
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


def write_contents(path: Path, contents: Mapping[str, Content]) -> None:
    """Write contents as CSV, whole or not at all."""
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", **NAMES) as file,
    ):
        writer = CsvWriter(file)
        writer.writerow(_COLUMNS)
        writer.writerows((name, *content.stamp, content.sha256) for name, content in contents.items())


def read_contents(path: Path, written_hash: str | None = None) -> Contents | None:
    """What `write_contents` wrote; None where it is missing, damaged or not what `written_hash` is of."""
    try:
        header, rows = read_cells(path, "")
        if tuple(header) != _COLUMNS:
            return None
        contents = {
            name: Content(Stamp(int(size), int(modified), int(changed)), sha256)
            for _, (name, size, modified, changed, sha256) in rows
        }
    except (UserError, ValueError):
        return None
    return contents if written_hash in (None, contents_hash(contents)) else None


def remember(path: Path, contents: Mapping[str, Content]) -> bool:
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
    if gone := [f"{name} ({_why_gone(path)})" for name, path in files.items() if name not in now]:
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


def _hash_or_nothing(path: str) -> str:
    """Of a file; empty where it cannot be read any more."""
    try:
        return file_hash(path)
    except (OSError, UserError):
        return ""


_COLUMNS = ("name", "bytes", "modified_ns", "changed_ns", "sha256")
