"""One function over many items in several processes, in order."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from sedistill.common.devices import usable_cores
from sedistill.common.errors import UserError
from sedistill.common.interpreters import importing_safely
from sedistill.common.interruption import children_begin, left_to_parent, safe_moment, uninterrupted
from sedistill.common.progress import ProgressBar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTH_A_POOL = 64  # below this many items, starting processes costs more than it saves
HEARD_WITHIN_SECONDS = 0.5
_MOST_AT_ONCE = 32  # items that a process is given
_AHEAD = 16  # times what a process is given at once, of what is given out before it is asked for


def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None,
    description: str,
    unit: str,
) -> list[Result]:
    """`[function(item) for item in items]`, with a progress bar; the rest is as in `in_parallel`."""
    results: list[Result] = []
    with (
        in_parallel(function, items, len(items), workers, description) as found,
        ProgressBar(description, len(items), unit) as bar,
    ):
        for result in found:
            results.append(result)
            bar.advance()
    return results


@contextmanager
def in_parallel(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    total: int,
    workers: int | None,
    description: str,
    weight: Callable[[Item], float] = lambda _: 0.0,
) -> Iterator[Iterator[Result]]:
    """An iterator over `function` of each item, in order; an error ends all at once.

    Items are taken some hundreds ahead and results are not kept, so that there may be millions.

    Args:
        total: how many items there are.
        workers: processes; None is one a core.
        description: for messages.
        weight: of an item; a process is given items of 1 together at once, or some tens.
    """
    workers = workers or usable_cores()
    pool = None if workers == 1 or total < WORTH_A_POOL else _pool(workers, description)
    if pool is None:
        yield map(function, items)
        return
    others = set(multiprocessing.active_children())
    parts = _parts(items, max(1, min(_MOST_AT_ONCE, total // (4 * workers))), weight)
    jobs = (pool.submit(_several, function, part) for part in parts)
    try:
        # So many are submitted, and so every process forked, before a bar starts its thread.
        with importing_safely(), children_begin():
            ahead = deque(islice(jobs, _AHEAD * workers))
        yield _gathered(ahead, jobs)
    except BaseException as error:  # Ctrl-C too: the pool alone would wait for what is under way, and more
        with uninterrupted():
            for process in set(multiprocessing.active_children()) - others:
                process.kill()
        if isinstance(error, BrokenProcessPool):
            raise UserError(
                f"{description}: one of {workers} processes was ended from outside, as the system does when "
                "memory runs out; free some memory or let fewer work at a time (--workers 1)."
            ) from None
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(workers: int, description: str) -> ProcessPoolExecutor | None:
    try:
        return ProcessPoolExecutor(workers, initializer=left_to_parent)
    except (OSError, ImportError, NotImplementedError) as error:  # no semaphores, as without /dev/shm
        print(
            f"note: no processes can be started beside this one ({error}); {description} goes on in it alone."
        )
        return None


def _parts(items: Iterable[Item], most: int, weight: Callable[[Item], float]) -> Iterator[list[Item]]:
    part: list[Item] = []
    weighs = 0.0
    for item in items:
        part.append(item)
        weighs += weight(item)
        if len(part) == most or weighs >= 1:
            yield part
            part, weighs = [], 0.0
    if part:
        yield part


def _several(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]


def _gathered(ahead: deque[Future[list[Result]]], jobs: Iterator[Future[list[Result]]]) -> Iterator[Result]:
    while ahead:
        while not wait([ahead[0]], timeout=HEARD_WITHIN_SECONDS).done:
            safe_moment()
        yield from ahead.popleft().result()
        ahead.extend(islice(jobs, 1))
