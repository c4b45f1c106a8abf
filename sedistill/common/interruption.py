"""Ctrl-C, a plain kill (SIGTERM) and a closed terminal (SIGHUP) end every command in one way.

Each raises KeyboardInterrupt in the main thread, so that what is half done is removed on the way out. Where
that would do harm (a rename, an import, a training step) it waits for the next safe moment. Code that cannot
raise, such as a callback from C, may swallow it; it is then raised at the next safe moment too: none is
unheard. Child processes leave signals to their parent, which may send one to all of them, and end with it.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
TOGETHER_SECONDS = 1.0
"""A signal so soon after the first is the same wish: `timeout` and job managers send theirs twice."""

_PARENT_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


class _State:
    """Of the process; only its main thread changes it."""

    listening = False
    came: int | None = None
    """The first signal that came since listening began."""
    when = 0.0
    """By the monotonic clock."""
    waits = False
    """Whether the first is only noted: the work itself asks for it."""
    finished: str | None = None
    """The last output that came into place meanwhile."""
    shields = 0
    """How many pieces of work are under way that no signal may interrupt."""


@contextmanager
def heard() -> Iterator[None]:
    """Signals raise KeyboardInterrupt in here. Nested, or outside the main thread, it changes nothing.

    A hang-up that was to be ignored (nohup) stays so. Ctrl-C does not: shells let the background jobs of a
    script begin with it ignored, and nobody means a command that cannot be interrupted.
    """
    if _State.listening or not _in_main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = {n: old for n, old in before.items() if n == signal.SIGINT or old != signal.SIG_IGN}
    _State.listening, _State.came, _State.finished = True, None, None
    for number in taken:
        signal.signal(number, _handle)
    try:
        yield
    finally:
        for number, old in taken.items():
            if signal.getsignal(number) is _handle:
                signal.signal(number, signal.SIG_DFL if old is None else old)
        _State.listening, _State.came = False, None


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """The first signal in here is only noted, a second one raises. Gives a function: did one come?"""
    with heard():
        outer, _State.waits = _State.waits, True
        try:
            yield lambda: _State.came is not None
        finally:
            _State.waits = outer


@contextmanager
def uninterrupted() -> Iterator[None]:
    """No signal interrupts this short piece of work; one that comes is raised at the next safe moment."""
    if not _in_main_thread():
        yield
        return
    _State.shields += 1
    try:
        yield
    finally:
        _State.shields -= 1


def safe_moment() -> None:
    """Raise what came when it could not be raised, or was swallowed. Long work calls this as it goes."""
    if _State.came is None or _State.waits or _State.shields or not _in_main_thread():
        return
    if not isinstance(sys.exc_info()[1], KeyboardInterrupt):  # else it is on its way already
        raise KeyboardInterrupt


def came() -> int | None:
    """The number of the first signal that came, if any did."""
    return _State.came


def note_finished(output: str) -> None:
    """Whoever writes an output says when it is in place."""
    _State.finished = output


def finished() -> str | None:
    """The last output that came into place since listening began, if any did."""
    return _State.finished


def _handle(number: int, frame: FrameType | None) -> None:
    first = _State.came is None
    if first:
        _State.came, _State.when = number, time.monotonic()
    elif time.monotonic() - _State.when < TOGETHER_SECONDS:
        return
    if _State.shields or (first and (_State.waits or _in_delicate_code(frame))):
        return
    raise KeyboardInterrupt


def _in_delicate_code(frame: FrameType | None) -> bool:
    """Whether an import is under way, which C code may turn into another error, or a finalizer."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def children_begin() -> Iterator[None]:
    """Processes forked in here get no signal before `left_to_parent` has told them what to do with it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def left_to_parent(*_: Any) -> None:
    """In a child process: signals are the parent's to answer, who kills it, and it ends with the parent.

    A child that fell to a signal sent to the whole group would look like one that the system has killed.
    """
    import multiprocessing  # as whoever made this process has

    ignore_signals()
    parent = multiprocessing.parent_process()
    if parent is not None:
        direct = multiprocessing.get_start_method() != "forkserver"
        if end := end_with_parent(signal.SIGKILL, (parent.pid if direct else None) or os.getppid()):
            end()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def ignore_signals() -> None:
    """For a process that ends when its work or its input does."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def end_with_parent(number: int, parent: int) -> Callable[[], None] | None:
    """For a new process to call: it gets this signal where its parent is killed outright. Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    set_option = ctypes.CDLL(None).prctl

    def ask() -> None:
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)  # the parent's way of hearing it would lose it here
        set_option(_PARENT_DEATH_SIGNAL, number)
        if os.getppid() != parent:  # which went before it was asked
            os.kill(os.getpid(), number)

    return ask
