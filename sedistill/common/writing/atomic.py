"""Files and folders are written whole or not at all: beside their place, flushed, then renamed.

What appears at the place meanwhile stays, unless it is to be replaced; the result is then kept under another
name. One command at a time is at work on one output.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sedistill.common.errors import UserError
from sedistill.common.interruption import note_finished, safe_moment, uninterrupted
from sedistill.common.writing.disk_errors import named_disk_errors
from sedistill.common.writing.flushing import flush, flush_names
from sedistill.common.writing.outputs import refuse_existing
from sedistill.common.writing.renaming import exchange, rename_beside, rename_without_replacing
from sedistill.common.writing.unfinished import NEW, OLD, is_unfinished, place_of, workplace


@contextmanager
def atomic_path(path: Path | str, overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary path of the same name for a file; rename it to `path` on success, else remove it.

    A file that is there already is replaced with `overwrite`; without, UserError, and so it is for one that
    appears meanwhile: it stays, and the result is kept beside it.
    Raises UserError when the disk is full, the place cannot be written, or another command is at work on it.
    """
    path = Path(path)
    safe_moment()
    if is_unfinished(path):  # what it lies in appears whole or not at all
        with _plain_file(path):
            yield path
        return
    if not overwrite:
        refuse_existing(path)
    with named_disk_errors(path, own=place_of(path)), workplace(path) as place:
        new = place / NEW / path.name
        yield new
        safe_moment()
        flush(new)
        with uninterrupted():
            if overwrite:
                os.replace(new, path)
            else:
                _put_in_place(new, path)
            flush_names(path.parent)


def write_whole(path: Path | str, text: str, encoding: str = "utf-8", errors: str = "strict") -> None:
    """Write a text file, whole or not at all, over what is there; the rest is as in `atomic_path`."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding=encoding, errors=errors)


@contextmanager
def atomic_folder(path: Path | str, overwrite: bool = False, marker: str | None = None) -> Iterator[Path]:
    """Yield a new temporary folder that becomes `path` on success and vanishes on failure.

    `overwrite` and `marker` are those of `refuse_existing`, which is asked at the start and at the end: what
    appears at `path` meanwhile and may not be replaced stays, and the result is kept beside it.
    Raises UserError as that does, when the disk is full, and when another command is at work on `path`.
    """
    path = Path(path)
    safe_moment()
    refuse_existing(path, overwrite, marker)
    with named_disk_errors(path, own=place_of(path)), workplace(path) as place:
        refuse_existing(path, overwrite, marker)  # once more: another command may have been at work
        new = place / NEW / path.name
        new.mkdir()
        yield new
        safe_moment()
        flush(new)
        with uninterrupted():
            if overwrite and os.path.lexists(path):
                _replace_folder(new, path, place, marker)
            else:
                _put_in_place(new, path)
            flush_names(path.parent)
            note_finished(str(path))


@contextmanager
def _plain_file(path: Path) -> Iterator[None]:
    try:
        with named_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _put_in_place(new: Path, path: Path) -> None:
    try:
        rename_without_replacing(new, path)
    except FileExistsError:
        _keep_beside(new, path)


def _replace_folder(new: Path, path: Path, place: Path, marker: str | None) -> None:
    """The folder at `path` gives way in one step, or where the system has none, is moved aside first."""
    try:
        refuse_existing(path, overwrite=True, marker=marker)
    except UserError:
        _keep_beside(new, path)
    if exchange(new, path):
        return
    aside = place / OLD / path.name
    aside.parent.mkdir()
    with suppress(FileNotFoundError):
        os.rename(path, aside)
    try:
        rename_without_replacing(new, path)
    except FileExistsError:  # something took the place at that very moment
        rename_beside(aside, path)
        _keep_beside(new, path)


def _keep_beside(new: Path, path: Path) -> None:
    kept = rename_beside(new, path)
    raise UserError(
        f"{path} appeared while the command was at work and stays as it is; the result is kept in {kept}."
    )
