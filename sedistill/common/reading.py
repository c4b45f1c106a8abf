"""What lies at a path, before it is opened: never waited for, and said in words when it is no plain file.

Names of files are bytes. Python gives those that are no UTF-8 as text with lone surrogates, which no strict
encoding writes. So text that holds names is written and read with `NAMES`, and printed through `shown`.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from sedistill.common.errors import UserError


class _TextWithNames(TypedDict):
    encoding: str
    errors: str


NAMES = _TextWithNames(encoding="utf-8", errors="surrogateescape")
"""For `open` and `read_text` of files that hold names of files: what is read is what was written."""

TO_BE_READ = _TextWithNames(encoding="utf-8", errors="backslashreplace")
"""For `write_text` of pages and summaries, which people read: \\udce9 stands for what is no UTF-8."""

_KINDS = {
    stat.S_IFDIR: "is a folder, not a file",
    stat.S_IFIFO: "is a named pipe (FIFO), not a file",
    stat.S_IFSOCK: "is a socket, not a file",
    stat.S_IFCHR: "is a device, not a file",
    stat.S_IFBLK: "is a device, not a file",
}
_REASONS = {
    errno.ENOENT: "does not exist",
    errno.ENOTDIR: "does not exist (part of its path is a file)",
    errno.EACCES: "may not be read (no permission)",
    errno.EPERM: "may not be read (no permission)",
    errno.ELOOP: "is a link that leads back to itself",
    errno.ENAMETOOLONG: "has a longer name than the file system allows",
    errno.EIO: "cannot be read (the disk reports an error)",
    errno.ESTALE: "cannot be read (the network file system lost it)",
}


def shown(path: Path | str) -> str:
    """A name as it may be printed in a line: what no console shows is written as \\n, \\r, \\xe9, ..."""
    return printable(str(path), keep="")


def printable(text: str, keep: str = "\n\t") -> str:
    """`text` without anything that moves a cursor or that no encoding writes; what is in `keep` stays."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # a byte of a name that is no UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


def is_utf8(name: Path | str) -> bool:
    """Whether the bytes of a name are UTF-8, as some libraries want of every name."""
    return not any("\ud800" <= char <= "\udfff" for char in str(name))


def require_utf8(name: Path | str, where: str) -> None:
    """Raise UserError for what cannot stand in `where`, a text file."""
    if not is_utf8(name):
        raise UserError(f"{shown(name)} is no name in UTF-8 and cannot stand in {where}; rename it.")


def why_no_file(path: Path | str) -> str:
    """What keeps `path` from being read as a file, such as "does not exist"; "" if nothing does.

    Links are followed. Nothing is opened, so nothing waits for a pipe or a device.
    """
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except ValueError:
        return "is no name of a file (it holds a zero byte)"
    except OSError as error:
        if error.errno == errno.ENOENT and os.path.islink(path):
            return f"is a broken link (to {shown(os.readlink(path))})"
        return why_unreadable(error)
    if kind != stat.S_IFREG:
        return _KINDS.get(kind, "is not a file")
    return "" if os.access(path, os.R_OK) else _REASONS[errno.EACCES]


def is_plain_file(path: Path | str) -> bool:
    """Whether a file lies at `path`, and nothing that would be waited for, as a pipe."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def is_taken(path: Path | str) -> bool:
    """Whether anything lies at `path`, a broken link or one to itself among it: it is there to be read.

    Who asks `exists()` instead takes such a link for nothing, and goes on without what it should hold.
    """
    return os.path.lexists(path)


def why_no_folder(path: Path | str) -> str:
    """What keeps `path` from being looked through as a folder; "" if nothing."""
    fault = why_no_file(path)
    if fault == "" or (fault == _REASONS[errno.EACCES] and os.path.isfile(path)):
        return "is a file, not a folder"
    if fault != _KINDS[stat.S_IFDIR]:
        return fault.removesuffix("not a file") + "not a folder" if fault.endswith("not a file") else fault
    return "" if os.access(path, os.R_OK | os.X_OK) else _REASONS[errno.EACCES]


def why_unreadable(error: OSError) -> str:
    """The operating system's reason in words that follow a name."""
    return _REASONS.get(error.errno or 0, f"cannot be read ({(error.strerror or str(error)).lower()})")


def require_file(path: Path | str, remedy: str) -> Path:
    """`path`, when it is a file that may be read. Raises UserError: what it is instead, and the remedy."""
    if fault := why_no_file(path):
        raise UserError(f"{shown(path)} {fault}{ending(remedy)}")
    return Path(path)


def require_folder(path: Path | str, remedy: str) -> Path:
    """`path`, when it is a folder that may be looked through. Raises UserError as `require_file` does."""
    if fault := why_no_folder(path):
        raise UserError(f"{shown(path)} {fault}; {remedy}.")
    return Path(path)


@contextmanager
def named_reading_errors(path: Path | str) -> Iterator[None]:
    """Turn the operating system's errors while `path` is read into a sentence that names it."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{shown(path)} {why_unreadable(error)}.") from error


def read_text(path: Path | str, remedy: str, largest: int) -> str:
    """The text of a file in UTF-8, of so many bytes at most.

    Raises UserError, ending with `remedy`, for what is no such file.
    """
    path = require_file(path, remedy)
    with named_reading_errors(path):
        size = path.stat().st_size
        if size > largest:
            raise UserError(
                f"{shown(path)} has {size:,} bytes, more than the {largest:,} of such a file{ending(remedy)}"
            )
        content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{shown(path)} is not a text file in UTF-8{ending(remedy)}") from None
    if "\0" in text:
        raise UserError(f"{shown(path)} is not a text file (it holds NUL bytes){ending(remedy)}")
    return text


def ending(remedy: str) -> str:
    """How a sentence with a remedy, or without one, ends."""
    return f"; {remedy}." if remedy else "."
