"""Where an output comes about: a hidden folder beside its place, held by the process that works there.

    .sedistill-1a2b3c4d5e6f/     named after the output, so that a second command for it finds it taken
        lock                     held as long as its process lives
        new/NAME                 what is being written
        old/NAME                 what was there before, moved aside while the new comes into place

A process that is killed leaves it behind. Whoever next writes in the same folder finds its lock free, puts
back what was moved aside and never replaced, and removes the rest. What a live process holds is left alone.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sedistill.common.errors import UserError
from sedistill.common.interruption import uninterrupted
from sedistill.common.writing.locking import PATIENCE_SECONDS, Lock, take
from sedistill.common.writing.renaming import rename_beside

MARK = ".sedistill-"
LOCK, NEW, OLD = "lock", "new", "old"

_looked_at: set[tuple[int, str]] = set()
"""Folders in which this process has looked for what others left behind."""


def is_unfinished(path: Path) -> bool:
    """Whether `path` lies in a folder that is being written, and vanishes with it if that fails."""
    return any(part.startswith(MARK) for part in path.parts)


@contextmanager
def workplace(path: Path) -> Iterator[Path]:
    """The hidden folder for the output `path`, with an empty new/ in it; at the end it is removed.

    Missing folders above are made, and removed again when they stay empty.
    Raises UserError when another command is at work on `path`, OSError where nothing can be written.
    """
    made = make_folders(path.parent)
    try:
        _clear_beside(path.parent)
        place = place_of(path)
        held = _take(place, path)
        try:
            _say(_put_back(place))
            (place / NEW).mkdir()
            yield place
        finally:
            with uninterrupted():
                _put_back(place)
                _remove(place, held)
    finally:
        for folder in reversed(made):
            with suppress(OSError):  # something is in it
                folder.rmdir()


def place_of(path: Path) -> Path:
    """The hidden folder for an output."""
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]
    return path.parent / f"{MARK}{name}"


def _take(place: Path, path: Path) -> Lock:
    while True:
        with suppress(FileExistsError):
            place.mkdir()
        try:
            held = take(place / LOCK, PATIENCE_SECONDS)
        except FileNotFoundError:  # whoever held it has just removed it all
            continue
        if held is None:
            raise UserError(
                f"another command is at work on {path}; wait for it or choose another place for the output."
            )
        return held


def _clear_beside(folder: Path) -> None:
    """Recover and remove what killed processes left in `folder`; once a process is enough."""
    key = os.getpid(), str(folder.absolute())
    if key in _looked_at:
        return
    _looked_at.add(key)
    try:
        with os.scandir(folder) as found:
            left = [Path(one.path) for one in found if one.name.startswith(MARK)]
    except OSError:  # it may be written into and not listed
        return
    for place in left:
        with suppress(OSError):  # it may vanish meanwhile, or be another user's
            place.rmdir()  # where its process was killed before it had the lock
        with suppress(OSError):
            if (place / LOCK).is_file() and (held := take(place / LOCK)) is not None:
                with uninterrupted():
                    _say(_put_back(place))
                    _remove(place, held)


def _put_back(place: Path) -> list[Path]:
    """What was moved aside and not replaced goes back, or beside its place where that is taken; the rest is
    removed. Returns what went back.
    """
    back = [
        rename_beside(aside, place.parent / aside.name)
        for aside in _entries(place / OLD)
        if os.path.lexists(place / NEW / aside.name)
    ]
    for part in (NEW, OLD):
        shutil.rmtree(place / part, ignore_errors=True)
    return back


def _say(back: list[Path]) -> None:
    for path in back:
        print(f"{path} is there again: a command that was killed had moved it aside.", file=sys.stderr)


def _remove(place: Path, held: Lock) -> None:
    with suppress(OSError):
        (place / LOCK).unlink()
    with suppress(OSError):
        place.rmdir()
    held.let_go()


def make_folders(folder: Path) -> list[Path]:
    """Make what is missing; returns what was made, outermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    missing.reverse()
    for one in missing:
        one.mkdir(exist_ok=True)
    return missing


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
