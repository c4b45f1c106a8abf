"""corpus.csv: written, read through its index, and hashed."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedistill.common.csv_files import read_parts, write_csv
from sedistill.common.csv_index import indexed
from sedistill.common.reading import require_file
from sedistill.common.writing import atomic_path
from sedistill.data.clip_table import COLUMNS, INDEX_VERSION, Clip, ClipTable

MANIFEST = "corpus.csv"
_DECISIVE_COLUMNS = (
    "root", "path", "kind", "split", "group", "start", "frames", "active_level_db", "peak", "offset", "pair",
)  # fmt: skip
_ROWS_HASH = "rows_hash of "


def write_manifest(folder: Path, clips: ClipTable, rows: NDArray[np.int64]) -> None:
    """Write these rows as a folder's corpus.csv, whole or not at all."""
    with atomic_path(folder / MANIFEST) as path:
        write_csv(path, COLUMNS, clips.lines(tuple(COLUMNS), rows))


def read_manifest(folder: Path, sample_rate: int, remedy: str) -> tuple[ClipTable, Mapping[str, str], str]:
    """The clips, `rows_hash` of those of each split, and the hash of the file.

    Raises UserError naming line and column, ending with `remedy`.
    """
    path = require_file(folder / MANIFEST, remedy)

    def build() -> tuple[Mapping[str, NDArray], dict[str, str]]:
        clips = ClipTable.joined(read_parts(path, Clip, remedy))
        splits = {name: np.flatnonzero(clips.is_in("split", name)) for name in clips.choices["split"]}
        hashes = {name: rows_hash(clips, rows, sample_rate) for name, rows in splits.items()}
        return clips.arrays, {f"{_ROWS_HASH}{name}": one for name, one in hashes.items()}

    arrays, facts = indexed(path, f"clips {INDEX_VERSION} at {sample_rate} Hz", build)
    hashes = {
        name.removeprefix(_ROWS_HASH): one for name, one in facts.items() if name.startswith(_ROWS_HASH)
    }
    return ClipTable(arrays), hashes, facts["of"]


def rows_hash(clips: ClipTable, rows: NDArray[np.int64], sample_rate: int) -> str:
    """Of what decides which mixtures are drawn from these rows: levels, splits, pairs, paths."""
    digest = hashlib.sha256(str(sample_rate).encode())
    for cells in clips.lines(_DECISIVE_COLUMNS, rows):
        digest.update(("\n" + "\t".join(cells)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def clips_hash(clips: ClipTable, sample_rate: int) -> str:
    """Of what the clips are, not where they lie."""
    said = ("kind", "split", "group", "start", "frames", "audio_sha256", "pair")
    lines = sorted("\t".join(cells) for cells in clips.lines(said, np.arange(len(clips))))
    return hashlib.sha256(os.fsencode("\n".join([str(sample_rate), *lines]))).hexdigest()
