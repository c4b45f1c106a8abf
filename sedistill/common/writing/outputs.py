"""Where a command may write: said at its start, in one sentence, before anything is made."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from sedistill.common.errors import UserError
from sedistill.common.writing.disk_errors import named_disk_errors


def refuse_existing(path: Path, overwrite: bool = False, marker: str | None = None) -> None:
    """Raise UserError when something (other than an empty folder) is at `path`, or nothing can be made there.

    With `overwrite` it may be replaced, but a folder only if it holds `marker` (a glob pattern, such as a
    file that its kind always has): nobody's recordings vanish because an output was mistyped. With a
    `marker`, a folder is to be made, and no file gives way to it. Links are never replaced.
    """
    with named_disk_errors(path):
        refuse_impossible(path)
        _refuse_irreplaceable(path)
        if not path.exists() or is_empty_folder(path):
            return
        if marker is not None and not path.is_dir():
            raise UserError(f"{path} is a file, and a folder is to be written; choose another place.")
        if not overwrite:
            raise UserError(f"{path} exists already; choose another place or say --overwrite to replace it.")
        if marker is not None and not any(path.glob(marker)):
            raise UserError(
                f"{path} is not an earlier output of this kind (it has no {marker}), so it is not replaced; "
                "choose another place."
            )


def refuse_impossible(path: Path) -> None:
    """Raise UserError where no file or folder can be put: streams, devices, links, places without a right."""
    if str(path) == "-" or _is_stream(path):
        raise UserError(
            f"{path}: results are files and folders and do not go to a stream; name one, such as result."
        )
    if path.is_symlink():
        raise UserError(
            f"{path} is a link to {os.readlink(path)}, which is not written through; name that place itself, "
            "or another."
        )
    if path.exists() and not path.is_dir() and not path.is_file():
        raise UserError(f"{path} is a device, pipe or socket, not a file or folder; choose another place.")
    _refuse_without_right(path)


def refuse_foreign_folder(path: Path, *markers: str) -> None:
    """Raise UserError unless `path`, which is written into, is new, empty, or holds one of `markers`."""
    with named_disk_errors(path):
        refuse_impossible(path)
        if path.exists() and not path.is_dir():
            raise UserError(f"{path} is a file, and a folder is to be written; choose another place.")
        others = path.exists() and any(not one.name.startswith(".") for one in path.iterdir())
        if others and not any((path / marker).exists() for marker in markers):
            raise UserError(
                f"{path} holds something else (it has no {' or '.join(markers)}); choose another place with "
                "--output."
            )


def refuse_inside(output: Path, inputs: Iterable[Path], replaced: bool = True) -> None:
    """Raise UserError where `output` is one of the folders that are read, lies in one, or holds one.

    replaced: whether it is made anew; one that is only written into may hold what is read.
    """
    written = output.resolve()
    for place in inputs:
        read = place.resolve()
        if written == read or read in written.parents or (replaced and written in read.parents):
            raise UserError(
                f"the output {output} and the input {place} lie one in the other; choose another place."
            )


def is_empty_folder(path: Path) -> bool:
    """Whether `path` is a folder with nothing in it, which may be written into."""
    return path.is_dir() and not any(path.iterdir())


def _refuse_irreplaceable(path: Path) -> None:
    """What may be written into, but not be replaced by a new folder."""
    if _holds_current_folder(path):
        raise UserError(f"{path} is, or holds, the current folder; name a new folder in it, such as result.")
    if path.is_dir() and os.path.ismount(path):
        raise UserError(
            f"{path} is a mount point, which cannot be replaced; name a folder inside of it, such as "
            f"{path / 'result'}."
        )


def _holds_current_folder(path: Path) -> bool:
    here, place = Path.cwd(), path.resolve()
    return place == here or place in here.parents


def _is_stream(path: Path) -> bool:
    """Whether `path` names standard output or the like, whatever that is connected with."""
    above = Path(os.path.realpath(path.absolute().parent))
    return above in (Path("/dev"), Path("/dev/fd")) or (above.parts[1:2] == ("proc",) and above.name == "fd")


def _refuse_without_right(path: Path) -> None:
    """Look at the nearest folder above that exists, in which something is to be made."""
    above = path.absolute().parent
    while not os.path.lexists(above):
        above = above.parent
    if not stat.S_ISDIR(os.stat(above).st_mode):
        raise UserError(f"cannot write {path}: {above} is a file, not a folder; choose another place.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UserError(
            f"cannot write {path}: there is no permission to write in {above} (or its disk is read-only); "
            "choose another place."
        )
