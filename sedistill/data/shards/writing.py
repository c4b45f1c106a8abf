"""The files of a corpus written as shards: plain tar files, each of one split and kind."""

import hashlib
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sedistill.common.errors import UserError
from sedistill.common.progress import track
from sedistill.data.corpus import Corpus
from sedistill.data.shards.members import PIECE_BYTES, Member, piece_digest
from sedistill.data.shards.ranges import file_system, is_mended_by_waiting, is_url

SHARD_BYTES = 256 * 2**20
_TRIES = 5


@dataclass(frozen=True)
class Destination:
    """A folder or URL that files are put into."""

    place: str
    files: Any
    root: str

    @classmethod
    def open(cls, place: str, overwrite: bool, marker: str) -> "Destination":
        """Raises UserError where nothing can be written, or a corpus lies there and is not to be replaced."""
        files, root = file_system(place)
        one = cls(place, files, root.rstrip("/"))
        taken = one._tried(lambda: files.exists(f"{one.root}/{marker}"))
        if taken and not overwrite:
            raise UserError(f"{place} holds a corpus already; give another place, or --overwrite.")
        return one

    def put(self, path: Path, name: str) -> None:
        """Copy a file there, under its name in a moment where that is a folder. Raises UserError."""
        if is_url(self.place):
            self._tried(lambda: self.files.put_file(str(path), f"{self.root}/{name}"))
            return
        target = Path(self.root, name)
        self.files.makedirs(str(target.parent), exist_ok=True)
        self._tried(lambda: self.files.put_file(str(path), f"{target}.new"))
        os.replace(f"{target}.new", target)

    def _tried(self, work: Callable[[], Any]) -> Any:
        for number in range(_TRIES):
            try:
                return work()
            except Exception as error:  # each file system has its own
                last = number + 1 == _TRIES or not is_mended_by_waiting(error)
                if last:
                    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                    raise UserError(
                        f"{self.place} cannot be written: {reason.rstrip('.')}; mend that."
                    ) from None
            time.sleep(2.0**number)
        return None


def write_shards(corpus: Corpus, destination: Destination, workplace: Path) -> Iterator[Member]:
    """Write every file of a corpus; yields where each lies, in the order of its files.

    Args:
        workplace: a folder where one shard at a time has room.
    """
    clips = corpus.clips
    _, rows = np.unique(clips.file, return_index=True)
    shard: list[tuple[str, str]] = []
    kind, held, number = "", 0, 0
    files = zip(rows.tolist(), corpus.files().items(), strict=True)
    for row, (name, path) in track(files, len(rows), "Sharding", "files"):
        own, size = f"{clips.text('split', row)}-{clips.text('kind', row)}", os.path.getsize(path)
        if shard and (own != kind or held + size > SHARD_BYTES):
            yield from _write(shard, f"{kind}-{number:06d}.tar", destination, workplace)
            number = number + 1 if own == kind else 0
            shard, held = [], 0
        kind, held = own, held + size
        shard.append((name, path))
    if shard:
        yield from _write(shard, f"{kind}-{number:06d}.tar", destination, workplace)


def _write(
    files: list[tuple[str, str]], shard: str, destination: Destination, workplace: Path
) -> list[Member]:
    local, hashed = workplace / shard, {}
    with tarfile.open(local, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, path in files:
            info = tarfile.TarInfo(name)  # without times and owners: the same files, the same bytes
            info.size, info.mode = os.path.getsize(path), 0o644
            with open(path, "rb") as file:
                reader = _Hashing(file)
                archive.addfile(info, reader)  # type: ignore[arg-type]
            hashed[name] = reader
    with tarfile.open(local, "r:") as archive:
        members = [
            Member(info.name, shard, info.offset_data, info.size, hashed[info.name].whole.hexdigest(),
                   hashed[info.name].digests(info.size))
            for info in archive
        ]  # fmt: skip
    destination.put(local, shard)
    local.unlink()
    return members


class _Hashing:
    """Reads a file, and keeps the hash of the whole and of each piece."""

    def __init__(self, file: Any) -> None:
        self.file, self.whole = file, hashlib.sha256()
        self.pieces: list[str] = []
        self.begun = b""

    def read(self, size: int) -> bytes:
        data = self.file.read(size)
        self.whole.update(data)
        self.begun += data
        while len(self.begun) >= PIECE_BYTES:
            self.pieces.append(piece_digest(self.begun[:PIECE_BYTES]))
            self.begun = self.begun[PIECE_BYTES:]
        return data

    def digests(self, size: int) -> str:
        """Of the pieces, where there are several."""
        if size <= PIECE_BYTES:
            return ""
        return "".join([*self.pieces, *([piece_digest(self.begun)] if self.begun else [])])
