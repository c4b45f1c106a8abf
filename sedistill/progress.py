"""One look for everything that takes long: what, how far, how fast, how long still."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from sedistill.interruption import safe_moment

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

    `done` items of an earlier, interrupted attempt count as progress but not for the rate.
    """

    def __init__(self, description: str, total: int | None, unit: str = "items", done: int = 0) -> None:
        self.description, self.total, self.unit = description, total, unit
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
            self.bar.update(self.task, completed=self.done, rate=self._rate_text(), note=note)
        elif time.monotonic() - self.last_line > PLAIN_LINE_EVERY_SECONDS:
            self._print_line(note)

    def _start_live_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self.bar.start()
        self.task = self.bar.add_task(self.description, total=self.total, rate="", note="")

    def _rate(self) -> float:
        return (self.done - self.done_before) / max(time.monotonic() - self.started, 1e-9)

    def _rate_text(self) -> str:
        return f"{self._rate():.1f} {self.unit}/s"

    def _print_line(self, note: str = "") -> None:
        self.last_line = time.monotonic()
        of_total, left = "", ""
        if self.total:
            of_total = f"/{self.total}"
            left = f", {(self.total - self.done) / max(self._rate(), 1e-9):.0f} s left"
        text = f"{self.description}: {self.done}{of_total} {self.unit}, {self._rate_text()}{left} {note}"
        print(text.rstrip(), file=sys.stderr, flush=True)
