"""Files and folders are written whole or not at all: under a temporary name, then renamed."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sedistill.errors import UserError


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it onto `path` on success, remove it on any failure.

    The suffix is kept, so writers that look at it still work. Raises UserError when the disk is full or
    the place cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        with named_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path | str, overwrite: bool = False) -> Iterator[Path]:
    """Yield a new temporary folder beside `path` that becomes `path` on success and vanishes on failure.

    Raises UserError when `path` exists and `overwrite` is False, or when the disk is full.
    """
    path = Path(path)
    refuse_existing(path, overwrite)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with named_disk_errors(path):
            temporary.mkdir(parents=True)
            yield temporary
            if path.exists():
                retired = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
                os.replace(path, retired)
                os.replace(temporary, path)
                shutil.rmtree(retired)
            else:
                os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_existing(path: Path, overwrite: bool = False, marker: str | None = None) -> None:
    """Raise UserError when something (other than an empty folder) is at `path` already.

    With `overwrite` it may be replaced, but a folder only if it holds `marker` (a glob pattern, such as a
    file that its kind always has): nobody's recordings vanish because an output was mistyped.
    """
    if not path.exists() or is_empty_folder(path):
        return
    if not overwrite:
        raise UserError(f"{path} exists already; choose another place or say --overwrite to replace it.")
    if marker is not None and not (path.is_dir() and any(path.glob(marker))):
        raise UserError(
            f"{path} is not an earlier output of this kind (it has no {marker}), so it is not replaced; "
            "choose another place."
        )


def is_empty_folder(path: Path) -> bool:
    """Whether `path` is a folder with nothing in it, which may be written into."""
    return path.is_dir() and not any(path.iterdir())


@contextmanager
def named_disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's writing errors into a sentence that names `path`."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "the disk is full; free some space and run the same command again",
            errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
            errno.EFBIG: "it is larger than the file system there, or ulimit, lets a file become; "
            "choose another place",
            errno.EACCES: "there is no permission to write there",
            errno.EROFS: "the file system is read-only",
            errno.ENOTDIR: "part of the path is a file, not a folder",
        }
        if error.errno not in reasons:
            raise
        raise UserError(f"cannot write {path}: {reasons[error.errno]}.") from error
