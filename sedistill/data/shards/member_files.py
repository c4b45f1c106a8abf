"""A file in a shard, of which no more is fetched than is read."""

import io
from collections import OrderedDict
from pathlib import Path
from typing import Any

from sedistill.common.errors import UserError
from sedistill.common.progress import track
from sedistill.data.shards.members import MEMBERS, PIECE_BYTES, Member, Members, read_members
from sedistill.data.shards.piece_cache import PieceCache
from sedistill.data.shards.ranges import Ranges, ShardError, is_url
from sedistill.data.shards.shard_settings import ShardSettings

_PIECES_IN_MEMORY = 8


class ShardReader:
    """The files of a corpus in its shards, by their numbers."""

    def __init__(self, members: Members, place: str, settings: ShardSettings) -> None:
        self.members, self.settings = members, settings
        self.ranges = Ranges(place, settings.patience_seconds)
        folder = settings.cache
        self.cache = None if folder is None else PieceCache(folder, int(settings.cache_gb * 1e9))
        self.recent: OrderedDict[str, bytes] = OrderedDict()
        self.skipped: set[str] = set()

    def open(self, file: int) -> "MemberFile":
        return MemberFile(self, self.members[file])

    def where(self, file: int) -> str:
        """For messages."""
        member = self.members[file]
        return f"{self.ranges.where(member.shard)}/{member.name}"

    def tell_of_skipping(self, error: ShardError) -> None:
        """Once for each shard."""
        if error.shard not in self.skipped:
            print(f"note: {error.shard}: {error.reason}; skipped, others are taken in its place.", flush=True)
            self.skipped.add(error.shard)

    def piece(self, member: Member, number: int) -> bytes:
        """The bytes of a piece, as they were written. Raises ShardError."""
        name = f"{member.sha256}-{number}"
        data = self.recent.pop(name, None) or self._kept(member, number, name)
        if data is None:
            first, end = member.place_of(number)
            data = self.ranges.read(member.shard, first, end, lambda data: member.is_sound(number, data))
            if self.cache is not None:
                self.cache.put(name, data)
        self.recent[name] = data
        if len(self.recent) > _PIECES_IN_MEMORY:
            self.recent.popitem(last=False)
        return data

    def _kept(self, member: Member, number: int, name: str) -> bytes | None:
        data = None if self.cache is None else self.cache.get(name)
        if data is None or member.is_sound(number, data):
            return data
        assert self.cache is not None
        self.cache.drop(name)
        return None


def open_shards(
    folder: Path, place: str, written_hash: Any, settings: ShardSettings, remedy: str
) -> ShardReader:
    """The shards in `place` of the corpus in `folder`, relative to it where that is no URL.

    Raises UserError, ending with `remedy`, where members.csv is not what `written_hash` is of.
    """
    members, found = read_members(folder, remedy)
    if found != written_hash:
        raise UserError(
            f"{folder / MEMBERS} was changed since it was written; put back what was there, or {remedy}."
        )
    return ShardReader(members, place if is_url(place) else str((folder / place).absolute()), settings)


class MemberFile(io.RawIOBase):
    """A file to read from any place.

    A decoder written in C reads it, through which no exception goes: one is kept, the file seems to end
    there, and leaving the `with` block raises it.
    """

    def __init__(self, reader: ShardReader, member: Member) -> None:
        self.reader, self.member, self.place = reader, member, 0
        self.error: BaseException | None = None

    def __str__(self) -> str:
        return f"{self.reader.ranges.where(self.member.shard)}/{self.member.name}"

    def __exit__(self, *_: Any) -> None:
        self.close()
        if self.error is not None:
            raise self.error from None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.member.size}[whence]
        self.place = max(0, start + offset)
        return self.place

    def readinto(self, buffer: Any) -> int:
        view, done = memoryview(buffer).cast("B"), 0
        try:
            while done < len(view) and self.place < self.member.size and self.error is None:
                number, start = divmod(self.place, PIECE_BYTES)
                part = self.reader.piece(self.member, number)[start : start + len(view) - done]
                view[done : done + len(part)] = part
                done, self.place = done + len(part), self.place + len(part)
        except BaseException as error:
            self.error = error
        return done


def faults_of_shards(reader: ShardReader) -> list[str]:
    """A few words on every file of the shards that is not what was written; all of them are read."""
    faults = []
    for number in track(range(len(reader.members)), description="Reading", unit="files"):
        member = reader.members[number]
        try:
            for piece in range(member.count):
                reader.piece(member, piece)
        except ShardError as error:
            faults.append(f"{member.name} ({reader.ranges.where(member.shard)}: {error.reason})")
    return faults
