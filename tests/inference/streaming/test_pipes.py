"""Sound through real pipes: what comes out is what files give, at once, and a closed pipe is no drama."""

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sedistill.common.errors import UserError
from sedistill.inference.enhancing import enhance_files
from sedistill.inference.streaming import Stream
from sedistill.inference.streaming.pipes import CODINGS, Sound, enhance_pipe, raw_sound
from tests.inference.enhancing.conftest import music

COMMAND = [sys.executable, "-m", "sedistill", "enhance", "-"]


def piped(data: bytes, raw: Sound | None = None, strength: float | None = None) -> bytes:
    """What a pipe gives, within this process."""
    (read_end, feed), (result, write_end) = os.pipe(), os.pipe()
    found: list[bytes] = []

    def given() -> None:
        with os.fdopen(feed, "wb") as file:
            file.write(data)

    def taken() -> None:
        with os.fdopen(result, "rb") as file:
            found.append(file.read())

    threads = [threading.Thread(target=one) for one in (given, taken)]
    for thread in threads:
        thread.start()
    try:
        enhance_pipe(
            lambda rate: Stream("fastenhancer-t", rate, strength_db=strength), raw, read_end, write_end
        )
    finally:
        os.close(read_end)
        os.close(write_end)
        for thread in threads:
            thread.join()
    return found[0]


@pytest.mark.parametrize("unknown", [None, 0, 0x7FFFF024, 0xFFFFFFFF])
def test_a_wav_is_what_its_file_would_be(unknown: int | None, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", music(90_001, 2, 44_100), 44_100, subtype="PCM_16")
    enhance_files("fastenhancer-t", [tmp_path / "in.wav"], tmp_path / "file.wav")
    data = bytearray((tmp_path / "in.wav").read_bytes())
    if unknown is not None:
        data[40:44] = unknown.to_bytes(4, "little")
    got = piped(bytes(data))
    assert got[:44] == data[:44]
    wanted = soundfile.read(tmp_path / "file.wav", dtype="int16")[0]
    found = np.frombuffer(got[44:], "<i2").reshape(-1, 2)
    assert np.abs(found.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("coding", CODINGS)
def test_no_strength_gives_the_bytes_back(coding: str) -> None:
    sound = Sound(16_000, 2, coding)
    random = np.random.default_rng(0)
    if coding.startswith("f"):
        data = random.uniform(-1, 1, 20_000).astype(np.float32).astype(CODINGS[coding]).tobytes()
    elif coding == "s32le":  # a stream works in single precision
        data = (random.integers(-(2**23), 2**23, 20_000) << 8).astype("<i4").tobytes()
    else:
        data = random.bytes(20_000 * sound.frame_bytes)
    assert piped(data, sound, strength=0) == data


@pytest.mark.parametrize("frames", [0, 5])
def test_many_channels_may_come_in_short_pieces(frames: int) -> None:
    data = np.random.default_rng(0).bytes(frames * 16 * 2)
    assert piped(data, Sound(16_000, 16, "s16le"), strength=0) == data


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
def test_wavs_of_every_kind_are_understood(subtype: str, form: str, tmp_path: Path) -> None:
    sound = music(1001, 1).astype(np.float32)
    soundfile.write(tmp_path / "in.wav", sound, 16_000, subtype=subtype, format=form)
    whole = (tmp_path / "in.wav").read_bytes() + b"LIST\4\0\0\0last"
    got = piped(whole, strength=0)
    (tmp_path / "out.wav").write_bytes(got)
    before, after = (soundfile.read(tmp_path / name)[0] for name in ("in.wav", "out.wav"))
    np.testing.assert_allclose(after, before, atol=1e-7)
    assert len(got) == len(whole)
    assert got.endswith(b"LIST\4\0\0\0last")


def test_samples_come_while_the_pipe_is_open(tmp_path: Path) -> None:
    """A real command answers before its input ends, with all but its latency, and loads no compiler."""
    with (tmp_path / "imports").open("w") as imports:
        process = subprocess.Popen(
            [*COMMAND, "--raw", "16000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=imports,
            env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    data = np.rint(music(16_000)[:, 0] * 2**15).astype("<i2").tobytes()
    process.stdin.write(data)
    process.stdin.flush()
    early = process.stdout.read(2 * (16_000 - 512))  # blocks for good if it waits for the end
    process.stdin.close()
    assert len(early + process.stdout.read()) == len(data)
    assert process.wait() == 0
    imported = {line.rpartition("|")[2].strip() for line in (tmp_path / "imports").read_text().splitlines()}
    assert "torch" in imported
    assert "torch._dynamo" not in imported


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen(
        [*COMMAND, "--raw", "16000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.close()
    try:
        process.stdin.write(bytes(2_000_000))
        process.stdin.close()
    except BrokenPipeError:
        pass
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 0


def test_ctrl_c_leaves_what_came_enhanced() -> None:
    process = subprocess.Popen(
        [*COMMAND, "--raw", "16000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(bytes(2 * 16_000))
    process.stdin.flush()
    early = process.stdout.read(2 * (16_000 - 512))  # it is at work now
    process.send_signal(signal.SIGINT)
    rest, words = process.communicate()
    assert 2 * 15_616 < len(early + rest) <= 2 * 16_000  # the stream kept 384 samples of what it read
    assert words == b"\nsedistill: interrupted; what came until then is enhanced.\n"
    assert process.returncode == 130


def test_quality_of_resampling_is_for_streams(tmp_path: Path) -> None:
    data = np.rint(music(48_000)[:, 0] * 2**15).astype("<i2").tobytes()
    run = partial(subprocess.run, input=data, capture_output=True)
    low = run([*COMMAND, "--raw", "48000", "--resampling", "LQ"])
    assert (low.returncode, low.stderr, len(low.stdout)) == (0, b"", len(data))
    wrong = run([*COMMAND, "--raw", "48000", "--resampling", "best"])
    assert wrong.returncode == 2
    assert b"resampling = 'best' is unknown" in wrong.stderr
    files = run([*COMMAND[:-1], "in.wav", "-o", str(tmp_path), "--resampling", "LQ"])
    assert files.returncode == 2
    assert b"--resampling is for a pipe or --live" in files.stderr


def test_a_command_that_gets_nothing_says_so() -> None:
    result = subprocess.run(COMMAND, input=b"", capture_output=True)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr == b"sedistill: standard input is empty.\n"


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", music(1000), 16_000)
    whole = (tmp_path / "in.wav").read_bytes()
    with pytest.raises(UserError, match="500 bytes fewer than the WAV's header says"):
        piped(whole[:-500])
    with pytest.raises(UserError, match="ended within the WAV's header"):
        piped(whole[:30])
    with pytest.raises(UserError, match="is no WAV; say --raw"):
        piped(bytes(100))
    with pytest.raises(UserError, match="in the middle of a sample of 1 x s16le"):
        piped(bytes(101), raw_sound("16000"))
    soundfile.write(tmp_path / "law.wav", music(1000), 16_000, subtype="ULAW")
    with pytest.raises(UserError, match="another kind than PCM"):
        piped((tmp_path / "law.wav").read_bytes())


@pytest.mark.parametrize("text", ["", "x", "16000,0", "16000,65", "16000,1,mp3", "16000,1,s16le,1"])
def test_raw_forms_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="give RATE"):
        raw_sound(text)


def test_raw_forms() -> None:
    assert raw_sound("48000") == Sound(48_000, 1, "s16le")
    assert raw_sound("48000,2,f32le") == Sound(48_000, 2, "f32le")
