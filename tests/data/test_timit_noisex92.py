"""TIMIT and NOISEX-92 as KDRL takes them, on trees of their shape with SPHERE files."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from sedistill.common.errors import UserError
from sedistill.data.corpus import Corpus
from sedistill.data.expected_counts import PUBLISHED
from sedistill.data.grid_sets import Grid, GridSettings, write_grid_set
from sedistill.data.layouts import timit_noisex92
from sedistill.data.layouts.timit_noisex92 import SENTENCES, TEST_NOISES, TRAINING_NOISES
from sedistill.data.preparation import prepare

from .sounds import RATE, noise, save, speech

NOISES = (*TRAINING_NOISES, *TEST_NOISES, "m109")


def sphere(path: Path, seed: int) -> Path:
    """A NIST SPHERE file called .WAV, as on the disc."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, speech(0.6, seed), RATE, format="NIST", subtype="PCM_16")
    assert path.read_bytes()[:7] == b"NIST_1A"
    return path


@pytest.fixture
def discs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four training speakers and two test speakers with two sentences each; noises at 19.98 kHz.

    KDRL's choice is made smaller likewise: 4 sentences train, 2 validate, 3 test.
    """
    for split, count in {"train": 4, "valid": 2, "test": 3}.items():
        monkeypatch.setitem(SENTENCES, split, count)
    for key, own in {
        "timit-train": {"files": 8, "speakers": 4},
        "timit-test": {"files": 4, "speakers": 2},
        "kdrl-train": {"files": 6},
        "kdrl-test": {"files": 3},
    }.items():
        monkeypatch.setitem(PUBLISHED, key, replace(PUBLISHED[key], **own))  # type: ignore[arg-type]
    speakers = {
        "TRAIN": ("DR1/FCJF0", "DR1/FDAW0", "DR1/MTRR0", "DR2/FAEM0"),
        "TEST": ("DR1/FAKS0", "DR2/MABW0"),
    }
    seed = 0
    for subset, places in speakers.items():
        for place in places:
            for name in ("SA1", "SI1027"):
                seed += 1
                sphere(tmp_path / "discs/TIMIT" / subset / place / f"{name}.WAV", seed)
                (tmp_path / "discs/TIMIT" / subset / place / f"{name}.TXT").touch()
    for number, name in enumerate(NOISES):
        save(tmp_path / f"discs/NOISEX-92/{name}.wav", noise(5, 100 + number, 19_980), 19_980)
    return tmp_path / "discs"


def sentences(corpus: Corpus, split: str) -> list[str]:
    return [f"{clip.group}/{Path(clip.path).stem}" for clip in corpus.split(split).kind("clean")]


def noises(corpus: Corpus, split: str) -> set[str]:
    return {clip.group for clip in corpus.split(split).kind("noise")}


def test_kdrl_sizes_are_the_papers() -> None:
    assert SENTENCES == {"train": 250, "valid": 25, "test": 25}
    assert (len(TRAINING_NOISES), len(TEST_NOISES), len(set(NOISES))) == (5, 9, 15)
    assert (PUBLISHED["timit-train"].files, PUBLISHED["timit-test"].files) == (4620, 1680)


@pytest.mark.parametrize("given", ["root", "apart"])
def test_sentences_and_noises_are_those_of_the_paper(discs: Path, tmp_path: Path, given: str) -> None:
    if given == "root":
        summary = prepare(tmp_path / "corpus", discs, workers=1)
    else:
        folders = {"clean": discs / "TIMIT", "noise": discs / "NOISEX-92"}
        summary = prepare(tmp_path / "corpus", layout="timit-noisex92", workers=1, **folders)  # type: ignore[arg-type]
    corpus = summary.corpus
    assert sentences(corpus, "train") == ["FCJF0/SA1", "FCJF0/SI1027", "FDAW0/SA1", "FDAW0/SI1027"]
    assert sentences(corpus, "valid") == ["MTRR0/SA1", "MTRR0/SI1027"]
    assert sentences(corpus, "test") == ["FAKS0/SA1", "FAKS0/SI1027", "MABW0/SA1"]
    assert noises(corpus, "train") == noises(corpus, "valid") == set(TRAINING_NOISES)
    assert noises(corpus, "test_similar") == set(TRAINING_NOISES)
    assert noises(corpus, "test") == set(TEST_NOISES)
    assert summary.published == [
        "TIMIT training subset: 8 of 8 sentences, 4 of 4 speakers",
        "KDRL's training sentences and 25 to validate: 6 of 6 sentences, 0.00 h",
        "TIMIT test subset: 4 of 4 sentences, 2 of 2 speakers",
        "KDRL's test sentences: 3 of 3 sentences, 0.00 h",
        "NOISEX-92: 15 of 15 noises",
    ]
    assert summary.warnings == []


def test_no_sample_of_noise_is_in_two_splits(discs: Path, tmp_path: Path) -> None:
    corpus = prepare(tmp_path / "corpus", discs, workers=1).corpus
    pieces = {
        clip.split: (clip.start, clip.start + clip.frames)
        for clip in corpus.kind("noise")
        if clip.group == "babble"
    }
    assert pieces == {"train": (0, 64_000), "valid": (64_000, 72_000), "test_similar": (72_000, 80_000)}


def test_the_papers_grids_can_be_mixed_from_it(discs: Path, tmp_path: Path) -> None:
    prepare(tmp_path / "corpus", discs, workers=1)
    corpus = Corpus.load(tmp_path / "corpus")
    training = GridSettings(snr_db=(-10, -5, 0, 5, 10), snr_on="rms")
    testing = GridSettings(snr_db=(-7.5, -2.5, 2.5, 7.5), snr_on="rms")
    similar = GridSettings(snr_db=(-7.5,), snr_on="rms", noise_split="test_similar")
    assert len(Grid.open(corpus, "train", training)) == 4 * 5 * 5
    assert len(Grid.open(corpus, "test", testing)) == 3 * 9 * 4
    made = write_grid_set(tmp_path / "corpus", tmp_path / "set", similar, workers=1)
    assert (made.facts["count"], made.facts["distinct"]["noise_classes"]) == (3 * 5, 5)
    with (tmp_path / "set/mixtures.csv").open(newline="") as file:
        starts = [int(start) for row in csv.DictReader(file) for start in row["noise_start"].split(";")]
    assert min(starts) >= 72_000  # the last tenth, looped under sentences that are longer


def test_names_of_other_copies_are_understood(discs: Path, tmp_path: Path) -> None:
    for old, new in {
        "factory1": "Factory_Floor_1",
        "hfchannel": "hf channel",
        "volvo": "volvo_16kHz",
        "f16": "F-16 cockpit",
        "white": "White Noise",
        "destroyerops": "destroyer_operations_room",
    }.items():
        folder = discs / "NOISEX-92"
        (folder / f"{old}.wav").rename(folder / f"{new}.wav")
    for path in sorted((discs / "TIMIT").rglob("*"), key=lambda path: -len(path.parts)):
        path.rename(path.with_name(path.name.lower()))
    corpus = prepare(tmp_path / "corpus", discs, workers=1).corpus
    assert noises(corpus, "train") == set(TRAINING_NOISES)
    assert noises(corpus, "test") == set(TEST_NOISES)
    assert sentences(corpus, "valid") == ["MTRR0/sa1", "MTRR0/si1027"]


def test_sentences_that_are_there_twice_are_read_once(discs: Path, tmp_path: Path) -> None:
    for path in (discs / "TIMIT").rglob("*.WAV"):
        samples, rate = soundfile.read(path)
        soundfile.write(path.with_name(f"{path.name}.wav"), samples, rate)
    summary = prepare(tmp_path / "corpus", discs, workers=1)
    assert summary.published[0] == "TIMIT training subset: 8 of 8 sentences, 4 of 4 speakers"
    assert len(sentences(summary.corpus, "train")) == 4
    assert any("8 sentences are there twice, for example SA1.WAV.wav" in note for note in summary.notes)


def test_what_is_missing_is_named(discs: Path, tmp_path: Path) -> None:
    (discs / "TIMIT/TRAIN/DR2/FAEM0/SA1.WAV").unlink()
    (discs / "TIMIT/TEST/DR1/FAKS0/SA1.WAV").write_text("words\n" * 100)
    (discs / "NOISEX-92/pink.wav").rename(discs / "NOISEX-92/pink.mat")
    (discs / "NOISEX-92/leopard.wav").unlink()
    save(discs / "NOISEX-92/kitchen.wav", noise(1))
    save(discs / "NOISEX-92/white.wav", noise(5, 3, 44_100), 44_100)
    summary = prepare(tmp_path / "corpus", discs, workers=1)
    text = summary.text()
    assert "TIMIT training subset: 7 of 8 sentences, 4 of 4 speakers: 1 is not there at all" in text
    assert "KDRL's test sentences: 2 of 3 sentences, 0.00 h: SA1.WAV: not audio" in text
    assert "NOISEX-92: 13 of 15 noises: pink (there is pink.mat, which is not read) is missing; " in text
    assert "leopard is missing; kitchen.wav: unknown name" in text
    assert "white.wav (44,100 Hz) differ in rate" in text
    assert "TIMIT's train subset is not whole, so its first sentences may be others than KDRL's" in text


def test_test_speakers_in_the_training_folder_are_refused_by_name(discs: Path, tmp_path: Path) -> None:
    sphere(discs / "TIMIT/TRAIN/DR1/FAKS0/SX1.WAV", 77)
    with pytest.raises(UserError, match=r"test speakers FAKS0 in its training folder .*FAKS0/SX1\.WAV"):
        prepare(tmp_path / "corpus", discs, workers=1)


def test_folders_that_are_neither_are_refused(discs: Path, tmp_path: Path) -> None:
    for match, folders in {
        "does not hold TIMIT": {"clean": discs / "NOISEX-92", "noise": discs},
        "does not hold NOISEX-92": {"clean": discs, "noise": discs / "TIMIT"},
    }.items():
        with pytest.raises(UserError, match=match):
            prepare(tmp_path / "corpus", layout="timit-noisex92", **folders)  # type: ignore[arg-type]
    assert not timit_noisex92.is_timit(discs)
