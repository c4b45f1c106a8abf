"""Reading, writing and resampling, and what is said about files that are none."""

import errno
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from sedistill.audio.files import AudioFileError, probe, read, read_mono, resample, write
from sedistill.errors import UserError

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
    with pytest.raises(AudioFileError, match="3900 to 4100 were asked for, it has 4000"):
        read(tmp_path / "a.wav", 3900, 200)


def test_mono_is_the_mean_of_the_channels(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", SOUND, 16_000, "FLOAT")
    assert read_mono(tmp_path / "a.wav", 16_000) == pytest.approx(SOUND.mean(axis=1), abs=1e-7)


@given(
    length=st.integers(1, 3000),
    rates=st.tuples(*[st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000])] * 2),
    channels=st.integers(1, 3),
)
def test_resampled_length_is_the_rounded_share(length: int, rates: tuple[int, int], channels: int) -> None:
    samples = np.ones((length, channels), np.float32)
    converted = resample(samples, *rates)
    assert converted.shape == (max(1, round(length * rates[1] / rates[0])), channels)
    assert converted.dtype == np.float32


def test_resampling_keeps_a_tone_where_it_was() -> None:
    def tone(rate: int) -> np.ndarray:
        return np.sin(2 * np.pi * 440 * np.arange(rate) / rate)

    middle = slice(2000, 14_000)
    assert resample(tone(44_100), 44_100, 16_000)[middle] == pytest.approx(tone(16_000)[middle], abs=1e-4)


def test_resampling_takes_away_what_the_new_rate_cannot_hold() -> None:
    tone = np.sin(2 * np.pi * 9_000 * np.arange(44_100) / 44_100)
    assert np.abs(resample(tone, 44_100, 16_000)[1000:-1000]).max() < 1e-4


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
    assert (str(error), error.path, error.reason) == ("a.wav: is empty.", "a.wav", "is empty")


def test_unwritable_formats_say_what_to_use(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'.xyz'; use .wav or .flac"):
        write(tmp_path / "a.xyz", SOUND, 16_000)
    with pytest.raises(UserError, match="cannot be coded as FLOAT; use one of"):
        write(tmp_path / "a.flac", SOUND, 16_000, "FLOAT")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.wav", SOUND, 16_000)
    before = (tmp_path / "a.wav").read_bytes()

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="the disk is full"):
        write(tmp_path / "a.wav", SOUND * 2, 16_000)
    assert (tmp_path / "a.wav").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
