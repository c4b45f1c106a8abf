"""Processes that prepare batches. What goes wrong in them is told in the same words as without them."""

import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate, get_worker_info

from sedistill.common.devices import usable_cores
from sedistill.common.errors import UserError
from sedistill.common.interpreters import importing_safely
from sedistill.common.interruption import children_begin, left_to_parent

SHARED_MEMORY = Path("/dev/shm")
READ_AHEAD = 2  # batches that torch lets each worker have ready
GO_ON = "and give the same command again, which goes on from the last checkpoint"


class Batches(DataLoader):
    """A loader whose workers import nothing from the current folder, and whose failures are sentences.

    Without room for their batches in shared memory there are no workers, which is said.
    """

    def __init__(self, dataset: Dataset, batches: Sampler, workers: int) -> None:
        self.examples = dataset
        batch_size = getattr(batches, "batch_size", 1)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="This DataLoader will create")  # said in our own words
            super().__init__(
                _Told(dataset),
                batch_sampler=batches,
                num_workers=affordable_workers(workers, dataset, batch_size) if workers else 0,
                worker_init_fn=_begin,
                collate_fn=_collate,
                # A loader draws a number when it starts; from its own generator the global one is untouched.
                generator=torch.Generator().manual_seed(0),
            )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        with named_worker_faults():
            for batch in self._started():
                if isinstance(batch, _Fault):
                    raise UserError(batch.sentence)
                yield batch

    def _started(self) -> Any:
        try:
            with importing_safely(), children_begin():
                return _ended_by_kill(super().__iter__())
        except OSError as error:
            raise UserError(
                f"data.workers = {self.num_workers}: they cannot be started ({error.strerror or error}); "
                f"lower it or set it to 0, {GO_ON}."
            ) from None


def _ended_by_kill(batches: Any) -> Any:
    """Torch and multiprocessing end workers by SIGTERM, which workers ignore: so by SIGKILL instead."""
    for worker in getattr(batches, "_workers", ()):
        worker._popen.terminate = worker._popen.kill
    return batches


def affordable_workers(workers: int, dataset: Dataset, batch_size: int) -> int:
    """`workers`, or 0 where the shared memory through which they send batches is too small for them."""
    if usable_cores() == 1:
        print(f"note: data.workers = {workers} on the one core there is to use; 0 would be faster.")
    if not sys.platform.startswith("linux"):
        return workers
    example = dataset[(0, 0)]
    batch_bytes = batch_size * sum(
        value.nbytes for value in example.values() if isinstance(value, np.ndarray)
    )
    needed = batch_bytes * (READ_AHEAD * workers + 1)
    usable = SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK)
    free = shutil.disk_usage(SHARED_MEMORY).free if usable else 0
    if free >= needed:
        return workers
    print(
        f"note: {SHARED_MEMORY} has {free / 2**20:.0f} MB free, but {workers} data workers need "
        f"{needed / 2**20:.0f} MB; batches are prepared without them (docker run --shm-size gives more)."
    )
    return 0


@contextmanager
def named_worker_faults() -> Iterator[None]:
    """The end of a worker, of which torch tells by a RuntimeError wherever the program is, as a sentence."""
    try:
        yield
    except RuntimeError as error:
        sentence = _told(f"{error.__cause__} {error}")  # by what signal a worker ended, only the cause says
        if sentence is None:
            raise
        raise UserError(sentence) from None


@dataclass(frozen=True)
class _Fault:
    """What a worker returns instead of a batch: torch would wrap an exception in a long traceback."""

    sentence: str


class _Told(Dataset):
    """Examples, or what is wrong with them in a sentence."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.dataset[key]
        except UserError as error:
            return _raised_or_handed_over(str(error))
        except MemoryError:
            return _raised_or_handed_over(_NO_MEMORY)
        except OSError as error:
            what = error.filename or "the training data"
            return _raised_or_handed_over(
                f"cannot read {what}: {error.strerror or error}; mend that {GO_ON}."
            )


_NO_MEMORY = f"there is no memory left for batches; lower optimiser.batch_size or data.workers, {GO_ON}."


def _raised_or_handed_over(sentence: str) -> _Fault:
    if get_worker_info() is None:
        raise UserError(sentence) from None
    return _Fault(sentence)


def _collate(examples: list[Any]) -> Any:
    fault = next((example for example in examples if isinstance(example, _Fault)), None)
    if fault is not None or get_worker_info() is None:
        return fault or together(examples)
    try:
        return together(examples)
    except MemoryError:
        return _Fault(_NO_MEMORY)
    except RuntimeError as error:
        sentence = _told(str(error))
        if sentence is None:
            raise
        return _Fault(sentence)


def together(examples: list[Any]) -> Any:
    """A batch; what only the first examples bring, such as clean speech, has fewer rows."""
    if not isinstance(examples[0], dict):
        return default_collate(examples)
    return {name: default_collate([one[name] for one in examples if name in one]) for name in examples[0]}


def _told(message: str) -> str | None:
    """Torch's words about workers and shared memory as a sentence; None for anything else."""
    killed = re.search(r"DataLoader worker \(pid.*?\) (?:is killed by signal: (\w+ ?\w*)|exited)", message)
    if "shared memory" in message or "unable to write to file" in message or "Bus error" in message:
        return (
            f"the data workers ran out of shared memory ({SHARED_MEMORY}); set data.workers=0 or give more "
            f"of it (docker run --shm-size), {GO_ON}."
        )
    if "Too many open files" in message or "ancdata" in message:
        return f"the data workers ran out of open files; raise `ulimit -n` or set data.workers=0, {GO_ON}."
    if killed:
        how = f" ({killed[1]})" if killed[1] else ""
        return (
            f"a data worker was ended from outside{how}, as the system does when memory runs out; lower "
            f"data.workers or set it to 0, {GO_ON}."
        )
    return None


def _begin(_worker: int) -> None:
    left_to_parent()
    torch.set_num_threads(1)
