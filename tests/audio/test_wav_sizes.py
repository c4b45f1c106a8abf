"""The size that a WAV file's header declares, in both directions."""

import struct
from pathlib import Path

import numpy as np
import pytest

from sedistill.audio.files import AudioFileError, probe, read

DATA = (8000 * np.sin(np.arange(16_000) / 20)).astype("<i2").tobytes()
SIZE = len(DATA)


def wav(declared: int, riff: int, tail: bytes = b"", before: bytes = b"") -> bytes:
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    return (
        b"RIFF" + struct.pack("<I", riff) + b"WAVE" + form + before
        + b"data" + struct.pack("<I", declared) + DATA + tail
    )  # fmt: skip


LIST = b"LIST" + struct.pack("<I", 4) + b"abcd"
WHOLE = {
    "as declared": wav(SIZE, 36 + SIZE),
    "chunks before and behind": wav(SIZE, 60 + SIZE, LIST, LIST),
    "a tag behind": wav(SIZE, 36 + SIZE, b"TAG" + bytes(125)),
    "streamed": wav(0xFFFFFFFF, 0xFFFFFFFF),
    "streamed by sox": wav(0x7FFFF000, 0x7FFFF024),
    "streamed by others": wav(0x7FFFFFFF, 0x7FFFFFFF),
}
WRONG = {
    "twice as much": (wav(2 * SIZE, 36 + 2 * SIZE), "cut short"),
    "half of it": (wav(SIZE // 2, 36 + SIZE // 2), "16000 bytes of samples, and 16000 more"),
    "half of it, riff right": (wav(SIZE // 2, 36 + SIZE), "16000 bytes of samples, and 16000 more"),
    "nothing": (wav(0, 0), "0 bytes of samples, and 32000 more"),
    "nothing, riff right": (wav(0, 36 + SIZE), "0 bytes of samples, and 32000 more"),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("suffix", [".wav", ".WAV", ".snd"])
def test_whole_and_streamed_files_are_read_to_their_end(tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(WHOLE[name])
    samples, _ = read(path)
    assert probe(path).frames == len(samples) == 16_000


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("suffix", [".wav", ".dat"])
def test_a_wrong_size_is_told_by_name(tmp_path: Path, name: str, suffix: str) -> None:
    content, fault = WRONG[name]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(AudioFileError, match=rf"a{suffix}: damaged.*{fault}"):
        probe(path)
