"""members.csv: where in which shard each file of a corpus lies, and what it has to hold."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from sedistill.common.csv_files import read_parts, write_csv
from sedistill.common.csv_index import Arrays, Facts, indexed
from sedistill.common.paths import PathInside
from sedistill.common.reading import require_file
from sedistill.common.texts import TextColumn, Texts
from sedistill.common.writing import atomic_path
from sedistill.data.content_table import Contents

MEMBERS = "members.csv"
PIECE_BYTES = 1 << 20
"""What is read and kept at once: most recordings are one piece."""
_PIECE_HEX = 16
_COLUMNS = ("name", "shard", "offset", "size", "sha256", "pieces")


def _hash(text: str) -> str:
    if len(bytes.fromhex(text)) != 32:
        raise ValueError("it must be a SHA-256")
    return text


@dataclass(frozen=True, slots=True)
class Member:
    """A file of `size` bytes in a shard, from `offset` on.

    `pieces` holds a digest of each piece, one behind another, where there are several.
    """

    name: str
    shard: PathInside
    offset: Annotated[int, Field(ge=0)]
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, AfterValidator(_hash)]
    pieces: str

    @property
    def count(self) -> int:
        return -(-self.size // PIECE_BYTES)

    def place_of(self, piece: int) -> tuple[int, int]:
        """First byte of a piece in the shard, and the one behind its last."""
        start = piece * PIECE_BYTES
        return self.offset + start, self.offset + min(start + PIECE_BYTES, self.size)

    def is_sound(self, piece: int, data: bytes) -> bool:
        """Whether these are the bytes of a piece."""
        if not self.pieces:
            return hashlib.sha256(data).hexdigest() == self.sha256
        return piece_digest(data) == self.pieces[piece * _PIECE_HEX : (piece + 1) * _PIECE_HEX]


def piece_digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:_PIECE_HEX]


class Members:
    """The members of all shards, in the order of the corpus's files."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self.texts = {name: Texts.stored(arrays, name) for name in ("name", "pieces")}
        self.shards = list(Texts.stored(arrays, "shards"))

    def __len__(self) -> int:
        return len(self.arrays["offset"])

    def __getitem__(self, file: int) -> Member:
        return Member(
            self.texts["name"][file],
            self.shards[self.arrays["shard"][file]],
            int(self.arrays["offset"][file]),
            int(self.arrays["size"][file]),
            self.arrays["sha256"][file].tobytes().hex(),
            self.texts["pieces"][file],
        )

    def contents(self) -> Contents:
        """What the files hold; of no size and time, as they lie in no folder."""
        stamps = np.zeros((len(self), 3), np.int64)
        return Contents(self.texts["name"], stamps, self.arrays["sha256"])


def write_members(folder: Path, members: Iterable[Member]) -> None:
    """Write members.csv, whole or not at all."""
    with atomic_path(folder / MEMBERS) as path:
        write_csv(path, _COLUMNS, ([getattr(member, name) for name in _COLUMNS] for member in members))


def read_members(folder: Path, remedy: str) -> tuple[Members, str]:
    """What was written, and the hash of the file. Raises UserError naming line and column."""
    path = require_file(folder / MEMBERS, remedy)

    def build() -> tuple[Arrays, Facts]:
        return _joined(read_parts(path, Member, remedy)), {}

    arrays, facts = indexed(path, "members 1", build)
    return Members(arrays), facts["of"]


def _joined(parts: Iterator[dict[str, list]]) -> Arrays:
    texts = {name: TextColumn() for name in ("name", "pieces")}
    numbers: dict[str, list[NDArray]] = {name: [] for name in ("shard", "offset", "size", "sha256")}
    shards: dict[str, int] = {}
    for some in parts:
        for name, column in texts.items():
            column.add(some[name])
        codes = [shards.setdefault(shard, len(shards)) for shard in some["shard"]]
        numbers["shard"].append(np.array(codes, np.int32))
        for name in ("offset", "size"):
            numbers[name].append(np.array(some[name], np.int64))
        data = bytes.fromhex("".join(some["sha256"]))
        numbers["sha256"].append(np.frombuffer(data, np.uint8).reshape(-1, 32))
    arrays = {name: np.concatenate(column) for name, column in numbers.items()}
    named = {name: column.texts() for name, column in texts.items()} | {"shards": Texts.of(shards)}
    for name, found in named.items():
        arrays |= found.arrays(name)
    return arrays
