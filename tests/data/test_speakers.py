"""Speakers, recordings and splits by the names that public corpora and people give to files and folders."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.data.clip_table import Clip, ClipTable
from sedistill.data.layouts import find_sources
from sedistill.data.layouts.recording_names import find_recordings
from sedistill.data.layouts.speakers import find_speakers
from sedistill.data.layouts.split_names import find_split_folders, split_named
from sedistill.data.preparation import prepare
from sedistill.data.splitting import assign_splits, find_leaks

from .sounds import noise, pairs, save, speech


@pytest.mark.parametrize(
    ("files", "speakers"),
    [
        (["84/121123/84-121123-0001.flac", "84/9/84-9-0000.flac", "85/1/85-1-0002.flac"], ["84", "84", "85"]),
        (["84-121123-0001.flac", "85-121123-0001.flac"], ["84", "85"]),
        (["1034_121119_000005_000001.wav", "118_121721_000015_000000.wav"], ["1034", "118"]),
        (["p226_001.wav", "p226_002.wav", "p227_001.wav"], ["p226", "p226", "p227"]),
        (["wav48/p226/p226_001_mic1.flac", "wav48/p227/p227_001_mic2.flac"], ["p226", "p227"]),
        (["p226/a.wav", "p227/a.wav"], ["p226", "p227"]),
        (["DR1/FCJF0/SA1.WAV", "DR1/FDAW0/SA1.WAV", "DR2/MABC0/SX9.WAV"], ["FCJF0", "FDAW0", "MABC0"]),
        (
            ["book_00000_chp_0009_reader_06709_0_xyz.wav", "book_00001_chp_0002_reader_11980_3.wav"],
            ["reader_06709", "reader_11980"],
        ),
        (["b_1_reader_7_0_snr5_fileid_1.wav", "b_2_reader_8_0_snr5_fileid_2.wav"], ["reader_7", "reader_8"]),
        (["anna_1.wav", "anna_2.wav", "bob_1.wav", "bob_2.wav"], ["anna", "anna", "bob", "bob"]),
        (["anna-1.wav", "anna-2.wav", "bob-1.wav", "bob-2.wav"], ["anna", "anna", "bob", "bob"]),
        (["rec_a_1.wav", "rec_a_2.wav", "rec_b_1.wav", "rec_b_2.wav"], ["rec_a", "rec_a", "rec_b", "rec_b"]),
        (["s1/1/x.wav", "s1/2/y.wav", "s2/1/x.wav"], ["s1", "s1", "s2"]),
        (["LibriSpeech/anna/x.wav", "LibriSpeech/bob/y.wav"], ["anna", "bob"]),
        (["female/anna/x.wav", "male/bob/y.wav"], ["anna", "bob"]),
        (["84/1/x.wav", "84/2/y.wav"], ["84", "84"]),
        (["day1/anna/x.wav", "day1/bob/x.wav", "day2/anna/y.wav"], ["anna", "bob", "anna"]),
        (["day1/anna/x.wav", "day1/bob/x.wav"], ["anna", "bob"]),
        (["wav16/anna/x.wav", "wav16/bob/x.wav"], ["anna", "bob"]),
        (["happy/utt1_spk1.wav", "sad/utt1_spk2.wav", "sad/utt2_spk1.wav"], ["spk1", "spk2", "spk1"]),
    ],
)  # fmt: skip
def test_speakers_of_public_corpora_and_of_plain_names(files: list[str], speakers: list[str]) -> None:
    found = find_speakers([Path(file) for file in files], "clean")
    assert found.groups == speakers
    assert found.unknown == set()
    assert found.warnings == []


@pytest.mark.parametrize(
    "files",
    [["a.wav", "b.wav"], ["001.wav", "002.wav"], ["utt_1.wav", "utt_2.wav"], ["x_1.wav", "y_2.wav"]],
)  # fmt: skip
def test_opaque_names_stand_for_themselves_and_that_is_said(files: list[str]) -> None:
    found = find_speakers([Path(file) for file in files], "clean")
    assert found.groups == [Path(file).stem for file in files]
    assert found.unknown == set(found.groups)
    assert "each stands for itself" in found.warnings[0]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            [f"{part}-part/{who}/{part}.wav" for part in "ab" for who in ("11", "12")],
            "one called 11; if",
        ),
        ([f"{n:03d}_{who}.wav" for n in range(3) for who in ("p0", "p1")], "names that end in p0; if"),
    ],
)
def test_names_that_come_again_under_many_speakers_are_told(files: list[str], told: str) -> None:
    (warning,) = find_speakers([Path(file) for file in files], "clean").warnings
    assert told in warning
    assert warning.endswith("say --speaker-from")


def test_a_pattern_tells_where_names_do_not() -> None:
    files = [Path("x/1-anna.wav"), Path("x/2-anna.wav"), Path("y/1-bob.wav"), Path("y/odd.wav")]
    for pattern in (r"-(\w+)\.", r"(\d)-(?P<speaker>\w+)\."):
        found = find_speakers(files, "clean", re.compile(pattern))
        assert found.groups == ["anna", "anna", "bob", "odd"]
        assert found.unknown == {"odd"}
        assert "1 files (such as y/odd.wav) do not match" in found.warnings[0]
    assert find_recordings([Path("a_x.wav"), Path("a_y.wav")], re.compile("^([a-z])_")).names == ["a", "a"]


def test_two_rules_that_disagree_are_told_in_a_sentence() -> None:
    sessions = [
        Path(f"{day}/{who}_{n}.wav") for day in ("mon", "tue") for who in ("ann", "bob") for n in (1, 2)
    ]
    warnings = find_speakers(sessions, "clean").warnings
    assert len(warnings) == 1
    assert "file names that begin with ann lie in 2 of them" in warnings[0]
    misplaced = [Path("p226/p226_001.wav"), Path("p227/p227_001.wav"), Path("p227/p226_002.wav")]
    found = find_speakers(misplaced, "clean")
    assert found.groups == ["p226", "p227", "p226"]
    assert (
        "p227/p226_002.wav are of speaker p226 by their names and of p227 by their folder"
        in found.warnings[0]
    )


@pytest.mark.parametrize(
    ("files", "recordings"),
    [
        (["fold1/101415-3-0-2.wav", "fold1/101415-3-0-8.wav", "fold2/7383-3-0-0.wav"],
         ["freesound 101415", "freesound 101415", "freesound 7383"]),
        (["1-17367-A-10.wav", "1-17367-B-10.wav", "2-99-A-10.wav"],
         ["freesound 17367", "freesound 17367", "freesound 99"]),
        (["door_Freesound_validated_466745_6.wav"], ["freesound 466745"]),
        (["street-part1.wav", "street-part2.wav", "cafe.wav"], ["street", "street", ""]),
        (["street_000.wav", "street_001.wav", "cafe_000.wav"], ["street", "street", "cafe"]),
        (["PARK/ch01.wav", "PARK/ch16.wav"], ["PARK", "PARK"]),
        (["dog/dog_001.wav", "dog/dog_002.wav"], ["", ""]),
        (["noise-free-sound-0001.wav", "noise-free-sound-0002.wav"], ["", ""]),
        (["1.wav", "2.wav"], ["", ""]),
    ],
)  # fmt: skip
def test_cuts_of_one_noise_recording_are_known_by_their_names(
    files: list[str], recordings: list[str]
) -> None:
    assert find_recordings([Path(file) for file in files]).names == recordings


def test_numbered_noises_of_one_name_cannot_be_told_apart_and_that_is_said() -> None:
    found = find_recordings([Path(f"noise_{n:03d}.wav") for n in range(4)])
    assert found.names == [""] * 4
    assert "all files are called noise with a number" in found.warnings[0]


def test_split_words_in_the_spellings_of_corpora() -> None:
    said = {
        "train": "train train-clean-100 train-other-500 TRAIN tr si_tr_s clean_trainset_28spk_wav tr05_simu",
        "valid": "valid val dev dev-clean DEV cv dt si_dt_05 validation dt05_real",
        "test": "test test-other tt eval Test et noisy_testset_wav test_set si_et_05",
    }
    for split, names in said.items():
        assert {name: split_named(name) for name in names.split()} == dict.fromkeys(names.split(), split)
    for name in ("train_station", "trains", "attest", "tram", "anna", "p226", "train-dev", "devil", "clean"):
        assert split_named(name) is None


def test_folders_of_splits_at_any_depth() -> None:
    files = [
        Path(name) for name in ("L/train-clean-100/84/a.wav", "L/dev-clean/85/a.wav", "L/test-other/86/a.wav")
    ]
    found = find_split_folders(files, "clean")
    assert found.split_of == ["train", "valid", "test"]
    assert [str(file) for file in found.below] == ["L/84/a.wav", "L/85/a.wav", "L/86/a.wav"]
    assert "train-clean-100 is train; dev-clean is valid; test-other is test" in found.notes[0]
    inner = find_split_folders(
        [Path("p226/Train/1.wav"), Path("p226/TEST/2.wav"), Path("p227/train/1.wav")], "clean"
    )
    assert inner.split_of == ["train", "test", "train"]
    torn = find_split_folders(
        [Path("train/test/1.wav"), Path("train/train/2.wav"), Path("valid/train/3.wav")], "clean"
    )
    assert torn.split_of == ["train", "train", "valid"]
    assert "2 files lie in folders of two splits" in torn.warnings[0]


def test_numbered_folders_below_a_split_are_classes_of_noise() -> None:
    """Two classes of a test split called test0 and test1 were taken for the split's name twice."""
    files = [Path(f"{split}/{split}{n}/a.wav") for split in ("train", "valid", "test") for n in range(2)]
    for kind in ("clean", "noise"):
        found = find_split_folders(files, kind)
        assert [str(file) for file in found.below] == [str(Path(*file.parts[1:])) for file in files]


def test_a_class_of_noise_called_train_is_no_split() -> None:
    files = [Path("train/1.wav"), Path("dog/1.wav"), Path("rain/1.wav")]
    found = find_split_folders(files, "noise")
    assert not found.splits
    assert "taken for a class of noise" in found.notes[0]
    nested = find_split_folders(
        [Path("train/train/1.wav"), Path("train/dog/1.wav"), Path("test/dog/1.wav")], "noise"
    )
    assert nested.split_of == ["train", "train", "test"]
    assert "train/1.wav" in map(str, nested.below)


def clip(kind: str, path: str, group: str, **more: str) -> Clip:
    about = {"split": "", "recording": "", "pair": "", "audio_sha256": path, **more}
    return Clip(
        root=kind, path=path, kind=kind, group=group, start=0, frames=16_000, active_level_db=-20.0, peak=0.5,
        clipped_share=0.0, sample_rate=16_000, channels=1, **about,
    )  # fmt: skip


_tags = st.integers(0, 6)


@settings(max_examples=60)
@given(st.lists(st.tuples(_tags, _tags, _tags), min_size=1, max_size=25), st.integers(0, 9))
def test_no_class_recording_or_sound_is_ever_in_two_splits(
    tags: list[tuple[int, int, int]], seed: int
) -> None:
    clips = [
        clip("noise", f"{n}.wav", f"class{a}", recording=f"rec{b}", audio_sha256=f"sound{c}")
        for n, (a, b, c) in enumerate(tags)
    ]
    done, _, warnings = assign_splits(
        ClipTable.of(clips), {"noise": {"valid": 0.1, "test": 0.1}}, seed, {"noise": 10}
    )
    if any("split in time" in warning for warning in warnings):
        return
    assert len(done) == len(clips)
    kept_together = ("recording", "audio_sha256") if warnings else ("group", "recording", "audio_sha256")
    for name in kept_together:
        splits: dict[str, set[str]] = {}
        for one in done:
            splits.setdefault(getattr(one, name), set()).add(one.split)
        assert all(len(found) == 1 for found in splits.values())
    assert find_leaks(done) == []


def test_leaks_are_looked_for_by_speaker_recording_and_sound() -> None:
    clips = [
        clip("clean", "train/a/1.wav", "a", split="train"),
        clip("clean", "test/a/2.wav", "a", split="test"),
        clip("clean", "train/x.wav", "x", split="train"),
        clip("clean", "test/x.wav", "x", split="test"),
        clip("noise", "train/rain/cut_0.wav", "rain", split="train", recording="rain/cut"),
        clip("noise", "test/rain/cut_1.wav", "rain", split="test", recording="rain/cut"),
        clip("clean", "train/b/1.wav", "b", split="train", audio_sha256="same", pair="1"),
        clip("clean", "valid/c/1.wav", "c", split="valid", audio_sha256="same", pair="2"),
        clip("clean", "test/d/1.wav", "d", split="test", audio_sha256="test alone"),
        clip("clean", "reverb/d/1.wav", "d", split="test_with_reverb", audio_sha256="test alone"),
    ]
    told = find_leaks(ClipTable.of(clips), {"clean": {"x"}})
    assert told == [
        "1 speaker is in more than one split by name (a); check it",
        "1 noise recording is in more than one split by name (rain/cut); check it",
        "1 recording is in more than one split with the same audio (train/b/1.wav); check it",
    ]


def test_flat_speech_pairs_and_cut_noise_are_split_without_leaks(tmp_path: Path) -> None:
    for speaker in range(4):
        for number in range(2):
            voice = speech(1, 10 * speaker + number)
            save(tmp_path / f"clean/p{speaker}_{number:03d}.wav", voice)
            save(tmp_path / f"noisy/p{speaker}_{number:03d}.wav", voice + noise(1, 10 * speaker + number))
            save(tmp_path / f"noise/place{speaker}_{number:03d}.wav", noise(1, 50 + 10 * speaker + number))
    mixed = prepare(tmp_path / "c", clean=tmp_path / "clean", noise=tmp_path / "noise", workers=1)
    paired = prepare(tmp_path / "p", clean=tmp_path / "clean", noisy=tmp_path / "noisy", workers=1)
    for summary in (mixed, paired):
        splits: dict[str, set[str]] = {}
        for one in summary.corpus:
            splits.setdefault(f"{one.kind} {one.path.split('_')[0]}", set()).add(one.split)
        assert all(len(found) == 1 for found in splits.values())
        assert {one.split for one in summary.corpus} == {"train", "valid", "test"}
        assert not any("leak" in warning or "more than one" in warning for warning in summary.warnings)
        assert "4 speakers by the beginnings of file names, such as p0" in summary.text()


def test_one_sentence_under_many_noises_is_in_one_split(tmp_path: Path) -> None:
    clean, noisy = pairs(tmp_path / "sounds", count=6)
    for number in range(6):
        voice = speech(2 + number / 8, number)
        save(clean / f"{number}b.wav", voice)
        save(noisy / f"{number}b.wav", voice + noise(2 + number / 8, 90 + number))
    corpus = prepare(tmp_path / "c", clean=clean, noisy=noisy, workers=1).corpus
    splits: dict[str, set[str]] = {}
    for one in corpus.kind("clean"):
        splits.setdefault(one.audio_sha256, set()).add(one.split)
    assert len(splits) == 6
    assert all(len(found) == 1 for found in splits.values())


def test_two_classes_of_many_recordings_are_split_by_recordings(tmp_path: Path) -> None:
    for number in range(3):
        for kind in ("fan", "rain"):
            save(tmp_path / f"noise/{kind}/{number}.wav", noise(1, number + 10 * len(kind)))
            save(tmp_path / f"clean/s{number}/{kind}.wav", speech(1, number + 5 * len(kind)))
    summary = prepare(tmp_path / "c", clean=tmp_path / "clean", noise=tmp_path / "noise", workers=1)
    splits = [one.split for one in summary.corpus.kind("noise")]
    assert sorted(splits) == ["test", "train", "train", "train", "train", "valid"]
    assert any("fewer classes than splits" in warning for warning in summary.warnings)


def test_patterns_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    pairs(tmp_path, count=1)
    folders = (None, tmp_path / "clean", None, tmp_path / "noisy")
    for pattern, match in ((r"(", "is no regular expression"), (r"\w+", "has no group")):
        with pytest.raises(UserError, match=match):
            find_sources("auto", *folders, speaker_from=pattern)
    with pytest.raises(UserError, match="noise_from is for folders of noise"):
        find_sources("auto", *folders, noise_from="(.)")
