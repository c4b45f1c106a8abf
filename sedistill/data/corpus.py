"""A prepared corpus: the list of clips that passed the checks, as `corpus.csv` and `corpus.yaml` hold it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedistill.audio.files import read_blocks, read_mono, to_mono
from sedistill.common.errors import UserError
from sedistill.data.clip_table import Clip, ClipFiles, ClipTable
from sedistill.data.content_table import Contents, contents_hash, write_contents
from sedistill.data.contents import FILES, as_written, look
from sedistill.data.corpus_facts import (
    FACTS,
    FORMAT_VERSION,
    PREPARE_AGAIN,
    SHARDS,
    read_facts,
    refuse_changed,
    write_facts,
)
from sedistill.data.manifest import MANIFEST, clips_hash, read_manifest, rows_hash, write_manifest
from sedistill.data.shards.member_files import MemberFile, ShardReader, open_shards
from sedistill.data.shards.shard_settings import ShardSettings


@dataclass(frozen=True)
class Corpus:
    """Clips at one rate.

    Attributes:
        folder: where the corpus lies.
        sample_rate: Hz, of every clip as it is read.
        roots: where the audio lies, by name.
        clips: those of the whole corpus, as columns.
        facts: all of corpus.yaml (layout, seed, hours, ...).
        rows: (n,), which of `clips` these are.
        known_hashes: `rows_hash` of each split, where it was taken before.
        split_name: of which split these are all the clips; "" for anything else.
        shards: what reads the audio where it lies in shards, None where it lies in files.
    """

    folder: Path
    sample_rate: int
    roots: Mapping[str, Path]
    clips: ClipTable
    facts: Mapping[str, Any]
    rows: NDArray[np.int64]
    known_hashes: Mapping[str, str] = field(default_factory=dict)
    split_name: str = ""
    shards: ShardReader | None = None

    @classmethod
    def load(cls, folder: Path | str, shards: ShardSettings | None = None) -> "Corpus":
        """Read a corpus that `sedistill prepare` wrote. Raises UserError: none there, its audio moved.

        shards: how to read the audio where it lies in shards.
        """
        folder = Path(folder)
        facts = read_facts(folder)
        roots = {name: (folder / place).absolute() for name, place in facts["roots"].items()}
        for name, place in roots.items():
            if not place.is_dir() and SHARDS not in facts:
                raise UserError(
                    f"{folder / FACTS}: the audio of root '{name}' should lie in {place}, which does not "
                    "exist; correct the path there or prepare the corpus again."
                )
        clips, hashes, manifest_hash = read_manifest(folder, facts["sample_rate"], PREPARE_AGAIN)
        if strange := [root for root in clips.choices["root"] if root not in roots]:
            raise UserError(f"{folder / MANIFEST}: {FACTS} has no root '{strange[0]}'; {PREPARE_AGAIN}.")
        refuse_changed(folder, facts, manifest_hash)
        reader = None
        if SHARDS in facts:
            settings, written = shards or ShardSettings(), facts.get("members_sha256")
            reader = open_shards(folder, str(facts[SHARDS]), written, settings, PREPARE_AGAIN)
        rows = np.arange(len(clips))
        return cls(folder, facts["sample_rate"], roots, clips, facts, rows, hashes, "", reader)

    @classmethod
    def from_clips(
        cls, folder: Path | str, clips: ClipTable | Iterable[Clip], sample_rate: int,
        roots: Mapping[str, Path],
        facts: Mapping[str, Any] | None = None,
    ) -> "Corpus":  # fmt: skip
        """Build a corpus in memory; `save` writes it."""
        table = clips if isinstance(clips, ClipTable) else ClipTable.of(clips)
        own = {
            "format_version": FORMAT_VERSION,
            "sample_rate": sample_rate,
            "roots": {name: str(place) for name, place in roots.items()},
            "hash": clips_hash(table, sample_rate),
        }
        everything = {**own, **(facts or {})}
        return cls(Path(folder), sample_rate, dict(roots), table, everything, np.arange(len(table)))

    def save(self, folder: Path | str) -> None:
        """Write corpus.csv, corpus.yaml and what the files hold (files.csv) into an existing folder."""
        folder = Path(folder)
        write_manifest(folder, self.clips, self.rows)
        _, _, manifest_hash = read_manifest(folder, self.sample_rate, PREPARE_AGAIN)  # writes the index, too
        contents = look(replace(self, folder=folder).files())
        write_contents(folder / FILES, contents)
        hashes = {"manifest_sha256": manifest_hash, "files_hash": contents_hash(contents)}
        write_facts(folder, {**self.facts, **hashes})

    def files(self) -> ClipFiles:
        """Every audio file by its name in the corpus: its root and the path below that."""
        roots = {name: self.folder / place for name, place in self.roots.items()}
        return ClipFiles(self.clips, self.rows, roots)

    def contents(self) -> Contents:
        """What every file of this corpus, or part of one, holds.

        Raises UserError when a file of the corpus, in this part or not, is not what was prepared.
        """
        if not (self.folder / FACTS).is_file():  # only in memory
            return look(self.files())
        if self.shards is not None:  # which are held against their hashes when they are read
            contents = self.shards.members.contents()
        else:
            whole = replace(self, rows=np.arange(len(self.clips)))
            written_hash = read_facts(self.folder).get("files_hash")
            contents = as_written(self.folder, whole.files(), written_hash, PREPARE_AGAIN)
        own = np.unique(self.clips.file[self.rows])
        return contents if len(own) == len(contents) else contents.take(own)

    @cached_property
    def rows_hash(self) -> str:
        """Of what decides which mixtures are drawn from the clips: levels, splits, pairs, paths."""
        return self.known_hashes.get(self.split_name) or rows_hash(self.clips, self.rows, self.sample_rate)

    @property
    def hash(self) -> str:
        """Of the whole corpus: what its clips are (audio, kind, split, group, pair), not where they lie."""
        return str(self.facts["hash"])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Clip:
        return self.clips[self.rows[index]]

    def __iter__(self) -> Iterator[Clip]:
        return (self[index] for index in range(len(self)))

    def split(self, name: str) -> "Corpus":
        """The clips of one split. Raises UserError when there are none."""
        chosen = self.take(self.is_in("split", name))
        if not len(chosen):
            known = ", ".join(sorted(self.groups("split")))
            raise UserError(f"{self.folder} has no split '{name}'; it has {known or 'no clips at all'}.")
        return replace(chosen, split_name=name if len(self) == len(self.clips) else "")

    def kind(self, name: str) -> "Corpus":
        """The clips of one kind: clean, noise or noisy. May be empty."""
        return self.take(self.is_in("kind", name))

    def groups(self, column: str = "group") -> list[str]:
        """The texts that a column of few (root, kind, split, group) has here, in the order of their bytes."""
        choices = self.clips.choices[column]
        return [choices[code] for code in np.unique(self.codes(column))]

    def codes(self, column: str) -> NDArray[np.int32]:
        """(n,): numbers for the texts of such a column, in the order of their bytes."""
        return self.clips.codes[column][self.rows]

    @property
    def has_pairs(self) -> bool:
        """True when there are ready noisy clips with their clean ones, not speech and noise to mix."""
        return bool(self.is_in("kind", "noisy").any())

    @property
    def frames(self) -> NDArray[np.int64]:
        """Length of each clip in samples."""
        return self.clips.numbers["frames"][self.rows]

    @property
    def seconds(self) -> float:
        """Length of all clips together."""
        return float(self.frames.sum()) / self.sample_rate

    def texts(self, column: str) -> list[str]:
        """A column of text."""
        return [text for (text,) in self.clips.lines([column], self.rows)]

    def number(self, column: str, index: int) -> Any:
        """What a column of numbers says of clip `index`."""
        return self.clips.numbers[column][self.rows[index]]

    def path(self, index: int) -> Path:
        """Where clip `index` lies on the disk."""
        return Path(str(self._place(self.rows[index])))

    def read(self, index: int, start: int = 0, frames: int | None = None) -> NDArray[np.float32]:
        """Samples (frames,) of clip `index`, from `start` samples after the clip's own beginning.

        They are without the offset of the recording: it is no sound, would be scaled with it, and would be
        a step wherever a piece begins or ends.
        """
        row, numbers = self.rows[index], self.clips.numbers
        frames = int(numbers["frames"][row]) - start if frames is None else frames
        with self._opened(row) as place:
            samples = read_mono(place, self.sample_rate, int(numbers["start"][row]) + start, frames)
        offset = numbers["offset"][row]
        return samples - np.float32(offset) if offset else samples

    def loudest(self, index: int) -> int:
        """Where in clip `index` its largest magnitude (as `read` gives it) is, the first of equal ones."""
        row, numbers = self.rows[index], self.clips.numbers
        highest, place, first = -1.0, 0, 0
        with self._opened(row) as source:
            for block in read_blocks(source, int(numbers["start"][row]), int(numbers["frames"][row])):
                magnitudes = np.abs(to_mono(block) - np.float32(numbers["offset"][row]))
                if magnitudes.max() > highest:
                    highest, place = float(magnitudes.max()), first + int(magnitudes.argmax())
                first += len(block)
        return place

    def _opened(self, row: int) -> AbstractContextManager[str | MemberFile]:
        place = self._place(row)
        return nullcontext(place) if isinstance(place, str) else place

    def _place(self, row: int) -> str | MemberFile:
        if self.shards is not None:
            return self.shards.open(int(self.clips.file[row]))
        # Text, not Path: building one costs as much as drawing a mixture.
        return f"{self.roots[self.clips.text('root', row)]}/{self.clips.text('path', row)}"

    def take(self, chosen: NDArray[Any]) -> "Corpus":
        """The clips of these places (numbers or marks), in that order."""
        return replace(self, rows=self.rows[chosen], split_name="")

    def is_in(self, column: str, text: str) -> NDArray[np.bool_]:
        """(n,): which clips have this text in a column of few."""
        return self.clips.is_in(column, text)[self.rows]
