"""One function over many items in several processes, in order, with a progress bar."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from sedistill.common.devices import usable_cores
from sedistill.common.errors import UserError
from sedistill.common.interpreters import importing_safely
from sedistill.common.interruption import children_begin, left_to_parent, safe_moment, uninterrupted
from sedistill.common.progress import ProgressBar, track

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTH_A_POOL = 64  # below this many items, starting processes costs more than it saves
HEARD_WITHIN_SECONDS = 0.5


def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None,
    description: str,
    unit: str,
) -> list[Result]:
    """`[function(item) for item in items]`; `workers` None is one a core. An error ends it at once."""
    workers = workers or usable_cores()
    if workers == 1 or len(items) < WORTH_A_POOL:
        return [function(item) for item in track(items, description=description, unit=unit)]
    others = set(multiprocessing.active_children())
    try:
        pool = ProcessPoolExecutor(workers, initializer=left_to_parent)
    except (OSError, ImportError, NotImplementedError) as error:  # no semaphores, as without /dev/shm
        print(
            f"note: no processes can be started beside this one ({error}); {description} goes on in it alone."
        )
        return [function(item) for item in track(items, description=description, unit=unit)]
    try:
        # Everything is submitted, and so every process forked, before the bar starts its thread.
        with importing_safely(), children_begin():
            futures = [pool.submit(_several, function, part) for part in _parts(items, workers)]
        return _gather(futures, len(items), description, unit)
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


def _parts(items: Sequence[Item], workers: int) -> list[Sequence[Item]]:
    size = max(1, min(32, len(items) // (4 * workers)))
    return [items[first : first + size] for first in range(0, len(items), size)]


def _several(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]


def _gather(futures: list[Future[list[Result]]], total: int, description: str, unit: str) -> list[Result]:
    results: list[Result] = []
    with ProgressBar(description, total, unit) as bar:
        for future in futures:
            while not wait([future], timeout=HEARD_WITHIN_SECONDS).done:
                safe_moment()
            results += future.result()
            bar.advance(len(results) - bar.done)
    return results
