"""A fixed set on the disk: noisy/ and clean/ of equal file names, `set.yaml` (what made them) and
`mixtures.csv` (what is in each)."""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sedistill.audio.files import read, to_mono, write
from sedistill.audio.listing import audio_below
from sedistill.audio.resampling import resample
from sedistill.common.csv_files import Number, write_csv
from sedistill.common.integrity import file_hash, with_checksum
from sedistill.common.parallel import parallel_map
from sedistill.common.paths import PathInside
from sedistill.common.provenance import Provenance
from sedistill.common.settings import Record
from sedistill.common.writing import atomic_folder
from sedistill.common.yaml_files import yaml_text
from sedistill.data.clip_table import MOST_FRAMES
from sedistill.data.content_table import Content, Contents, contents_hash, write_contents
from sedistill.data.contents import FILES, content_of
from sedistill.data.corpus import Corpus
from sedistill.data.distinct import count_distinct, distinct_text, few_warning
from sedistill.data.mix_sources import Material
from sedistill.data.rendering import Mixture

FACTS, TABLE = "set.yaml", "mixtures.csv"
SIDES = ("noisy", "clean")
TEACHER_OUTPUTS = "teacher-outputs"
"""In a set's folder, what is known of teachers on it, where a recipe names no other place."""
FORMAT_VERSION = 1
MOST_CLIPS = 1_000_000  # file names have six digits

Item = TypeVar("Item")


class SetFacts(Record):
    """What set.yaml has to hold."""

    sample_rate: Annotated[int, Field(ge=1, le=10_000_000)]
    count: Annotated[int, Field(ge=1)]
    bytes: Annotated[int, Field(ge=0)]
    hash: str


@dataclass(frozen=True)
class Row:
    """A line of mixtures.csv. Starts are samples; several pieces of noise are parted by semicolons.

    `speaker`, `clean_recording` and `noise_recording` tell which clips are not independent: those that share
    one.

    `noise`, `noise_class` and `level_db` are empty for ready pairs, whose `snr_db` is measured: the active
    level of clean above that of noisy - clean.
    """

    name: PathInside
    frames: Annotated[int, Field(ge=1, le=MOST_FRAMES)]
    snr_db: Number
    clean: PathInside
    clean_start: int
    clean_offset: int
    noise: str = ""
    noise_start: str = ""
    noise_class: str = ""
    level_db: Number | str = ""
    guard: float = 1.0
    speaker: str = ""
    clean_recording: str = ""
    noise_recording: str = ""


@dataclass(frozen=True)
class FixedSetSummary:
    """What `mix` did; `text()` is for the terminal."""

    folder: Path
    facts: Mapping[str, Any]
    snr_db: NDArray[np.float64]
    seconds_taken: float
    left_out: Mapping[str, int]

    def text(self) -> str:
        facts = self.facts
        what = "ready pairs" if facts["pairs"] else "mixtures"
        lines = [
            f"Set {self.folder}: {facts['count']} {what} of split {facts['split']}, "
            f"{timedelta(seconds=round(facts['hours'] * 3600))} h at {facts['sample_rate']} Hz, "
            f"written in {self.seconds_taken:.1f} s"
        ]
        known = self.snr_db[np.isfinite(self.snr_db)]
        if len(known):
            lines.append(f"  SNR {known.min():.1f} to {known.max():.1f} dB, mean {known.mean():.1f} dB")
        lines.append(f"  {distinct_text(facts['distinct'])}")
        lines.append(f"  seed {facts['seed']}, hash {facts['hash'][:12]}")
        if self.left_out:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items())
            lines.append(f"  Files left out of the corpus: {reasons} (its excluded.csv names each)")
        warning = few_warning(facts["distinct"], facts["count"])
        return "\n".join([*lines, *([f"Warning: {warning}."] if warning else [])])


def write_set(
    output: Path,
    overwrite: bool,
    corpus: Corpus,
    facts: Mapping[str, Any],
    write_one: Callable[[Path, str, Item], Row],
    items: Sequence[Item],
    workers: int | None,
) -> FixedSetSummary:
    """Write a whole set or nothing.

    Args:
        facts: what made it: split, seed, pairs, settings; what is common to all sets is added.
        write_one: writes both files of an item by `write_pair` and returns its row; called in other processes
            with (folder of the set, file name, item).
    """
    started = time.monotonic()
    corpus.contents()  # refuses recordings that are not those that were prepared
    with atomic_folder(output, overwrite, marker=FACTS) as folder:
        job = partial(_write_numbered, write_one, folder, corpus.sample_rate)
        written = parallel_map(job, list(enumerate(items)), workers, "Mixing", "clips")
        rows = [row for row, _, _ in written]
        write_csv(folder / TABLE, asdict(rows[0]), (asdict(row).values() for row in rows))
        contents = Contents.of((name, content) for _, _, both in written for name, content in both.items())
        write_contents(folder / FILES, contents)
        frames = sum(row.frames for row in rows)
        whole = {
            "format_version": FORMAT_VERSION,
            "sample_rate": corpus.sample_rate,
            **facts,
            "corpus": str(corpus.folder.absolute()),
            "corpus_hash": corpus.hash,
            "count": len(rows),
            "distinct": count_distinct(rows),
            "hours": round(frames / corpus.sample_rate / 3600, 5),
            "bytes": total_bytes(listed(folder / "noisy")) + total_bytes(listed(folder / "clean")),
            "hash": joint_hash(digest for _, digest, _ in written),
            **Provenance.now(("numpy",), [facts["seed"]], {"corpus": corpus.hash}).facts(),
            "files_hash": contents_hash(contents),
            "table_sha256": file_hash(folder / TABLE),
        }
        whole = with_checksum(whole)
        (folder / FACTS).write_text(yaml_text(whole), encoding="utf-8")
    snr_db = np.array([row.snr_db for row in rows])
    return FixedSetSummary(
        output, whole, snr_db, time.monotonic() - started, corpus.facts.get("excluded") or {}
    )


def write_pair(folder: Path, name: str, noisy: NDArray, clean: NDArray, sample_rate: int) -> None:
    """Write both files of a clip, 16 bits."""
    for side, samples in (("noisy", noisy), ("clean", clean)):
        write(folder / side / name, samples, sample_rate, "PCM_16")


def row_of_mixture(name: str, mixture: Mixture, material: Material) -> Row:
    """What is in a mixture."""
    plan = mixture.plan
    noise = [material.noise[piece.clip] for piece in plan.noise]
    noise_starts = [clip.start + piece.start for clip, piece in zip(noise, plan.noise, strict=True)]
    speech = material.speech[plan.speech.clip]
    return Row(
        name=name,
        frames=plan.frames,
        snr_db=round(plan.snr_db, 4),
        clean=speech.path,
        clean_start=speech.start + plan.speech.start,
        clean_offset=plan.speech_offset,
        noise=";".join(clip.path for clip in noise),
        noise_start=";".join(map(str, noise_starts)),
        noise_class=noise[0].group,
        level_db="" if plan.level_db is None else round(plan.level_db, 4),
        guard=round(mixture.guard, 6),
        speaker=speech.group,
        clean_recording=speech.cut_from,
        noise_recording=";".join(dict.fromkeys(clip.cut_from for clip in noise)),
    )


def _write_numbered(
    write_one: Callable[[Path, str, Item], Row], folder: Path, sample_rate: int, numbered: tuple[int, Item]
) -> tuple[Row, bytes, dict[str, Content]]:
    """The row of one clip, the hash of its audio, and what its files hold."""
    number, item = numbered
    name = f"{number:06d}.flac"
    row = write_one(folder, name, item)
    paths = {side: folder / side / name for side in SIDES}
    contents = {f"{side}/{name}": content_of(path) for side, path in paths.items()}
    return row, pair_digest(name, paths["noisy"], paths["clean"], sample_rate), contents


def listed(folder: Path) -> dict[str, int]:
    """{file: bytes} of the audio files below `folder`, sorted."""
    return {file.as_posix(): (folder / file).stat().st_size for file in audio_below(folder).files}


def place_of_teacher(folder: Path, teacher_hash: str, clips_hash: str) -> Path:
    """Where in `folder` is kept what is known of a teacher on some clips."""
    return folder / f"teacher-{teacher_hash[:12]}-set-{clips_hash[:12]}"


def is_of_a_teacher(path: Path) -> bool:
    """Whether a file lies in a place of a teacher."""
    return re.fullmatch("teacher-.{1,12}-set-[0-9a-f]{12}", path.parent.name) is not None


def total_bytes(files: Mapping[str, int]) -> int:
    """Of all files that `listed` found."""
    return sum(files.values())


def pair_digest(name: str, noisy: Path, clean: Path, sample_rate: int) -> bytes:
    """Hash of a clip's name and audio, NaN and all: what cannot be scored is said where it is scored."""
    digest = hashlib.sha256(os.fsencode(name))
    for path in (noisy, clean):
        samples, rate = read(path)
        digest.update(resample(to_mono(samples), rate, sample_rate).astype("<f4").tobytes())
    return digest.digest()


def joint_hash(digests: Iterable[bytes]) -> str:
    """Hash of a whole set from those of its clips."""
    return hashlib.sha256(b"".join(digests)).hexdigest()
