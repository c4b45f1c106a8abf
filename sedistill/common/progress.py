"""One look for everything that takes long: what, how far, how fast, how long still."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, TypeVar

from sedistill.common.interruption import safe_moment

T = TypeVar("T")

PLAIN_LINE_EVERY_SECONDS = 10.0
LIVE_EVERY_SECONDS = 0.1


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
    text on the time that is left, where that hangs on more than the rate, and `amount` those on how much is
    done and how fast, where `unit` is nothing for people.
    """

    def __init__(
        self, description: str, total: int | None, unit: str = "items", done: int = 0,
        left: Callable[[], str] | None = None, amount: Callable[[], tuple[str, str]] | None = None,
    ) -> None:  # fmt: skip
        self.description, self.total, self.unit = description, total, unit
        self.left_text, self.amount_texts = left or self.left_by_rate, amount or self._amount_by_unit
        self.done = self.done_before = done
        self.live, self.note = sys.stderr.isatty(), ""

    def __enter__(self) -> "ProgressBar":
        safe_moment()
        self.started = self.last_line = time.monotonic()
        if self.live:
            self._start_live_bar()
        return self

    def __exit__(self, exception_type: type[BaseException] | None, *_: object) -> None:
        if self.live:
            self._show()
            self.bar.stop()
        elif exception_type is None and self.done > self.done_before:
            self.note = ""
            self._print_line()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count `count` more items as done; `note` is a short text such as the current loss."""
        safe_moment()
        self.done += count
        self.note = note
        if time.monotonic() - self.last_line > (
            LIVE_EVERY_SECONDS if self.live else PLAIN_LINE_EVERY_SECONDS
        ):
            self._show()

    def seconds(self) -> float:
        """Since it began."""
        return max(time.monotonic() - self.started, 1e-9)

    def _show(self) -> None:
        if not self.live:
            self._print_line()
            return
        self.last_line = time.monotonic()
        amount, rate = self.amount_texts()
        texts: dict[str, Any] = {"amount": amount, "rate": rate, "left": self.left_text(), "note": self.note}
        self.bar.update(self.task, completed=self.done, **texts)

    def _start_live_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[amount]}"),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self.bar.start()
        texts: dict[str, Any] = dict.fromkeys(("amount", "rate", "left", "note"), "")
        self.task = self.bar.add_task(self.description, total=self.total, **texts)

    def _rate(self) -> float:
        return (self.done - self.done_before) / self.seconds()

    def _amount_by_unit(self) -> tuple[str, str]:
        of_total = f"/{self.total}" if self.total else ""
        return f"{self.done}{of_total} {self.unit}", f"{self._rate():.1f} {self.unit}/s"

    def left_by_rate(self) -> str:
        """The time that is left if all goes on as it did; nothing before anything is done."""
        if not self.total or self.done == self.done_before:
            return ""
        return f"{duration_text((self.total - self.done) / self._rate())} left"

    def _print_line(self) -> None:
        self.last_line = time.monotonic()
        texts = ", ".join(filter(None, (*self.amount_texts(), self.left_text())))
        print(f"{self.description}: {texts} {self.note}".rstrip(), file=sys.stderr, flush=True)


def duration_text(seconds: float) -> str:
    """40 s, 12 min or 3.4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
