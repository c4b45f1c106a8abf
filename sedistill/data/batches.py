"""The order of training examples, and their loaders: which of them share a batch, epoch after epoch."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from sedistill.common.errors import UserError
from sedistill.data.randomness import ORDER, philox
from sedistill.data.workers import Batches


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """Batches of keys (epoch, index) in an order that is a function of (seed, epoch) alone.

    The last, smaller batch of an epoch is dropped. Iterating starts at the current position, which
    `set_position` changes and iterating does not, because loaders read ahead.

    Args:
        length: number of examples; must give at least one batch, else UserError.
        batch_size: examples in a batch.
        recordings: further clips in each batch, behind its examples: those numbered from `length` on.
        rank, count: which of how many processes this is, which divide each batch among them: an equal slice
            of its examples and of its recordings is this one's. `count` divides both.
    """

    def __init__(
        self, length: int, batch_size: int, seed: int, recordings: int = 0, rank: int = 0, count: int = 1
    ) -> None:
        if batch_size < 1:
            raise UserError(f"batch_size is {batch_size}; give 1 or more.")
        if length < batch_size:
            raise UserError(
                f"{length} training examples do not fill a batch of {batch_size}; lower batch_size."
            )
        if batch_size % count or recordings % count or not 0 <= rank < count:
            raise ValueError(f"{batch_size} + {recordings} clips do not divide among {count} processes")
        self.length, self.batch_size, self.seed, self.recordings = length, batch_size, seed, recordings
        self.rank, self.count = rank, count
        self.epoch = self.first_batch = 0

    def set_position(self, epoch: int, batch: int) -> None:
        """Let the next iteration begin with batch number `batch` of `epoch`."""
        if epoch < 0 or not 0 <= batch <= len(self):
            raise ValueError(f"epoch {epoch}, batch {batch}: an epoch has {len(self)} batches")
        self.epoch, self.first_batch = epoch, batch

    def __len__(self) -> int:
        """Batches of a whole epoch, wherever the position is."""
        return self.length // self.batch_size

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch = self.epoch
        order = philox(self.seed, ORDER, epoch, 0).permutation(self.length)
        for batch in range(self.first_batch, len(self)):
            indices = order[self._own(batch, self.batch_size)].tolist()
            recordings = self._own(batch, self.recordings)
            first, end = self.length + recordings.start, self.length + recordings.stop
            yield [(epoch, index) for index in (*indices, *range(first, end))]

    def _own(self, batch: int, size: int) -> slice:
        """Of the places that a batch takes, so many, those of this process."""
        own = size // self.count
        start = batch * size + self.rank * own
        return slice(start, start + own)


class EqualLengthBatches(Sampler[list[int]]):
    """Batches of clips of equal length, shortest first, in a fixed order; every clip once, none padded.

    rank, count: which of how many processes this is, which take the batches in turn.
    total: batches of all of them together.
    """

    def __init__(self, lengths: NDArray[np.int64], batch_size: int, rank: int = 0, count: int = 1) -> None:
        if batch_size < 1:
            raise UserError(f"batch_size is {batch_size}; give 1 or more.")
        order = np.argsort(lengths, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(lengths[order])) + 1, len(order))
        starts = np.insert(ends[:-1], 0, 0)
        batches = [
            order[first : min(first + batch_size, end)]
            for start, end in zip(starts, ends, strict=True)
            for first in range(start, end, batch_size)
        ]
        self.total, self.batches = len(batches), batches[rank::count]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return (batch.tolist() for batch in self.batches)


def train_loader(
    dataset: Dataset, batch_size: int, seed: int, workers: int = 0, recordings: int = 0,
    rank: int = 0, count: int = 1,
) -> Batches:  # fmt: skip
    """Shuffled batches for training; `loader.batch_sampler` is the EpochBatches that holds the position.

    `dataset` takes keys (epoch, index). Raises UserError when its clips (`lengths`, if it has them) differ in
    length. The global random state is left alone.

    recordings: how many clips without "clean" each batch has besides; they are its last, and "clean" has so
        many rows less.
    rank, count: as in EpochBatches.
    """
    refuse_unequal_lengths(dataset)
    sampler = EpochBatches(len(dataset), batch_size, seed, recordings, rank, count)  # type: ignore[arg-type]
    return Batches(dataset, sampler, workers)


def refuse_unequal_lengths(dataset: Dataset) -> None:
    """Raise UserError where the clips of a dataset that knows their `lengths` cannot share a batch."""
    lengths = getattr(dataset, "lengths", None)
    if lengths is not None and lengths.min() != lengths.max():
        rate = getattr(dataset, "sample_rate", 1)
        raise UserError(
            f"the training clips last from {lengths.min() / rate:.2f} to {lengths.max() / rate:.2f} s and "
            "cannot share a batch; have them cut by data.crop_seconds, or mix the set with one clip_seconds."
        )


def fixed_loader(
    dataset: Dataset, batch_size: int, workers: int = 0, rank: int = 0, count: int = 1
) -> Batches:
    """Every clip once, in batches of equal length, always in the same order. `dataset` has `lengths`.

    rank, count: as in EqualLengthBatches.
    """
    lengths = dataset.lengths  # type: ignore[attr-defined]
    return Batches(dataset, EqualLengthBatches(lengths, batch_size, rank, count), workers)
