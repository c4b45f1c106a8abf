"""Pieces of shards kept in a folder of this machine, which any number of processes share."""

import os
import re
from contextlib import suppress
from pathlib import Path

_PIECE = re.compile(r"[0-9a-f]{64}-\d+(\.\d+)?")
"""The name of a piece, and of what a killed process left of one."""
_LEFT_AFTER_CLEARING = 0.9
_LOOKS_A_FILL = 100  # so each process puts at most a hundredth beyond what the cache may hold


class PieceCache:
    """At most some bytes of pieces by their names; what was not used for longest goes first.

    It holds copies only: a folder that is full or cannot be written holds less, or nothing. What else lies in
    the folder neither counts nor goes.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self.most_bytes = folder, most_bytes
        self.unlooked_bytes = most_bytes  # looks at the first piece that is put

    def get(self, name: str) -> bytes | None:
        path = self._path(name)
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return data

    def put(self, name: str, data: bytes) -> None:
        path = self._path(name)
        new = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(data)
            os.replace(new, path)
        except OSError:
            with suppress(OSError):
                new.unlink()
            return
        self.unlooked_bytes += len(data)
        if self.unlooked_bytes > self.most_bytes / _LOOKS_A_FILL:
            self.unlooked_bytes = 0
            self._clear()

    def drop(self, name: str) -> None:
        with suppress(OSError):
            self._path(name).unlink()

    def _clear(self) -> None:
        found = []
        for folder, below, names in os.walk(self.folder):
            below[:] = [name for name in below if len(name) == 2]
            own = os.path.basename(folder)
            for name in names:
                if name[:2] != own or not _PIECE.fullmatch(name):
                    continue
                with suppress(OSError):
                    status = os.stat(os.path.join(folder, name))
                    found.append((status.st_mtime_ns, status.st_size, os.path.join(folder, name)))
        total = sum(size for _, size, _ in found)
        if total <= self.most_bytes:
            return
        for _, size, path in sorted(found):
            with suppress(OSError):
                os.unlink(path)
            total -= size
            if total <= _LEFT_AFTER_CLEARING * self.most_bytes:
                return

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / name
