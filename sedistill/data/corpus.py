"""A prepared corpus: the list of clips that passed the checks, as `corpus.csv` and `corpus.yaml` hold it."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sedistill.audio.files import read_blocks, read_mono, to_mono
from sedistill.common.csv_files import CsvWriter, read_csv
from sedistill.common.errors import UserError
from sedistill.common.integrity import CHECKSUM, bytes_hash, facts_checksum, file_hash
from sedistill.common.reading import NAMES, is_taken, require_folder
from sedistill.common.settings import Record, read_record
from sedistill.common.writing import atomic_path
from sedistill.common.yaml_files import yaml_text
from sedistill.data.clip_table import COLUMNS, Clip, clip_of, table_of, text_of
from sedistill.data.contents import FILES, Contents, as_written, contents_hash, look, write_contents

FORMAT_VERSION = 1
MANIFEST, FACTS = "corpus.csv", "corpus.yaml"
PREPARE_AGAIN = "prepare the corpus again"


_DECISIVE_COLUMNS = (
    "root", "path", "kind", "split", "group", "start", "frames", "active_level_db", "peak", "offset", "pair",
)  # fmt: skip


class _Facts(Record):
    """What corpus.yaml has to hold."""

    sample_rate: Annotated[int, Field(ge=1, le=10_000_000)]
    roots: dict[str, str]
    hash: str


@dataclass(frozen=True)
class Corpus:
    """Clips at one rate. `table` has one row a clip; text columns are UTF-8 bytes.

    Attributes:
        folder: where the corpus lies.
        sample_rate: Hz, of every clip as it is read.
        roots: where the audio lies, by name.
        facts: all of corpus.yaml (layout, seed, hours, ...).
        whole: the table that this one is a part of, None for all of it.
    """

    folder: Path
    sample_rate: int
    roots: Mapping[str, Path]
    table: NDArray[np.void]
    facts: Mapping[str, Any]
    whole: NDArray[np.void] | None = None

    @classmethod
    def load(cls, folder: Path | str) -> "Corpus":
        """Read a corpus that `sedistill prepare` wrote. Raises UserError: none there, its audio moved."""
        folder = Path(folder)
        facts = _read_facts(folder)
        roots = {name: (folder / place).absolute() for name, place in facts["roots"].items()}
        for name, place in roots.items():
            if not place.is_dir():
                raise UserError(
                    f"{folder / FACTS}: the audio of root '{name}' should lie in {place}, which does not "
                    "exist; correct the path there or prepare the corpus again."
                )
        table = _read_manifest(folder / MANIFEST, roots)
        _refuse_changed(folder, facts)
        return cls(folder, facts["sample_rate"], roots, table, facts)

    @classmethod
    def from_clips(
        cls, folder: Path | str, clips: Iterable[Clip], sample_rate: int, roots: Mapping[str, Path],
        facts: Mapping[str, Any] | None = None,
    ) -> "Corpus":  # fmt: skip
        """Build a corpus in memory; `save` writes it."""
        table = table_of(clips)
        own = {
            "format_version": FORMAT_VERSION,
            "sample_rate": sample_rate,
            "roots": {name: str(place) for name, place in roots.items()},
            "hash": _hash(table, sample_rate),
        }
        return cls(Path(folder), sample_rate, dict(roots), table, {**own, **(facts or {})})

    def save(self, folder: Path | str) -> None:
        """Write corpus.csv, corpus.yaml and what the files hold (files.csv) into an existing folder."""
        folder = Path(folder)
        with atomic_path(folder / MANIFEST) as path, path.open("w", newline="", **NAMES) as file:
            writer = CsvWriter(file)
            writer.writerow(COLUMNS)
            for row in self.table:
                writer.writerow(text_of(value) for value in row)
        contents = look(replace(self, folder=folder).files())
        write_contents(folder / FILES, contents)
        hashes = {"manifest_sha256": file_hash(folder / MANIFEST), "files_hash": contents_hash(contents)}
        facts = {**self.facts, **hashes}
        facts[CHECKSUM] = _checksum(facts)
        text = yaml_text(facts)
        with atomic_path(folder / FACTS) as path:
            path.write_text(text, encoding="utf-8")

    def files(self) -> dict[str, Path]:
        """Every audio file by its name in the corpus: its root and the path below that."""
        return {
            f"{os.fsdecode(row['root'])}/{os.fsdecode(row['path'])}": self.folder / self._place(row)
            for row in np.unique(self.table[["root", "path"]])
        }

    def contents(self) -> Contents:
        """What every file of this corpus, or part of one, holds.

        Raises UserError when a file of the corpus, in this part or not, is not what was prepared.
        """
        if not (self.folder / FACTS).is_file():  # only in memory
            return look(self.files())
        whole = self if self.whole is None else replace(self, table=self.whole)
        written_hash = _read_facts(self.folder).get("files_hash")
        contents = as_written(self.folder, whole.files(), written_hash, PREPARE_AGAIN)
        return {name: contents[name] for name in self.files() if name in contents}

    @property
    def rows_hash(self) -> str:
        """Of what decides which mixtures are drawn from the clips: levels, splits, pairs, paths."""
        lines = ("\t".join(text_of(row[name]) for name in _DECISIVE_COLUMNS) for row in self.table)
        return bytes_hash("\n".join([str(self.sample_rate), *lines]).encode("utf-8", "surrogateescape"))

    @property
    def hash(self) -> str:
        """Of the whole corpus: what its clips are (audio, kind, split, group, pair), not where they lie."""
        return str(self.facts["hash"])

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> Clip:
        return clip_of(self.table[index])

    def __iter__(self) -> Iterator[Clip]:
        return (self[index] for index in range(len(self)))

    def split(self, name: str) -> "Corpus":
        """The clips of one split. Raises UserError when there are none."""
        chosen = self.take(self.table["split"] == os.fsencode(name))
        if not len(chosen):
            known = ", ".join(sorted(os.fsdecode(text) for text in np.unique(self.table["split"])))
            raise UserError(f"{self.folder} has no split '{name}'; it has {known or 'no clips at all'}.")
        return chosen

    def kind(self, name: str) -> "Corpus":
        """The clips of one kind: clean, noise or noisy. May be empty."""
        return self.take(self.table["kind"] == os.fsencode(name))

    @property
    def has_pairs(self) -> bool:
        """True when there are ready noisy clips with their clean ones, not speech and noise to mix."""
        return bool((self.table["kind"] == b"noisy").any())

    @property
    def frames(self) -> NDArray[np.int64]:
        """Length of each clip in samples."""
        return self.table["frames"]

    @property
    def seconds(self) -> float:
        """Length of all clips together."""
        return float(self.frames.sum()) / self.sample_rate

    def path(self, index: int) -> Path:
        """Where clip `index` lies on the disk."""
        return Path(self._place(self.table[index]))

    def read(self, index: int, start: int = 0, frames: int | None = None) -> NDArray[np.float32]:
        """Samples (frames,) of clip `index`, from `start` samples after the clip's own beginning.

        They are without the offset of the recording: it is no sound, would be scaled with it, and would be
        a step wherever a piece begins or ends.
        """
        row = self.table[index]
        frames = int(row["frames"]) - start if frames is None else frames
        samples = read_mono(self._place(row), self.sample_rate, int(row["start"]) + start, frames)
        return samples - np.float32(row["offset"]) if row["offset"] else samples

    def loudest(self, index: int) -> int:
        """Where in clip `index` its largest magnitude (as `read` gives it) is, the first of equal ones."""
        row = self.table[index]
        highest, place, first = -1.0, 0, 0
        for block in read_blocks(self._place(row), int(row["start"]), int(row["frames"])):
            magnitudes = np.abs(to_mono(block) - np.float32(row["offset"]))
            if magnitudes.max() > highest:
                highest, place = float(magnitudes.max()), first + int(magnitudes.argmax())
            first += len(block)
        return place

    def _place(self, row: np.void) -> str:
        # Text, not Path: building one costs as much as drawing a mixture.
        return f"{self.roots[os.fsdecode(row['root'])]}/{os.fsdecode(row['path'])}"

    def take(self, chosen: NDArray[Any]) -> "Corpus":
        """The clips of these rows (numbers or marks), in that order."""
        return replace(self, table=self.table[chosen], whole=self.table if self.whole is None else self.whole)


def _checksum(facts: Mapping[str, Any]) -> str:
    """Over all facts but the places of the roots, which may be corrected by hand."""
    return facts_checksum({name: value for name, value in facts.items() if name != "roots"})


def _refuse_changed(folder: Path, facts: Mapping[str, Any]) -> None:
    """Corpora from before there were checksums are believed."""
    sound = {FACTS: facts.get(CHECKSUM) in (None, _checksum(facts)),
             MANIFEST: facts.get("manifest_sha256") in (None, file_hash(folder / MANIFEST))}  # fmt: skip
    for name, fine in sound.items():
        if not fine:
            raise UserError(
                f"{folder / name} was changed since it was written (only the `roots` in {FACTS} may be); "
                f"put back what was there, or {PREPARE_AGAIN}."
            )


def _read_facts(folder: Path) -> dict[str, Any]:
    path = folder / FACTS
    if is_taken(folder):
        require_folder(folder, "give a folder written by `sedistill prepare`")
    if not is_taken(path):
        raise UserError(
            f"{folder} is not a prepared corpus (it has no {FACTS}); make one with `sedistill prepare`."
        )
    return read_record(_Facts, path, PREPARE_AGAIN, FORMAT_VERSION)


def _read_manifest(path: Path, roots: Iterable[str]) -> NDArray[np.void]:
    clips = read_csv(path, Clip, PREPARE_AGAIN)
    strange = next((clip.root for clip in clips if clip.root not in roots), None)
    if strange is not None:
        raise UserError(f"{path}: {FACTS} has no root '{strange}'; {PREPARE_AGAIN}.")
    return table_of(clips)


def _hash(table: NDArray[np.void], sample_rate: int) -> str:
    said = ("kind", "split", "group", "start", "frames", "audio_sha256", "pair")
    lines = sorted("\t".join(text_of(row[name]) for name in said) for row in table)
    return hashlib.sha256(os.fsencode("\n".join([str(sample_rate), *lines]))).hexdigest()
