"""The processes that train one network together: which of them this is, and what they tell each other.

Each has a rank, from 0. What is here is called by all of them, in the same order; alone, which is the rule,
it gives back what it was given. `torchrun` makes one process a part of several.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from sedistill.common.interruption import safe_moment

T = TypeVar("T")
LOOKS_EVERY_SECONDS = 0.05


class OthersLostError(Exception):
    """The other processes cannot be reached: one has ended, or the network between them is gone."""


@dataclass
class Group:
    """The processes that work together, as this one knows them.

    local_rank: among those of the same machine.
    store: where they leave each other notes, which needs nobody's answer. faults: looks for a note that
    another has failed, and raises what then is to be raised.
    """

    rank: int
    local_rank: int
    count: int
    store: dist.Store
    faults: Callable[[], None]
    turns: int = 0


class _State:
    group: Group | None = None
    alone = False
    """Whether this process does something for itself, which the others do not do at the same time."""


def enter(group: Group | None) -> None:
    """From now on this process is one of these, or (None) alone again."""
    _State.group = group


def rank() -> int:
    """Of this process; 0 where it is alone."""
    return 0 if _State.group is None else _State.group.rank


def local_rank() -> int | None:
    """Of this process among those of its machine; None where it works alone."""
    return None if _State.group is None else _State.group.local_rank


def count() -> int:
    """How many work together, at this moment."""
    return 1 if _State.alone else count_of_all()


def count_of_all() -> int:
    """How many train together, also while this one does something alone."""
    return 1 if _State.group is None else _State.group.count


def is_first() -> bool:
    """Whether this is the process that writes, prints and locks."""
    return rank() == 0


def own_share(things: int) -> range:
    """Of so many things, which processes take in turn, the numbers of this one's."""
    return range(things) if count() == 1 else range(rank(), things, count())


def in_turn(parts: Sequence[Sequence[T]]) -> list[T]:
    """What several processes have of things that they took in turn, in the order of things."""
    things = sum(map(len, parts))
    return [parts[number % len(parts)][number // len(parts)] for number in range(things)]


def heed_others() -> None:
    """End where another process has said that the work has ended; long work of each alone calls this."""
    if _State.group is not None:
        _State.group.faults()


@contextmanager
def alone() -> Iterator[None]:
    """What is done in here, this process does without the others."""
    before, _State.alone = _State.alone, True
    try:
        yield
    finally:
        _State.alone = before


def average(tensors: Sequence[Tensor]) -> None:
    """Make each tensor the mean of what the processes have under its number, in place.

    The result has the same bits in each of them. All give as many tensors of the same shapes.
    """
    if count() == 1:
        return
    kinds: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    with torch.no_grad():
        for alike in kinds.values():
            flat = torch.cat([tensor.reshape(-1) for tensor in alike])
            with reaching_others():
                dist.all_reduce(flat)
            flat /= count()
            parts = flat.split([one.numel() for one in alike])
            torch._foreach_copy_(
                alike, [part.view(one.shape) for one, part in zip(alike, parts, strict=True)]
            )


def total(tensor: Tensor) -> Tensor:
    """The sum of what the processes have; without gradient."""
    if count() > 1:
        tensor = tensor.detach().clone(memory_format=torch.contiguous_format)
        with reaching_others():
            dist.all_reduce(tensor)
    return tensor


def joined_rows(values: Tensor) -> Tensor:
    """What the processes have (B, ...) one below the other, in the order of ranks: (count * B, ...)."""
    if count() == 1:
        return values
    parts = [torch.empty_like(values, memory_format=torch.contiguous_format) for _ in range(count())]
    with reaching_others():
        dist.all_gather(parts, values.detach().contiguous())
    return torch.cat(parts)


def any_says(*said: bool) -> tuple[bool, ...]:
    """For each of these, whether it is true in any process."""
    if count() == 1:
        return said
    flags = torch.tensor(said, dtype=torch.uint8)
    with reaching_others():
        dist.all_reduce(flags, op=dist.ReduceOp.MAX)
    return tuple(bool(flag) for flag in flags)


def gathered(value: T) -> list[T]:
    """What each process gives, in the order of ranks: anything that can be pickled."""
    if count() == 1:
        return [value]
    values: list[Any] = [None] * count()
    with reaching_others():
        dist.all_gather_object(values, value)
    return values


def gathered_by_first(value: T) -> list[T] | None:
    """The same for the first process; None for the others, who are spared the sending."""
    if count() == 1:
        return [value]
    values: list[Any] | None = [None] * count() if is_first() else None
    with reaching_others():
        dist.gather_object(value, values)
    return values


def from_first(make: Callable[[], T]) -> T:
    """What `make` gives in the first process, for all; however long it takes, the others wait."""
    if count() == 1:
        return make()
    values: list[Any] = [None]
    with first_ahead() as goes_first:
        if goes_first:
            values = [make()]
    with reaching_others():
        dist.broadcast_object_list(values)
    return values[0]


@contextmanager
def first_ahead() -> Iterator[bool]:
    """The first process goes through this before the others, which wait, however long. Gives: is it this one?

    For what is made once and then found by all. What a process does in here it does alone.
    """
    group = _State.group
    if group is None or count() == 1:
        yield True
        return
    group.turns += 1
    turn = f"turn/{group.turns}"
    if group.rank:
        _wait_for(group, turn)
    with alone():
        yield group.rank == 0
    if group.rank == 0:
        with reaching_others():
            group.store.set(turn, "done")


def _wait_for(group: Group, note: str) -> None:
    while True:
        with reaching_others():
            there = group.store.check([note])
        if there:
            return
        group.faults()
        safe_moment()
        time.sleep(LOOKS_EVERY_SECONDS)


def average_by_name(values: Mapping[str, float]) -> dict[str, float]:
    """The mean of each over the processes that have it."""
    if count() == 1:
        return dict(values)
    named: dict[str, list[float]] = {}
    for of_one in gathered(dict(values)):
        for name, value in of_one.items():
            named.setdefault(name, []).append(value)
    return {name: sum(of_all) / len(of_all) for name, of_all in named.items()}


@contextmanager
def failing_together(kind: type[Exception]) -> Iterator[None]:
    """An error of this kind that one process meets in here is raised in all, in its words.

    Inside no process may wait for another.
    """
    fault: Exception | None = None
    try:
        yield
    except kind as error:
        if count() == 1:
            raise
        fault = error
    if any_says(fault is not None)[0]:
        raise kind(next(said for said in gathered(None if fault is None else str(fault)) if said))


@contextmanager
def reaching_others() -> Iterator[None]:
    """What torch raises where the others do not answer is an OthersLostError."""
    try:
        yield
    except RuntimeError as error:  # gloo's errors have no class of their own
        raise OthersLostError(str(error)) from error
