"""What files held when they were last looked at: size, times and hash of each, of a corpus, a set or a run.

Size and times are looked at first, and what is in a file only where they differ. So a start costs a look into
the folder, and a copy or a move of everything costs one reading.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, repeat
from operator import eq
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedistill.common.errors import UserError
from sedistill.common.integrity import file_hash
from sedistill.common.parallel import in_parallel
from sedistill.common.progress import ProgressBar
from sedistill.common.reading import is_taken, shown, why_no_file
from sedistill.common.wording import first_few
from sedistill.data.content_table import (
    Content,
    Contents,
    Stamp,
    contents_hash,
    read_contents,
    write_contents,
)

FILES = "files.csv"
_AT_A_TIME = 10_000


def look(files: Mapping[str, Path | str], known: Contents | None = None) -> Contents:
    """What files are now: as known where size and times are, else read. Those that are gone are left out."""
    if known is not None and len(known) == len(files) and _are_as_known(files, known):
        return known
    stamps, state = np.zeros((len(files), 3), np.int64), np.full(len(files), _GONE, np.uint8)
    for row, ((_, path), was) in enumerate(zip(files.items(), _known_of(files, known), strict=True)):
        if (stamp := stamp_of(path)) is not None:
            stamps[row] = stamp
            state[row] = _KNOWN if was is not None and was.stamp == stamp else _UNREAD
    unread = (str(path) for (_, path), how in zip(files.items(), state, strict=True) if how == _UNREAD)
    hashes = _hashes(unread, int(np.count_nonzero(state == _UNREAD)))

    def rows() -> Iterator[tuple[str, int, int, int, str]]:
        for row, (name, was) in enumerate(zip(files, _known_of(files, known), strict=True)):
            sha256 = (
                next(hashes) if state[row] == _UNREAD else was.sha256 if state[row] == _KNOWN and was else ""
            )
            if sha256:
                yield name, *stamps[row].tolist(), sha256

    return Contents.of_rows(rows())


_GONE, _KNOWN, _UNREAD = range(3)


def _known_of(files: Mapping[str, Path | str], known: Contents | None) -> Iterator[Content | None]:
    """What was known of each file."""
    if known is None:
        return repeat(None, len(files))
    if len(known) == len(files) and all(map(eq, files, known.names)):
        return (content for _, content in known.items())
    return map(dict(known.items()).get, files)


def _hashes(paths: Iterable[str], count: int) -> Iterator[str]:
    """Of files; empty for one that cannot be read any more."""
    if count:
        with (
            in_parallel(_hash_or_nothing, paths, count, None, "Hashing") as found,
            ProgressBar("Hashing", count, "files") as bar,
        ):
            for sha256 in found:
                yield sha256
                bar.advance()


def _are_as_known(files: Mapping[str, Path | str], known: Contents) -> bool:
    """Whether all are there by the same names in the same order, with the same sizes and times."""
    if not all(map(eq, files, known.names)):
        return False
    paths, rows = (path for _, path in files.items()), np.arange(len(known))
    return all(
        np.array_equal(_stamps(islice(paths, len(some))), known.stamps[some])
        for some in np.array_split(rows, len(rows) // _AT_A_TIME + 1)
    )


def _stamps(paths: Iterable[Path | str]) -> NDArray[np.int64]:
    """What `stamp_of` says of some files, (n, 3); nothing where one is not there."""
    try:
        found = [(s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in map(os.stat, paths)]
    except (OSError, ValueError):
        found = []
    return np.array([one[1:] for one in found if stat.S_ISREG(one[0])], np.int64).reshape(-1, 3)


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
    return first_few([shown(one) for one in told])


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


def _hash_or_nothing(path: str) -> str:
    """Of a file; empty where it cannot be read any more."""
    try:
        return file_hash(path)
    except (OSError, UserError):
        return ""
