"""Reading, writing and resampling, and what is said about files that are none."""

import errno
import os
import pickle
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from sedistill.audio.files import (
    AudioFileError,
    probe,
    read,
    read_blocks,
    read_mono,
    to_mono,
    write,
    write_blocks,
)
from sedistill.audio.resampling import BLOCK_FRAMES
from sedistill.common.errors import UserError

SOUND = (0.1 * np.random.default_rng(0).standard_normal((4000, 2))).astype(np.float32)


def test_probe_tells_what_the_header_says(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SOUND, 44_100, subtype="PCM_24")
    info = probe(tmp_path / "a.wav")
    assert (info.sample_rate, info.channels, info.frames) == (44_100, 2, 4000)
    assert (info.format, info.subtype) == ("WAV", "PCM_24")
    assert info.seconds == pytest.approx(4000 / 44_100)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "a.W64"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_what_was_read_is_written_back_bit_for_bit(tmp_path: Path, name: str, subtype: str) -> None:
    bits = int(subtype[-2:])
    steps = np.random.default_rng(0).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (1000, 2))
    samples = (steps / 2.0 ** (bits - 1)).astype(np.float32)
    write(tmp_path / name, samples, 16_000, subtype)
    assert probe(tmp_path / name).subtype == subtype
    again, rate = read(tmp_path / name)
    assert rate == 16_000
    assert np.array_equal(again, samples)


@pytest.mark.parametrize("subtype", ["DWVW_16", "DWVW_24"])
def test_full_scale_does_not_turn_over_into_the_lowest_sample(tmp_path: Path, subtype: str) -> None:
    sound = np.array([0.5, 1.0, -1.0, 1.5, 0.25] * 100, np.float32)
    write(tmp_path / "a.aiff", sound, 16_000, subtype)
    np.testing.assert_allclose(read(tmp_path / "a.aiff")[0][:, 0], sound.clip(-1, 1), atol=1e-4)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.opus"])
def test_usual_formats_keep_rate_channels_and_length(tmp_path: Path, name: str) -> None:
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)
    write(tmp_path / name, tone, 16_000)
    samples, rate = read(tmp_path / name)
    assert (samples.shape[1], rate) == (1, 16_000)
    assert len(samples) == pytest.approx(16_000, abs=2500 if name == "a.mp3" else 0)
    assert np.abs(samples[4000:8000]).max() == pytest.approx(0.3, abs=0.05)


def test_too_loud_is_limited_not_wrapped(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", np.array([2.0, -2.0, 0.5]), 16_000, "PCM_16")
    assert read_mono(tmp_path / "a.wav", 16_000) == pytest.approx([1.0, -1.0, 0.5], abs=1e-4)


@given(start=st.integers(0, 4000), frames=st.integers(0, 4000))
def test_a_part_is_that_part_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, start: int, frames: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "part.flac"
    if not path.exists():
        write(path, SOUND, 16_000)
    frames = min(frames, 4000 - start)
    whole, _ = read(path)
    part, _ = read(path, start, frames)
    assert np.array_equal(part, whole[start : start + frames])


def test_a_part_beyond_the_end_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", SOUND, 16_000)
    with pytest.raises(AudioFileError, match="has 4000 samples; 3900 to 4100 were asked for"):
        read(tmp_path / "a.wav", 3900, 200)


def test_mono_is_the_mean_of_the_channels(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", SOUND, 16_000, "FLOAT")
    assert read_mono(tmp_path / "a.wav", 16_000) == pytest.approx(SOUND.mean(axis=1), abs=1e-7)


def test_what_is_no_audio_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("these are words, not samples\n" * 20)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder.wav").mkdir()
    for name, reason in {
        "text.wav": "not audio",
        "empty.wav": "0 bytes",
        "folder.wav": "a folder",
        "none.wav": "does not exist",
    }.items():
        for look in (probe, read):
            with pytest.raises(AudioFileError, match=reason) as error:
                look(tmp_path / name)
            assert str(tmp_path / name) in str(error.value)


@pytest.mark.parametrize("name", ["a.flac", "a.wav"])
def test_a_file_cut_short_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, np.tile(SOUND, (10, 1)), 16_000)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    # A FLAC header does not know where the file ends; decoding does.
    for look in (read, probe) if name == "a.wav" else (read,):
        with pytest.raises(AudioFileError, match="damaged or cut short"):
            look(tmp_path / name)


def test_a_wav_written_to_a_pipe_is_whole(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", SOUND, 16_000)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"  # sizes unknown when the header was written
    (tmp_path / "a.wav").write_bytes(data)
    assert probe(tmp_path / "a.wav").frames == 4000


def test_errors_survive_the_way_back_from_a_worker() -> None:
    error = pickle.loads(pickle.dumps(AudioFileError("a.wav", "is empty")))
    assert isinstance(error, AudioFileError)
    assert (str(error), error.path, error.reason) == ("a.wav is empty.", "a.wav", "is empty")


def test_unwritable_formats_say_what_to_use(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'.xyz'; use .wav or .flac"):
        write(tmp_path / "a.xyz", SOUND, 16_000)
    with pytest.raises(UserError, match="cannot be coded as FLOAT; use one of"):
        write(tmp_path / "a.flac", SOUND, 16_000, "FLOAT")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_file_that_finds_no_room_leaves_the_old_one(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, SOUND[:100], 16_000)
    before = (tmp_path / name).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Room for the beginning. libsndfile fails at the WAV's samples, and is silent about the FLAC's end.
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, hard))
    try:
        with pytest.raises(UserError, match="it is larger than the file system there, or ulimit"):
            write(tmp_path / name, SOUND, 16_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / name).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_full_disk_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise soundfile.LibsndfileError(2)  # all that libsndfile says of it

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(soundfile.SoundFile, "write", refuse)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"a\.wav: the disk is full"):
        write(tmp_path / "a.wav", SOUND, 16_000)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_is_heard_while_a_file_is_encoded(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    long_block = np.random.default_rng(0).integers(-9999, 9999, 5_000_000).astype(np.int16)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / "a.flac", long_block, 16_000)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff"])
def test_blocks_are_parts_of_the_whole(tmp_path: Path, name: str) -> None:
    sound = np.tile(SOUND, (40, 1))
    write(tmp_path / name, sound, 16_000)
    whole, _ = read(tmp_path / name)
    blocks = list(read_blocks(tmp_path / name))
    assert len(blocks) == 3
    assert max(len(block) for block in blocks) == BLOCK_FRAMES
    assert np.array_equal(np.concatenate(blocks), whole)
    part = np.concatenate(list(read_blocks(tmp_path / name, 70_000, 80_000)))
    assert np.abs(part - whole[70_000:150_000]).max() < 1e-6  # of MP3 by rounding, else 0


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff"])
def test_a_file_written_in_blocks_is_the_file_written_whole(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, SOUND, 16_000)
    blocks = (SOUND[first : first + 777] for first in range(0, len(SOUND), 777))
    write_blocks(tmp_path / f"blocks_{name}", blocks, 16_000, None, channels=2)
    assert (tmp_path / f"blocks_{name}").read_bytes() == (tmp_path / name).read_bytes()


def test_a_format_named_apart_from_the_suffix(tmp_path: Path) -> None:
    for asked, written in (("PCM_24", "PCM_24"), (None, "PCM_16")):
        write_blocks(tmp_path / "a.wav", [SOUND], 16_000, asked, 2, "FLAC")
        info = probe(tmp_path / "a.wav")
        assert (info.format, info.subtype, info.frames) == ("FLAC", written, 4000)


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.wav", "GSM610"), ("a.au", "G721_32"), ("a.aiff", "DWVW_16")]
)
def test_codings_that_cannot_be_sought_are_written(tmp_path: Path, name: str, subtype: str) -> None:
    write(tmp_path / name, SOUND[:, 0], 16_000, subtype)
    assert probe(tmp_path / name).frames >= 4000  # GSM in whole frames


def test_the_mp3_decoder_has_nothing_to_complain_about(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # Of such a file it does complain when it is to start near the end.
    write(tmp_path / "a.mp3", 0.1 * np.random.default_rng(0).standard_normal(100_001), 16_000)
    list(read_blocks(tmp_path / "a.mp3"))
    assert capfd.readouterr().err == ""


def test_a_full_disk_is_blamed_whatever_libsndfile_says(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, hard))  # no room for a header: "flac decoder", it says
    try:
        with pytest.raises(UserError, match="it is larger than the file system there, or ulimit"):
            write(tmp_path / "a.flac", SOUND, 16_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_middle_of_writing_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield SOUND
        raise AudioFileError("source.wav", "damaged")

    with pytest.raises(AudioFileError, match=r"source\.wav"):
        write_blocks(tmp_path / "a.flac", broken(), 16_000, None, channels=2)
    assert list(tmp_path.iterdir()) == []


def test_blocks_before_the_place_where_a_file_breaks_off_are_given(tmp_path: Path) -> None:
    write(tmp_path / "a.flac", np.random.default_rng(0).uniform(-1, 1, 300_000), 16_000)
    whole = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(whole[: len(whole) // 2])
    blocks = read_blocks(tmp_path / "a.flac")
    assert [len(next(blocks)) for _ in range(2)] == [BLOCK_FRAMES, BLOCK_FRAMES]
    with pytest.raises(AudioFileError, match=r"damaged or cut short after sample 131072 of 300000"):
        next(blocks)


def test_a_flac_from_a_pipe_does_not_know_its_length(tmp_path: Path) -> None:
    write(tmp_path / "a.flac", SOUND, 16_000)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[21] &= 0xF0  # 36 bits of STREAMINFO: the number of samples, 0 for unknown
    data[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(data)
    for look in (probe, read):
        with pytest.raises(AudioFileError, match=r"a\.flac does not say how long it is"):
            look(tmp_path / "a.flac")


@pytest.mark.parametrize("channels", [1, 2, 3, 8, 9])
def test_the_mean_of_any_number_of_channels(channels: int) -> None:
    samples = np.random.default_rng(0).standard_normal((50, channels)).astype(np.float32)
    mono = to_mono(samples)
    assert mono.dtype == np.float32
    assert mono == pytest.approx(samples.astype(np.float64).mean(axis=1), abs=1e-6)
