"""Processes beside this one, such as trainings, that hear of Ctrl-C through it alone and end with it."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sedistill.common.interruption import end_with_parent, uninterrupted

PATIENCE_SECONDS = 30.0
"""How long they may take to end, with a checkpoint, once they are told to or one of them has failed."""


def begin(command: Sequence[str], orphaned: int = signal.SIGTERM, **how: Any) -> "subprocess.Popen[Any]":
    """A process without input. orphaned: the signal it gets where this one is killed; how: as of Popen."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # a signal to the terminal's processes reaches it through here only, and once
        preexec_fn=end_with_parent(orphaned, os.getpid()),
        **how,
    )


def end(processes: "Sequence[subprocess.Popen[Any]]", number: int | None = None) -> None:
    """Send all this signal, if any, and wait for them; those that take too long, or at a second Ctrl-C all,
    are killed.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        for process in processes:
            if number is not None:
                process.send_signal(number)
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
    finally:
        with uninterrupted():
            for process in processes:
                process.kill()
                process.wait()
