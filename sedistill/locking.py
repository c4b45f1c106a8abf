"""One command at a time where two would write over each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sedistill.errors import UserError
from sedistill.writing import named_disk_errors


@contextmanager
def alone(lock: Path, command: str) -> Iterator[None]:
    """No other process that asks for the same `lock` is in here meanwhile.

    lock: a hidden file in the folder to be worked in, which is made if need be. The operating system holds
    it for the process and lets go when that ends, however it ends; the file itself stays and means nothing.
    command: what takes this lock, for the sentence.

    Raises UserError, at once, when somebody holds it.
    """
    from filelock import FileLock, Timeout

    folder = lock.parent
    with named_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        held = FileLock(lock)
        try:
            held.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"another `{command}` is at work in {folder}; wait for it or choose another place with "
                "--output."
            ) from None
    try:
        yield
    finally:
        held.release()


def refuse_if_taken(lock: Path, command: str) -> None:
    """Raise UserError when somebody holds the lock; makes nothing."""
    if lock.exists():
        with alone(lock, command):
            pass
