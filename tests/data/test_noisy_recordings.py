"""Recordings without clean speech: crops that hang on their key, behind the examples of a batch."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.audio.files import read_mono
from sedistill.common.errors import UserError
from sedistill.data.batches import EpochBatches, train_loader
from sedistill.data.examples import FixedDataset
from sedistill.data.noisy_recordings import RecordingCrops, Recordings, WithRecordings

from .sounds import RATE, noise, save


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A long file, one of another rate, one that is shorter than a crop, and one that is no audio."""
    save(tmp_path / "noisy/long.wav", noise(3.0, 1))
    save(tmp_path / "noisy/below/stereo.flac", np.stack([noise(1.0, 2, 44_100)] * 2, axis=1), 44_100)
    save(tmp_path / "noisy/short.wav", noise(0.2, 3))
    (tmp_path / "noisy/notes.txt").write_text("no audio")
    return tmp_path / "noisy"


def test_crops_are_parts_of_the_recordings_and_hang_on_their_key(folder: Path) -> None:
    recordings = Recordings(folder)
    assert (len(recordings), round(recordings.seconds, 3)) == (3, 4.2)
    assert recordings.told() == ["1 file is no audio: .txt 1."]
    crops = RecordingCrops(recordings, RATE // 2, RATE, length=60, seed=4)
    taken = [(crops.origin((0, number)), crops[0, number]["noisy"]) for number in range(60)]
    names = [Path(origin).name for origin, _ in taken]
    assert 32 < names.count("long.wav") < 53, "60 * 3 / 4.2 = 43, and five deviations of that"
    long, short = read_mono(folder / "long.wav", RATE), read_mono(folder / "short.wav", RATE)
    for name, (_, samples) in zip(names, taken, strict=True):
        assert samples.shape == (RATE // 2,)
        assert samples.dtype == np.float32
        if name == "long.wav":
            assert (np.lib.stride_tricks.sliding_window_view(long, RATE // 2) == samples).all(axis=1).any()
        elif name == "short.wav":
            assert np.array_equal(np.trim_zeros(samples), np.trim_zeros(short))
    assert np.array_equal(crops[0, 7]["noisy"], taken[7][1]), "whatever was asked for before"
    assert not np.array_equal(crops[1, 7]["noisy"], crops[0, 7]["noisy"])
    repeated = RecordingCrops(recordings, RATE // 2, RATE, length=60, seed=4, repeat_epochs=2)
    assert np.array_equal(repeated[5, 7]["noisy"], crops[1, 7]["noisy"])
    assert repeated.hash == crops.hash != RecordingCrops(recordings, RATE // 2, RATE, 60, seed=5).hash
    with pytest.raises(IndexError):
        crops[60]


def test_what_cannot_be_read_is_named(tmp_path: Path, folder: Path) -> None:
    (folder / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(UserError, match=r"broken\.wav"):
        Recordings(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no audio files"):
        Recordings(tmp_path / "empty")


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 5), st.integers(0, 3))
def test_each_batch_ends_with_recordings_of_its_own(length: int, size: int, count: int, epoch: int) -> None:
    if length < size:
        return
    plain, mixed = EpochBatches(length, size, seed=1), EpochBatches(length, size, 1, recordings=count)
    for sampler in (plain, mixed):
        sampler.set_position(epoch, 0)
    assert len(mixed) == len(plain)
    behind = []
    for batch, alone in zip(mixed, plain, strict=True):
        assert batch[:size] == alone
        behind += batch[size:]
    assert behind == [(epoch, length + number) for number in range(count * len(plain))]


@pytest.mark.parametrize("workers", [0, 1])
def test_clean_speech_has_a_row_for_each_example_alone(tmp_path: Path, folder: Path, workers: int) -> None:
    for number in range(3):
        for side in ("noisy", "clean"):
            save(tmp_path / "set" / side / f"{number}.wav", noise(0.5, number))
    examples = FixedDataset(tmp_path / "set")
    crops = RecordingCrops(Recordings(folder), RATE // 2, RATE, length=2)
    dataset = WithRecordings(examples, crops)
    batch = next(iter(train_loader(dataset, 3, seed=0, workers=workers, recordings=2)))
    assert {name: tuple(values.shape) for name, values in batch.items()} == {
        "noisy": (5, RATE // 2), "clean": (3, RATE // 2), "index": (5,),
    }  # fmt: skip
    assert batch["index"].tolist()[3:] == [3, 4]
    assert np.array_equal(batch["noisy"][3], crops[0, 0]["noisy"])
    assert dataset.origin((0, 4)) == crops.origin((0, 1))
