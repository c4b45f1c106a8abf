"""What the operating system refuses, in words that say what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sedistill.common.errors import UserError

_FULL = "free some space and run the same command again"
_REASONS = {
    "ENOSPC": f"the disk is full; {_FULL}",
    "EDQUOT": f"the disk quota is used up; {_FULL}",
    "EFBIG": "it is larger than the file system there, or ulimit, lets a file become; choose another place",
    "EACCES": "there is no permission; choose another place or have it given",
    "EPERM": "the file system or a mark on the file forbids it; choose another place",
    "EROFS": "the file system is read-only; choose another place",
    "ENOTDIR": "part of the path is a file, not a folder; choose another place",
    "EISDIR": "it is a folder, not a file; choose another name",
    "ENOENT": "part of the path does not exist, or was removed meanwhile; make it and run the command again",
    "EEXIST": "something is there already; choose another place",
    "ENOTEMPTY": "the folder there is not empty; choose another place",
    "ENAMETOOLONG": "the name is longer than the file system takes; choose a shorter one",
    "ELOOP": "its links lead back to themselves; mend the link or choose another place",
    "EINVAL": "the file system takes no such name; choose another",
    "EILSEQ": "the file system takes no such name; choose another",
    "EBUSY": "it is in use or a mount point; choose another place, such as a folder inside of it",
    "EXDEV": "it is a mount point of another disk; choose another place, such as a folder inside of it",
    "EIO": "the disk or its connection failed (input/output error); check it, or choose another",
    "ESTALE": "the network drive lost it; run the same command again",
    "ETIMEDOUT": "the network drive did not answer; run the same command again",
    "ENODEV": "the device is gone or cannot do that; choose another place",
    "ENXIO": "the device is gone or cannot do that; choose another place",
    "ENOTSUP": "the file system cannot do that; choose another place",
    "EMFILE": "too many files are open; raise the limit (`ulimit -n 4096`) or take fewer workers",
    "ENFILE": "too many files are open on this machine; run the same command again later",
    "ENOMEM": "memory is used up; take fewer workers or free some",
    "ETXTBSY": "a program there is running; choose another place",
    "ENOLCK": "the file system has no locks left; choose another place",
}  # fmt: skip
_BY_NUMBER = {getattr(errno, name): reason for name, reason in _REASONS.items() if hasattr(errno, name)}


def reason_in_words(error: OSError) -> str:
    """Why, and what to do; without a full stop."""
    known = _BY_NUMBER.get(error.errno or 0)
    return known or f"the system says: {error.strerror or error}"


@contextmanager
def named_disk_errors(path: Path, own: Path | None = None) -> Iterator[None]:
    """Turn the system's refusals to write into a sentence that names `path`.

    An error that names another file than `path`, what lies in it or in `own` (a temporary place for it)
    comes from what is read meanwhile and goes through as it is.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError) or not _is_about(error, path, own):
            raise
        raise UserError(f"cannot write {path}: {reason_in_words(error)}.") from error


def _is_about(error: OSError, path: Path, own: Path | None) -> bool:
    if error.errno is None:  # one raised by a program, not by the system
        return False
    named = [name for name in (error.filename, error.filename2) if isinstance(name, str | bytes | Path)]
    if not named:
        return True  # writing to an open file names none; what reads audio has errors of its own
    whole = path.absolute()
    mine = [whole, *([own.absolute()] if own else [])]
    for name in named:
        place = Path(name.decode(errors="surrogateescape") if isinstance(name, bytes) else name).absolute()
        if place in whole.parents or any(place.is_relative_to(one) for one in mine):
            return True
    return False
