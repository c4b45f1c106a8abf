"""The size that a WAV file's header declares, in both directions."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from sedistill.audio.files import AudioFileError, probe, read, read_blocks

DATA = (8000 * np.sin(np.arange(16_000) / 20)).astype("<i2").tobytes()
SIZE = len(DATA)
LIST = b"LIST" + struct.pack("<I", 4) + b"abcd"


def wav(declared: int, riff: int, tail: bytes = b"", before: bytes = b"", block: int = 2) -> bytes:
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, block, 16)
    return (
        b"RIFF" + struct.pack("<I", riff) + b"WAVE" + form + before
        + b"data" + struct.pack("<I", declared) + DATA + tail
    )  # fmt: skip


WHOLE = {
    "as declared": wav(SIZE, 36 + SIZE),
    "chunks before and behind": wav(SIZE, 60 + SIZE, LIST, LIST),
    "a tag behind": wav(SIZE, 36 + SIZE, b"TAG" + bytes(125)),
    "streamed": wav(0xFFFFFFFF, 0xFFFFFFFF),
    "streamed by sox": wav(0x7FFFF000, 0x7FFFF024),
    "streamed by others": wav(0x7FFFFFFF, 0x7FFFFFFF),
    "never closed": wav(0, 0),
    "never closed, riff right": wav(0, 36 + SIZE, before=LIST),
}
WRONG = {
    "twice as much": (wav(2 * SIZE, 36 + 2 * SIZE), "cut short"),
    "half of it": (wav(SIZE // 2, 36 + SIZE // 2), "16000 bytes of samples, and 16000 more"),
    "half of it, riff right": (wav(SIZE // 2, 36 + SIZE), "16000 bytes of samples, and 16000 more"),
    "nothing, and a format that does not fit": (wav(0, 0, block=3), "0 bytes of samples, and 32000 more"),
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
    with pytest.raises(AudioFileError, match=rf"a{suffix} is damaged.*{fault}"):
        probe(path)


def test_what_was_never_closed_is_read_from_anywhere_and_in_any_coding(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (40_000, 2)).astype(np.float32)
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE"):
        path = tmp_path / f"{subtype}.wav"
        sf.write(path, sound, 16_000, subtype=subtype)
        whole, _ = read(path)
        content = path.read_bytes()
        size_at = content.index(b"data") + 4
        path.write_bytes(content[:size_at] + bytes(4) + content[size_at + 4 :])
        assert np.array_equal(read(path)[0], whole)
        assert np.array_equal(read(path, 39_000, 500)[0], whole[39_000:39_500])
        assert np.array_equal(np.concatenate(list(read_blocks(path))), whole)
    path.write_bytes(path.read_bytes()[:-5])  # broken off within a sample
    assert np.array_equal(read(path)[0], whole[:-1])


def test_no_samples_are_no_samples(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.zeros(0, np.float32), 16_000)
    assert probe(tmp_path / "a.wav").frames == 0
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes() + LIST)
    assert probe(tmp_path / "b.wav").frames == 0
