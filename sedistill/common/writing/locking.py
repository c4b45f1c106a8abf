"""One command at a time where two would write over each other.

The operating system holds a lock for the process that took it and lets go when that ends, however it ends.
What is locked is a file. Where the file system has no locks, two commands are not kept apart.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sedistill.common.errors import UserError
from sedistill.common.writing.disk_errors import named_disk_errors

PATIENCE_SECONDS = 0.5
"""Who only looks whether a lock is free holds it for a moment; a command at work holds it longer."""


class Lock:
    """A file that this process holds locked."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def let_go(self) -> None:
        os.close(self.descriptor)


def take(path: Path, patience: float = 0.0) -> Lock | None:
    """Lock `path`, which is made if need be; None when somebody else holds it.

    Raises OSError where the file cannot be made, FileNotFoundError when its folder is not there.
    """
    deadline = time.monotonic() + patience
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        if not _locked(descriptor):
            os.close(descriptor)
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.02)
        elif _is_still(path, descriptor):
            return Lock(descriptor)
        else:
            os.close(descriptor)  # whoever held it has removed the file meanwhile


@contextmanager
def exclusive_lock(lock: Path, command: str) -> Iterator[None]:
    """No other process that asks for the same `lock` is in here meanwhile.

    lock: a hidden file in the folder to be worked in, which is made if need be; it stays and means nothing.
    command: what takes this lock, for the sentence.

    Raises UserError, at once, when somebody holds it.
    """
    folder = lock.parent
    with named_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        held = take(lock)
    if held is None:
        raise UserError(
            f"another `{command}` is at work in {folder}; wait for it or choose another place with --output."
        )
    try:
        yield
    finally:
        held.let_go()


def refuse_if_taken(lock: Path, command: str) -> None:
    """Raise UserError when somebody holds the lock; makes nothing."""
    if lock.exists():
        with exclusive_lock(lock, command):
            pass


if sys.platform == "win32":
    import msvcrt

    def _locked(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _locked(descriptor: int) -> bool:
        """Whether the lock is ours now; where the file system has no locks, as if it were."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            pass
        return True


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
