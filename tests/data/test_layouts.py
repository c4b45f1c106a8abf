"""Layouts found by their names, and what each file stands for."""

from pathlib import Path

import pytest

from sedistill.common.errors import UserError
from sedistill.data.layouts import Listing, find_sources
from sedistill.data.preparation import prepare

from .sounds import noise, save, speech


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def found(root: Path, layout: str = "auto") -> Listing:
    return find_sources(layout, root, None, None, None)


def places(listing: Listing) -> dict[str, tuple[str, str, str]]:
    return {f"{s.root}/{s.path}": (s.kind, s.split, s.group) for s in listing.sources}


def test_voicebank_demand_by_its_folder_names(tmp_path: Path) -> None:
    for side in ("clean", "noisy"):
        touch(
            tmp_path,
            *(f"{side}_trainset_28spk_wav/{name}.wav" for name in ("p226_001", "p227_001", "p287_004")),
            f"{side}_testset_wav/p232_001.wav",
        )
    touch(tmp_path, "noisy_testset_wav/p257_001.wav")
    listing = found(tmp_path)
    assert listing.layout == "voicebank-demand"
    noisy = {key: value for key, value in places(listing).items() if value[0] == "noisy"}
    assert noisy == {
        "noisy_trainset_28spk_wav/p226_001.wav": ("noisy", "valid", "p226"),
        "noisy_trainset_28spk_wav/p227_001.wav": ("noisy", "train", "p227"),
        "noisy_trainset_28spk_wav/p287_004.wav": ("noisy", "valid", "p287"),
        "noisy_testset_wav/p232_001.wav": ("noisy", "test", "p232"),
    }
    assert [(one.path.name, one.reason) for one in listing.left_out] == [("p257_001.wav", "no partner")]


def test_voicebank_demand_without_its_validation_speakers_takes_others(tmp_path: Path) -> None:
    for side in ("clean", "noisy"):
        touch(tmp_path, *(f"{side}_trainset_56spk_wav/p{300 + n}_001.wav" for n in range(5)))
    listing = found(tmp_path)
    assert {source.split for source in listing.sources} == {""}
    assert listing.shares["noisy"] == {"valid": 0.1}
    assert any("no test set" in warning for warning in listing.warnings)


def test_a_missing_half_of_voicebank_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "noisy_testset_wav/p232_001.wav")
    with pytest.raises(UserError, match="clean_testset_wav; both folders are needed"):
        found(tmp_path)


def test_dns2020_with_readers_and_file_numbers(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "datasets/clean/book_00000_chp_0009_reader_06709_0.wav",
        "datasets/clean/book_00001_chp_0002_reader_11980_3.wav",
        "datasets/noise/door_001.wav",
        "datasets/test_set/synthetic/no_reverb/noisy/clnsp1_train_1_snr7_tl-21_fileid_268.wav",
        "datasets/test_set/synthetic/no_reverb/clean/clean_fileid_268.wav",
        "datasets/test_set/synthetic/no_reverb/clean/clean_fileid_26.wav",
        "datasets/test_set/synthetic/with_reverb/noisy/x_fileid_1.wav",
        "datasets/test_set/synthetic/with_reverb/clean/clean_fileid_1.wav",
    )
    listing = found(tmp_path)
    assert listing.layout == "dns2020"
    assert places(listing)["clean/book_00001_chp_0002_reader_11980_3.wav"] == ("clean", "", "reader_11980")
    assert places(listing)["noise/door_001.wav"] == ("noise", "", "door_001")
    pairs = {source.pair: source.split for source in listing.sources if source.pair}
    assert pairs == {"no_reverb/fileid_268": "test", "with_reverb/fileid_1": "test_with_reverb"}
    assert listing.shares == {"clean": {"valid": 0.1}, "noise": {"valid": 0.1}}
    assert [one.path.name for one in listing.left_out] == ["clean_fileid_26.wav"]


def test_dns2020_end_to_end_mixes_for_training_and_tests_on_its_pairs(tmp_path: Path) -> None:
    root = tmp_path / "dns/datasets"
    for reader in range(3):
        save(root / f"clean/book_1_reader_{reader}_0.wav", speech(1, reader))
        save(root / f"noise/{reader}.wav", noise(1, reader))
    save(root / "test_set/synthetic/no_reverb/noisy/a_fileid_0.wav", speech(1, 7) + noise(1, 7))
    save(root / "test_set/synthetic/no_reverb/clean/clean_fileid_0.wav", speech(1, 7))
    corpus = prepare(tmp_path / "corpus", tmp_path / "dns", workers=1).corpus
    assert not corpus.split("train").has_pairs
    assert corpus.split("test").has_pairs
    assert {clip.kind for clip in corpus.split("valid")} == {"clean", "noise"}


def test_folders_and_pairs_are_told_apart(tmp_path: Path) -> None:
    touch(tmp_path, "clean/a.wav", "noise/b.wav", "clean/.hidden.wav", "clean/readme.txt")
    assert found(tmp_path).layout == "folders"
    assert places(found(tmp_path)) == {"clean/a.wav": ("clean", "", "a"), "noise/b.wav": ("noise", "", "b")}
    touch(tmp_path / "p", "clean/a.wav", "noisy/a.flac", "noisy/b.wav", "noisy/b.flac", "clean/b.wav")
    listing = found(tmp_path / "p")
    assert listing.layout == "pairs"
    assert places(listing) == {"noisy/a.flac": ("noisy", "", "a"), "clean/a.wav": ("clean", "", "a")}
    assert sorted(one.path.name for one in listing.left_out) == ["b.flac", "b.wav", "b.wav"]


def test_speaker_is_the_first_folder_below_the_split(tmp_path: Path) -> None:
    touch(tmp_path, "clean/train/84/121123/84-1.flac", "clean/dev/85/1/85-1.flac", "noise/a/b/c.wav")
    assert places(found(tmp_path)) == {
        "clean/train/84/121123/84-1.flac": ("clean", "train", "84"),
        "clean/dev/85/1/85-1.flac": ("clean", "valid", "85"),
        "noise/a/b/c.wav": ("noise", "", "a"),
    }


def test_a_train_folder_without_a_valid_one_gives_some_of_itself(tmp_path: Path) -> None:
    touch(tmp_path, "clean/train/s1/1.wav", "clean/test/s2/1.wav", "noise/a.wav")
    listing = found(tmp_path)
    assert places(listing)["clean/train/s1/1.wav"][1] == ""
    assert listing.shares["clean"] == {"valid": 0.1}
