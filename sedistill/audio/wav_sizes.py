"""Whether a WAV file's header tells of all the samples in it: libsndfile believes it, and stops there."""

import io
import struct
from pathlib import Path

_MOST_STRAY = 4096  # bytes after the last chunk that some programs leave behind


def why_size_is_wrong(path: Path | str) -> str:
    """What is wrong when far more lies in a WAV file than its header says; "" when nothing is.

    A size of 0 is what a recorder leaves that was broken off before it could fill it in (`never_closed`).
    """
    with open(path, "rb") as file:
        length = file.seek(0, 2)
        file.seek(12)
        declared = 0
        while len(head := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            end = file.tell() + size
            if name == b"data":
                declared = size
            elif not (name.isascii() and name.decode("ascii").isprintable()) or end > length:
                break  # no chunk
            file.seek(end + size % 2)
            if file.tell() >= length:
                return ""
        stray = length - (file.tell() - len(head))
    if stray <= _MOST_STRAY + declared // 100:
        return ""
    return (
        f"is damaged: its header tells of {declared} bytes of samples, and {stray} more lie behind; write it "
        "anew, as by ffmpeg -i FILE FILE.flac"
    )


class _Unfinished(io.FileIO):
    """A WAV file whose data chunk seems to have the size that streams have, so that all of it is read."""

    def __init__(self, path: Path | str, size_at: int) -> None:
        super().__init__(path, "rb")
        self.size_at = size_at

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        start = self.tell()
        count = super().readinto(buffer) or 0
        for place in range(self.size_at, self.size_at + 4):
            if start <= place < start + count:
                memoryview(buffer).cast("B")[place - start] = 0xFF
        return count

    def read(self, size: int | None = -1) -> bytes:
        buffer = bytearray(self.seek(0, 2) if size is None or size < 0 else size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])


def never_closed(path: Path | str) -> io.FileIO | None:
    """A WAV file with 0 for the size of its samples, to be read to its end; None where that makes no sense.

    It does where the format chunk fits itself: samples of whole bytes, so many channels of them a frame.
    """
    with open(path, "rb") as file:
        file.seek(12)
        is_sane = False
        while len(head := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name == b"fmt " and 16 <= size <= 64:
                _, channels, rate, bytes_a_second, block, bits = struct.unpack("<HHIIHH", file.read(16))
                is_sane = (
                    1 <= channels <= 64 and 1000 <= rate <= 768_000 and bits in (8, 16, 24, 32, 64)
                    and block == channels * bits // 8 and bytes_a_second == rate * block
                )  # fmt: skip
                size -= 16
            elif name == b"data":
                return _Unfinished(path, file.tell() - 4) if is_sane and size == 0 else None
            file.seek(size + size % 2, 1)
    return None
