"""VoiceBank+DEMAND on a tree of its shape: splits, resampling, counts, and what a bad copy is told."""

import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sedistill.audio.files import read
from sedistill.audio.resampling import resample
from sedistill.common.errors import UserError
from sedistill.data.corpus import Corpus
from sedistill.data.expected_counts import PUBLISHED
from sedistill.data.preparation import prepare

from .sounds import noise, save, speech

ORIGINAL_RATE = 48_000


def archive(root: Path, train: dict[str, int], test: dict[str, int], rate: int = ORIGINAL_RATE) -> Path:
    """{speaker: number of sentences} for each set, 0.6 s each."""
    for name, speakers in (("trainset_28spk", train), ("testset", test)):
        for speaker, count in speakers.items():
            for number in range(count):
                add_pair(root, f"{name}_wav", f"{speaker}_{number + 1:03d}", rate)
    return root


def add_pair(root: Path, folder: str, name: str, rate: int = ORIGINAL_RATE) -> None:
    seed = zlib.crc32(f"{folder} {name}".encode())
    voice = speech(0.6, seed, rate)
    save(root / f"clean_{folder}/{name}.wav", voice, rate)
    save(root / f"noisy_{folder}/{name}.wav", voice + noise(0.6, seed, rate), rate)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An archive of 4 training and 2 test speakers whose published figures are its own."""
    figures = {"files": 8, "speakers": 4, "hours": 8 * 0.6 / 3600}
    monkeypatch.setitem(PUBLISHED, "voicebank-train-28", replace(PUBLISHED["voicebank-train-28"], **figures))
    figures = {"files": 2, "speakers": 2, "hours": 2 * 0.6 / 3600}
    monkeypatch.setitem(PUBLISHED, "voicebank-test", replace(PUBLISHED["voicebank-test"], **figures))
    training = dict.fromkeys(("p226", "p227", "p228", "p287"), 2)
    return archive(tmp_path / "archive", training, {"p232": 1, "p257": 1})


def line_of(lines: list[str] | tuple[str, ...], title: str) -> str:
    return next(line for line in lines if line.startswith(title))


TRAINING = "VoiceBank+DEMAND training set, 28 speakers"


def test_a_whole_archive_is_resampled_split_and_found_whole(small: Path, tmp_path: Path) -> None:
    summary = prepare(tmp_path / "corpus", small, workers=1)
    speakers = {(clip.split, clip.group) for clip in summary.corpus}
    assert speakers == {
        *(("train", name) for name in ("p227", "p228")),
        *(("valid", name) for name in ("p226", "p287")),
        *(("test", name) for name in ("p232", "p257")),
    }
    assert summary.published == [
        f"{TRAINING}: 8 of 8 pairs, 0.00 h, 4 of 4 speakers",
        "VoiceBank+DEMAND test set: 2 of 2 pairs, 0.00 h, 2 of 2 speakers",
    ]
    assert summary.warnings == []
    assert summary.corpus.facts["resampler"] == "soxr VHQ"
    clean = Corpus.load(tmp_path / "corpus").split("test").kind("clean")
    original, rate = read(small / "clean_testset_wav/p232_001.wav")
    assert (rate, clean[0].group) == (ORIGINAL_RATE, "p232")
    assert clean.read(0) == pytest.approx(resample(original[:, 0], rate, 16_000), abs=2**-15)


def test_published_figures_are_those_of_the_archive() -> None:
    assert PUBLISHED["voicebank-train-28"].files == 11_572
    assert PUBLISHED["voicebank-train-28"].speakers == 28
    assert PUBLISHED["voicebank-train-56"].speakers == 56
    assert PUBLISHED["voicebank-test"].files == 824


def test_what_is_missing_doubled_or_damaged_is_named_and_stops_nothing(small: Path, tmp_path: Path) -> None:
    (small / "clean_trainset_28spk_wav/p227_001.wav").unlink()
    for side in ("clean", "noisy"):
        (small / f"{side}_trainset_28spk_wav/p228_002.wav").unlink()
        copied = small / f"{side}_trainset_28spk_wav"
        (copied / "p228_009.wav").write_bytes((copied / "p228_001.wav").read_bytes())
    (small / "noisy_trainset_28spk_wav/p287_002.wav").write_text("words\n" * 100)
    summary = prepare(tmp_path / "corpus", small, workers=1)
    line = line_of(summary.published, TRAINING)
    assert line.startswith(f"{TRAINING}: 5 of 8 pairs")
    assert "p227_001.wav is missing a clean partner" in line
    assert "p287_002.wav: not audio" in line
    assert "p228_009.wav is doubled (the same audio as " in line
    assert line.count("p228_009") == 1
    assert line.endswith("1 is not there at all")
    assert line in summary.text()
    assert summary.corpus.facts["published"] == summary.published


def test_one_missing_file_reads_as_a_sentence(small: Path, tmp_path: Path) -> None:
    (small / "clean_trainset_28spk_wav/p226_001.wav").unlink()
    summary = prepare(tmp_path / "corpus", small, workers=1)
    assert line_of(summary.published, TRAINING) == (
        f"{TRAINING}: 7 of 8 pairs, 0.00 of 0.00133333 h, 4 of 4 speakers: "
        "p226_001.wav is missing a clean partner"
    )


def test_more_files_than_published_are_counted(small: Path, tmp_path: Path) -> None:
    add_pair(small, "trainset_28spk_wav", "p227_003")
    line = line_of(prepare(tmp_path / "corpus", small, workers=1).published, TRAINING)
    assert "9 of 8 pairs" in line
    assert line.endswith("1 more than published")


def test_other_rates_are_named(small: Path, tmp_path: Path) -> None:
    add_pair(small, "trainset_28spk_wav", "p227_001", rate=44_100)
    add_pair(small, "testset_wav", "p232_001", rate=16_000)
    add_pair(small, "testset_wav", "p257_001", rate=16_000)
    warnings = " ".join(prepare(tmp_path / "corpus", small, workers=1).warnings)
    assert "p227_001.wav (44,100 Hz) differ in rate from the others (48,000 Hz)" in warnings
    assert "test set is at 16,000 Hz, published at 48,000 Hz" in warnings


def test_a_pair_of_two_rates_is_named(small: Path, tmp_path: Path) -> None:
    seed = zlib.crc32(b"trainset_28spk_wav p227_002")  # the same voice, at another rate
    save(small / "clean_trainset_28spk_wav/p227_002.wav", speech(0.6, seed, 16_000), 16_000)
    warnings = prepare(tmp_path / "corpus", small, workers=1).warnings
    assert any("p227_002.wav (16,000 Hz) differ in rate" in warning for warning in warnings)


def test_test_speakers_in_the_training_folder_are_refused_by_name(small: Path, tmp_path: Path) -> None:
    add_pair(small, "trainset_28spk_wav", "p257_012")
    with pytest.raises(
        UserError, match=r"holds the test speakers p257 \(1 files, for example p257_012.wav\)"
    ):
        prepare(tmp_path / "corpus", small, workers=1)
    assert not (tmp_path / "corpus").exists()


def test_other_validation_speakers(small: Path, tmp_path: Path) -> None:
    corpus = prepare(tmp_path / "corpus", small, workers=1, valid_speakers=["p228"]).corpus
    assert {clip.group for clip in corpus.split("valid")} == {"p228"}
    assert {clip.group for clip in corpus.split("train")} == {"p226", "p227", "p287"}
    for speakers, match in {
        ("p999",): "p999 not in the training set, which has p226, p227",
        ("p232",): "p232 not in the training set",
        ("p226", "p227", "p228", "p287"): "names every training speaker",
    }.items():
        with pytest.raises(UserError, match=match):
            prepare(tmp_path / "other", small, workers=1, valid_speakers=speakers)
    with pytest.raises(UserError, match="valid_speakers is for VoiceBank"):
        prepare(tmp_path / "other", clean=small, noise=small, valid_speakers=["p226"])


def test_the_56_speakers_are_another_training_set(small: Path, tmp_path: Path) -> None:
    for speaker in range(20):
        add_pair(small, "trainset_56spk_wav", f"p{300 + speaker}_001", 16_000)
    with pytest.raises(UserError, match="say --layout voicebank-demand-28 or voicebank-demand-56"):
        prepare(tmp_path / "corpus", small, workers=1)
    summary = prepare(tmp_path / "56", small, layout="voicebank-demand-56", workers=1)
    splits = Counter(clip.split for clip in summary.corpus.kind("noisy"))
    assert splits == {"train": 18, "valid": 2, "test": 2}
    assert "20 of about 23,075 pairs" in summary.published[0]
    assert any("a tenth of the speakers" in note for note in summary.notes)
    summary = prepare(tmp_path / "28", small, layout="voicebank-demand-28", workers=1)
    assert len(summary.corpus.split("train").kind("noisy")) == 4
    root = archive(tmp_path / "a", {"p226": 1}, {})
    with pytest.raises(UserError, match="no folder such as noisy_trainset_56spk_wav"):
        prepare(tmp_path / "none", root, layout="voicebank-demand-56", workers=1)


def test_folders_unpacked_into_folders_of_their_names_still_match(small: Path, tmp_path: Path) -> None:
    for side in ("clean", "noisy"):
        outer = small / f"{side}_testset_wav"
        inner = outer.rename(tmp_path / side)
        outer.mkdir()
        inner.rename(outer / outer.name)
    corpus = prepare(tmp_path / "corpus", small, workers=1).corpus
    assert len(corpus.split("test")) == 4


def test_silence_in_one_partner_counts_once(small: Path, tmp_path: Path) -> None:
    save(small / "clean_trainset_28spk_wav/p227_001.wav", np.zeros(28_800), ORIGINAL_RATE)
    line = line_of(prepare(tmp_path / "corpus", small, workers=1).published, TRAINING)
    assert "7 of 8 pairs" in line
    assert line.endswith("p227_001.wav: silent")
