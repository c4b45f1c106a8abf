"""What may lie where a file is expected, and a limit on the time that anything waits for it."""

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any


def _socket_at(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # a socket's path may be no longer than 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(before)


STRANGE: dict[str, Callable[[Path], None]] = {
    "fifo": os.mkfifo,
    "socket": _socket_at,
    "device": lambda path: path.symlink_to("/dev/zero"),  # has no end
    "folder": Path.mkdir,
    "broken link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
}


def put(kind: str, path: Path) -> None:
    """Something strange in the place of what is at `path`."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
    STRANGE[kind](path)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raises TimeoutError after so long, also while a pipe is waited for."""

    def ring(number: int, frame: FrameType | None) -> Any:
        raise TimeoutError(f"it waited for {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
