"""Whether a WAV file's header tells of all the samples in it: libsndfile believes it, and stops there."""

import struct
from pathlib import Path

_MOST_STRAY = 4096  # bytes after the last chunk that some programs leave behind


def why_size_is_wrong(path: Path | str) -> str:
    """What is wrong when far more lies in a WAV file than its header says; "" when nothing is.

    A size of 0 is what a recorder leaves that was broken off before it could fill it in.
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
        f"damaged: its header tells of {declared} bytes of samples, and {stray} more lie behind; write it "
        "anew, as by ffmpeg -i FILE FILE.flac"
    )
