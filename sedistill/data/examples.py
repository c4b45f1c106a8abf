"""Training examples: {"noisy": (T,), "clean": (T,), "index": int}, float32.

They are asked for by key (epoch, index), and what one holds hangs on nothing but its key: not on the number
of workers, not on what was made before, not on where a run was resumed.
"""

from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from sedistill.common.errors import UserError
from sedistill.common.integrity import facts_checksum
from sedistill.data.corpus import Corpus
from sedistill.data.crops import Crop, Pairs, crop_in_memory, cut_segment, filled_up, make_crop, segments_of
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.mix_sources import Material
from sedistill.data.mixing import MixingSettings, plan_mixture
from sedistill.data.randomness import philox
from sedistill.data.rendering import make_mixture
from sedistill.data.shards.ranges import ShardError

PAIRS_IN_TURN = 2**32
"""The attempt, beyond all that are made, under which the order of pairs is drawn."""

MOST_SKIPPED = 20
"""Examples whose shards are missing, one after another, before a training gives up."""

Key = int | tuple[int, int]
"""An example's number, or (epoch, number); a plain number is of epoch 0."""


class MixtureDataset(Dataset):
    """Mixtures made on the fly from one split; where it holds ready pairs, clips cut from them.

    Of ready pairs every one is taken once before any is taken again: cut once, where its speech does not
    pause and each epoch elsewhere, or (stride_seconds) into all its segments.

    Args:
        corpus: a prepared corpus, or its folder.
        split: its name.
        mixing: how to mix; only clip_seconds matters for ready pairs, and it must be set.
        seed: another seed, other mixtures.
        length: examples in an epoch; None takes as many as cover the speech once, or every pair or segment.
        stride_seconds: of ready pairs take all segments of clip_seconds that begin this far apart, the last
            filled up with silence.
        repeat_epochs: make the mixtures of so many epochs only, over and over; None: others in each epoch.

    Raises UserError when the split has nothing to mix, and for segments of what is not ready pairs.
    """

    def __init__(
        self, corpus: Corpus | Path | str, split: str = "train", mixing: MixingSettings | None = None,
        seed: int = 0, length: int | None = None, stride_seconds: float | None = None,
        repeat_epochs: int | None = None,
    ) -> None:  # fmt: skip
        corpus = corpus if isinstance(corpus, Corpus) else Corpus.load(corpus)
        part = corpus.split(split)
        part.contents()  # refuses recordings that are not those that were prepared
        self.mixing, self.seed, self.sample_rate = mixing or MixingSettings(), seed, corpus.sample_rate
        if self.mixing.clip_seconds is None:
            raise UserError(
                "clip_seconds is null, but mixtures made on the fly need one length; give seconds."
            )
        if length is not None and length < 1:
            raise UserError(f"an epoch of {length} mixtures is none; give 1 or more.")
        self.source: Pairs | Material = Pairs(part) if part.has_pairs else Material(part)
        self.segments: NDArray[np.int64] | None = None
        if isinstance(self.source, Pairs):
            self.seconds_of_speech = self.source.noisy.seconds
            if stride_seconds is not None:
                self.segments = _segments(
                    self.source.noisy.frames, self.mixing.clip_seconds, stride_seconds, self.sample_rate
                )
            count = len(self.source) if self.segments is None else len(self.segments)
            self.order = philox(seed, self.source.stream, 0, 0, PAIRS_IN_TURN).permutation(count)
        else:
            if stride_seconds is not None:
                raise UserError(
                    f"{corpus.folder} is speech and noise to be mixed, of which there are no segments to "
                    "take in turn; take out segment_stride_seconds."
                )
            self.seconds_of_speech = self.source.speech.seconds
            count = max(1, round(self.seconds_of_speech / self.mixing.clip_seconds))
        self.length, self.repeat_epochs = length or count, repeat_epochs
        self.part, self.stride_seconds = part, stride_seconds

    @cached_property
    def hash(self) -> str:
        """Of all that decides what the examples are."""
        return facts_checksum({
            "corpus": self.part.hash, "rows": self.part.rows_hash, "mixing": self.mixing.model_dump(),
            "seed": self.seed, "length": self.length, "stride_seconds": self.stride_seconds,
        })  # fmt: skip

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, index = split_key(key, self.repeat_epochs)
        if not 0 <= index < self.length:
            raise IndexError(index)
        made = self._made_of_what_is_there(epoch, index)
        return {"noisy": made.noisy, "clean": made.clean, "index": index}

    def _made_of_what_is_there(self, epoch: int, index: int) -> Any:
        """Example `index`; with `skip_missing` another in its place while its shard is missing."""
        shards, last = self.part.shards, index + MOST_SKIPPED * self.length
        for number in count(index, self.length + 1):  # keys that no other example of the epoch has
            try:
                if isinstance(self.source, Pairs):
                    return self._from_pairs(epoch, number, self.source)
                return make_mixture(self.seed, epoch, number, self.source, self.mixing)
            except ShardError as error:
                if shards is None or not shards.settings.skip_missing or number > last:
                    raise
                shards.tell_of_skipping(error)
        raise AssertionError("numbers have no end")

    def origin(self, key: Key) -> str:
        """Where an example comes from, for messages."""
        epoch, index = split_key(key, self.repeat_epochs)
        source = self.source
        if isinstance(source, Pairs):
            return str(source.noisy.path(self._from_pairs(epoch, index, source).pair))
        plan = plan_mixture(self.seed, epoch, index, source, self.mixing)
        recordings = source.speech.path(plan.speech.clip), source.noise.path(plan.noise[0].clip)
        return f"the mixture of {recordings[0]} and {recordings[1]}"

    def _from_pairs(self, epoch: int, index: int, pairs: Pairs) -> Crop:
        assert self.mixing.clip_seconds is not None
        turn = int(self.order[(epoch * self.length + index) % len(self.order)])
        if self.segments is None:
            return make_crop(self.seed, epoch, index, pairs, turn, self.mixing.clip_seconds)
        pair, start = self.segments[turn].tolist()
        return cut_segment(pairs, pair, start, round(self.mixing.clip_seconds * self.sample_rate))


class FixedDataset(Dataset):
    """The clips of a fixed set; the epoch of a key does not matter.

    Attributes:
        lengths: samples of each clip, for batching clips of equal length.
    """

    def __init__(self, fixed_set: FixedSet | Path | str) -> None:
        self.set = fixed_set if isinstance(fixed_set, FixedSet) else FixedSet(fixed_set)
        self.lengths, self.sample_rate = self.set.lengths, self.set.sample_rate

    def __len__(self) -> int:
        return len(self.set)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        _, index = split_key(key)
        noisy, clean = self.set[index]
        return {"noisy": noisy, "clean": clean, "index": index}

    def origin(self, key: Key) -> str:
        """Where an example comes from, for messages."""
        return self.set.origin(split_key(key)[1])


class CropDataset(Dataset):
    """Crops of one length from the clips of a fixed set: every clip once an epoch, each time elsewhere.

    For training on sets of whole sentences, whose lengths differ. With `stride_seconds` each clip is cut into
    all its segments that begin this far apart instead, the last filled up with silence; each once an epoch.
    `repeat_epochs` is as in `MixtureDataset`.

    Raises UserError when clip_seconds is not positive, and for a stride that would leave samples out.
    """

    def __init__(
        self, fixed_set: FixedSet | Path | str, clip_seconds: float, seed: int = 0,
        stride_seconds: float | None = None, repeat_epochs: int | None = None,
    ) -> None:  # fmt: skip
        self.set = fixed_set if isinstance(fixed_set, FixedSet) else FixedSet(fixed_set)
        self.sample_rate, self.seed, self.repeat_epochs = self.set.sample_rate, seed, repeat_epochs
        self.frames = round(clip_seconds * self.sample_rate)
        if self.frames < 1:
            raise UserError(f"clip_seconds is {clip_seconds:g}; give the seconds of a training clip.")
        self.segments = (
            None
            if stride_seconds is None
            else _segments(self.set.lengths, clip_seconds, stride_seconds, self.sample_rate)
        )
        self.stride_seconds = stride_seconds

    @property
    def hash(self) -> str:
        """Of all that decides what the examples are."""
        facts = {"set": self.set.hash, "frames": self.frames, "seed": self.seed}
        return facts_checksum({**facts, "stride_seconds": self.stride_seconds})

    def __len__(self) -> int:
        return len(self.set) if self.segments is None else len(self.segments)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, index = split_key(key, self.repeat_epochs)
        if self.segments is None:
            noisy, clean = crop_in_memory(
                self.seed, epoch, index, *self.set[index], self.frames, self.sample_rate
            )
        else:
            clip, start = self.segments[index].tolist()
            noisy, clean = (
                filled_up(side[start : start + self.frames], self.frames) for side in self.set[clip]
            )
        return {"noisy": noisy, "clean": clean, "index": index}

    def origin(self, key: Key) -> str:
        """Where an example comes from, for messages."""
        index = split_key(key)[1]
        clip = index if self.segments is None else int(self.segments[index][0])
        return self.set.origin(clip)


def _segments(
    lengths: NDArray[np.int64], clip_seconds: float, stride_seconds: float, sample_rate: int
) -> NDArray[np.int64]:
    frames, stride = round(clip_seconds * sample_rate), round(stride_seconds * sample_rate)
    if not 1 <= stride <= frames:
        raise UserError(
            f"segment_stride_seconds = {stride_seconds:g}: segments of {clip_seconds:g} s that begin so far "
            f"apart do not cover the sound; give a time above 0 and up to {clip_seconds:g} s."
        )
    return segments_of(lengths, frames, stride)


def split_key(key: Key, repeat_epochs: int | None = None) -> tuple[int, int]:
    """(epoch, number), the epoch within those that are repeated."""
    epoch, index = key if isinstance(key, tuple) else (0, key)
    return epoch % repeat_epochs if repeat_epochs else epoch, index


class EpochClips:
    """The examples of one epoch in order, all of one length, as what a teacher hears."""

    def __init__(self, examples: Any, epoch: int) -> None:
        self.examples, self.epoch, self.sample_rate = examples, epoch, examples.sample_rate
        self.lengths = np.full(len(examples), len(self.noisy(0)))

    @property
    def hash(self) -> str:
        """Of all that decides what the clips are."""
        return facts_checksum({"examples": self.examples.hash, "epoch": self.epoch})

    def __len__(self) -> int:
        return len(self.examples)

    def noisy(self, index: int) -> NDArray[np.float32]:
        """(T,)."""
        return self.examples[self.epoch, index]["noisy"]

    def origin(self, index: int) -> str:
        """Where a clip comes from, for messages."""
        return str(self.examples.origin((self.epoch, index)))
