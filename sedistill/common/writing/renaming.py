"""Renames that never lose anything: without replacing, or both at once."""

import ctypes
import errno
import itertools
import os
import sys
from pathlib import Path

_AT_CURRENT_FOLDER = -100
_RENAME_EXCHANGE = 2


def rename_without_replacing(source: Path, target: Path) -> None:
    """Raises FileExistsError when something (other than an empty folder, for a folder) is at `target`."""
    try:
        if source.is_dir() and not source.is_symlink():
            _rename_folder(source, target)
        else:
            _rename_file(source, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.ENOTDIR, errno.EEXIST) and os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        raise


def rename_beside(source: Path, target: Path) -> Path:
    """Rename to `target`, or where that is taken to a name like it; returns the place."""
    for number in itertools.count():
        place = target if number == 0 else target.with_name(f"{_shortened(target.name)}.kept-{number}")
        try:
            rename_without_replacing(source, place)
        except FileExistsError:
            continue
        return place
    raise AssertionError


def exchange(one: Path, other: Path) -> bool:
    """Let both swap places at once; False where the system cannot do that."""
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "renameat2"):
        return False
    here, paths = _AT_CURRENT_FOLDER, (os.fsencode(one), os.fsencode(other))
    return library.renameat2(here, paths[0], here, paths[1], _RENAME_EXCHANGE) == 0


def _rename_folder(source: Path, target: Path) -> None:
    if os.name == "nt" and target.is_dir():
        target.rmdir()  # refused unless it is empty
    os.rename(source, target)  # which replaces nothing but an empty folder


def _rename_file(source: Path, target: Path) -> None:
    if os.name == "nt":
        os.rename(source, target)  # replaces nothing there
        return
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: take the name first, then fill it
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.replace(source, target)
    else:
        os.unlink(source)


def _shortened(name: str) -> str:
    """Short enough for an ending to be added to it."""
    while len(os.fsencode(name)) > 230:
        name = name[:-1]
    return name
