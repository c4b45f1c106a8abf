"""Standard streams that may be closed, or be closed by their reader: a command works on without them."""

import errno
import os
import sys
from contextlib import suppress
from typing import Any, TextIO


def prepare_streams() -> None:
    """Make standard input, output and error usable, whatever the command was started with.

    Where one is closed, nothing is read or shown; its number must not become that of a file that is written.
    What a terminal or pipe cannot show is escaped.
    """
    for number in range(3):
        _fill(number)
    standard: dict[str, Any] = {"stdout": sys.__stdout__, "stderr": sys.__stderr__}
    for name in standard:
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for good
        elif stream is standard[name] and not isinstance(stream, StreamThatMayBreak):
            with suppress(AttributeError, OSError, ValueError):
                stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, StreamThatMayBreak(stream))


def _fill(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)


class StreamThatMayBreak:
    """A text stream whose reader may go away (`| head`, a closed terminal): the rest is then dropped."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.broken = stream, False

    def write(self, text: str) -> int:
        self._try(self.stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._try(self.stream.flush)

    def writelines(self, lines: Any) -> None:
        self.write("".join(lines))

    def _try(self, action: Any, *arguments: Any) -> None:
        if self.broken:
            return
        try:
            action(*arguments)
        except OSError as error:
            if not _reader_is_gone(error):
                raise
            self.broken = True
            # What is still in the buffer must not fail again when the interpreter ends.
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _reader_is_gone(error: OSError) -> bool:
    return error.errno in (errno.EPIPE, errno.EIO, errno.EBADF, errno.ECONNRESET)
