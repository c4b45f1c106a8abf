"""What a teacher says of many clips, computed in rounds by processes that train together, or by one alone.

The first of them decides what is computed, and writes; the others wait to be asked.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedistill.common import ranks

Rows = NDArray[np.float32]
MakeRows = Callable[[Sequence[int], int], Iterator[Rows]]
"""Clips by their numbers, and how many together -> what is kept of them, so many at a time, in this order."""


def rows_of_all(name: str, make: MakeRows, numbers: range, size: int) -> Iterator[Rows]:
    """`make(numbers, size)`, with the help of the other processes; called by the first.

    name: by which the others know whose rows these are. Which clips are computed together does not hang on
    the number of processes.
    """
    if ranks.count() == 1:
        yield from make(numbers, size)
        return
    _ask((name, numbers, size))
    for of_all in _rounds(make, numbers, size):
        yield from (rows for rows in of_all or () if rows is not None)


def no_more(why: str | None = None) -> None:
    """Let the others go; with a sentence where the first has given up."""
    _ask(why)


def help_first(known: Callable[[str], MakeRows]) -> str | None:
    """Compute what the first asks for, until it says `no_more`; gives the sentence.

    known: name -> how its rows are made.
    """
    while True:
        asked = _ask(None)
        if asked is None or isinstance(asked, str):
            return asked
        name, numbers, size = asked
        for _ in _rounds(known(name), numbers, size):
            pass


def _ask(what: Any) -> Any:
    return ranks.from_first(lambda: what)


def _rounds(make: MakeRows, numbers: range, size: int) -> Iterator[list[Rows | None] | None]:
    """In each round every process computes its next batch; the first gets those of all."""
    batches = [numbers[start : start + size] for start in range(0, len(numbers), size)]
    count = ranks.count()
    own = make([number for batch in batches[ranks.rank() :: count] for number in batch], size)
    for _ in range(0, len(batches), count):
        yield ranks.gathered_by_first(next(own, None))
