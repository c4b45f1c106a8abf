"""Which clips of a corpus train, validate and test, and that none does two of these."""

from pathlib import Path

import numpy as np

from sedistill.audio.files import read_mono
from sedistill.data.corpus import Corpus
from sedistill.data.preparation import prepare

from .sounds import RATE, noise, save, speech, speech_and_noise
from .test_preparation import reasons


def test_groups_stay_together_and_the_split_hangs_on_the_seed_alone(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds", speakers=10, files=2)

    def splits(name: str, seed: int, workers: int = 1) -> dict[str, str]:
        corpus = prepare(tmp_path / name, clean=clean, noise=noises, seed=seed, workers=workers).corpus
        of_group: dict[str, set[str]] = {}
        for clip in corpus:
            of_group.setdefault(f"{clip.kind} {clip.group}", set()).add(clip.split)
        assert all(len(found) == 1 for found in of_group.values())
        return {group: found.pop() for group, found in of_group.items()}

    first = splits("a", 0)
    assert splits("b", 0, workers=2) == first
    assert splits("c", 1) != first
    speakers = [split for group, split in first.items() if group.startswith("clean")]
    assert sorted(speakers) == [
        "test",
        "train",
        "train",
        "train",
        "train",
        "train",
        "train",
        "train",
        "train",
        "valid",
    ]
    assert {split for group, split in first.items() if group.startswith("noise")} == {
        "train",
        "valid",
        "test",
    }


def test_a_flat_folder_of_files_is_split_by_file(tmp_path: Path) -> None:
    for number in range(5):
        save(tmp_path / f"clean/{number}.wav", speech(1, number))
        save(tmp_path / f"noise/{number}.wav", noise(1, number))
    corpus = prepare(
        tmp_path / "corpus", clean=tmp_path / "clean", noise=tmp_path / "noise", workers=1
    ).corpus
    for kind in ("clean", "noise"):
        splits = [clip.split for clip in corpus.kind(kind)]
        assert sorted(splits) == ["test", "train", "train", "train", "valid"]


def test_two_recordings_are_split_in_time_without_overlap(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds")
    for path in noises.rglob("*.flac"):
        path.unlink()
    save(noises / "a.wav", noise(10, 1))
    save(noises / "b.wav", noise(0.5, 2))
    summary = prepare(tmp_path / "corpus", clean=clean, noise=noises, workers=1)
    pieces = {
        clip.split: (clip.start, clip.frames) for clip in summary.corpus.kind("noise") if clip.path == "a.wav"
    }
    assert pieces == {"train": (0, 128_000), "valid": (128_000, 16_000), "test": (144_000, 16_000)}
    assert "split in time" in summary.text()
    assert "Left out: nothing" in summary.text()
    assert "Not used: parts of 1 files, too short to split in time" in summary.text()
    assert reasons(tmp_path / "corpus") == {"b.wav": "too short to split in time"}
    corpus = Corpus.load(tmp_path / "corpus").split("valid").kind("noise")
    assert np.array_equal(corpus.read(0), read_mono(noises / "a.wav", RATE, 128_000, 16_000))


def test_named_splits_are_taken_and_files_outside_of_them_left_out(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "val", "test")):
        save(tmp_path / f"clean/{split}/s{number}/a.wav", speech(1, number))
        save(tmp_path / f"noise/{split}/n{number}/a.wav", noise(1, number))
    save(tmp_path / "noise/extra/x.wav", noise(1, 9))
    summary = prepare(tmp_path / "made/corpus", clean=tmp_path / "clean", noise=tmp_path / "noise", workers=1)
    assert [clip.split for clip in summary.corpus.kind("clean")] == ["train", "valid", "test"]
    assert reasons(tmp_path / "made/corpus") == {"x.wav": "outside of the splits"}


def test_speakers_in_two_splits_are_warned_about(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "valid", "test")):
        save(tmp_path / f"clean/{split}/anna/{number}.wav", speech(1, number))
        save(tmp_path / f"noise/{split}/rain/{number}.wav", noise(1, number))
    summary = prepare(tmp_path / "c", clean=tmp_path / "clean", noise=tmp_path / "noise", workers=1)
    assert any("1 speaker is in more than one split" in warning for warning in summary.warnings)
    assert not any("recording" in warning for warning in summary.warnings)  # a class may be in all splits


def test_of_exact_copies_in_two_splits_the_test_one_stays(tmp_path: Path) -> None:
    _, noises = speech_and_noise(tmp_path / "sounds")
    for number, split in enumerate(("train", "valid", "test")):
        save(tmp_path / f"clean/{split}/{split}/same.wav", speech(1, 0))
        save(tmp_path / f"clean/{split}/{split}/own.wav", speech(1, 1 + number))
    summary = prepare(tmp_path / "corpus", clean=tmp_path / "clean", noise=noises, workers=1)
    kept = [clip for clip in summary.corpus if clip.path.endswith("same.wav")]
    assert [clip.split for clip in kept] == ["test"]
    copies = [Path(one.path) for one in summary.excluded if one.reason == "exact copy"]
    assert [(path.parts[-3], path.name) for path in copies] == [("train", "same.wav"), ("valid", "same.wav")]
