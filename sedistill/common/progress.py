"""One look for everything that takes long: what, how far, how fast, how long still."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

from sedistill.common.interruption import safe_moment

T = TypeVar("T")

PLAIN_LINE_EVERY_SECONDS = 10.0


def track(
    iterable: Iterable[T], total: int | None = None, description: str = "", unit: str = "items"
) -> Iterator[T]:
    """Yield from `iterable` while showing a bar with rate and time left.

    On a terminal this is a live bar; elsewhere a plain line every ten seconds, so that logs stay readable.
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    with ProgressBar(description, total, unit) as bar:
        for item in iterable:
            yield item
            bar.advance()


class ProgressBar:
    """The bar behind `track`, for loops that are not over an iterable. Use as a context manager.

    `done` items of an earlier, interrupted attempt count as progress but not for the rate. `left` gives the
    text on the time that is left, where that hangs on more than the rate.
    """

    def __init__(
        self, description: str, total: int | None, unit: str = "items", done: int = 0,
        left: Callable[[], str] | None = None,
    ) -> None:  # fmt: skip
        self.description, self.total, self.unit = description, total, unit
        self.left_text = left or self._left_by_rate
        self.done = self.done_before = done
        self.live = sys.stderr.isatty()

    def __enter__(self) -> "ProgressBar":
        safe_moment()
        self.started = self.last_line = time.monotonic()
        if self.live:
            self._start_live_bar()
        return self

    def __exit__(self, exception_type: type[BaseException] | None, *_: object) -> None:
        if self.live:
            self.bar.stop()
        elif exception_type is None and self.done > self.done_before:
            self._print_line()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count `count` more items as done; `note` is a short text such as the current loss."""
        safe_moment()
        self.done += count
        if self.live:
            rate, left = self._rate_text(), self.left_text()
            self.bar.update(self.task, completed=self.done, rate=rate, left=left, note=note)
        elif time.monotonic() - self.last_line > PLAIN_LINE_EVERY_SECONDS:
            self._print_line(note)

    def _start_live_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self.bar.start()
        self.task = self.bar.add_task(self.description, total=self.total, rate="", left="", note="")

    def _rate(self) -> float:
        return (self.done - self.done_before) / max(time.monotonic() - self.started, 1e-9)

    def _rate_text(self) -> str:
        return f"{self._rate():.1f} {self.unit}/s"

    def _left_by_rate(self) -> str:
        if not self.total:
            return ""
        return f"{duration_text((self.total - self.done) / max(self._rate(), 1e-9))} left"

    def _print_line(self, note: str = "") -> None:
        self.last_line = time.monotonic()
        of_total = f"/{self.total}" if self.total else ""
        parts = (
            f"{self.description}: {self.done}{of_total} {self.unit}",
            self._rate_text(),
            self.left_text(),
        )
        print(f"{', '.join(filter(None, parts))} {note}".rstrip(), file=sys.stderr, flush=True)


def duration_text(seconds: float) -> str:
    """40 s, 12 min or 3.4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
