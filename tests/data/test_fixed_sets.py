"""Fixed sets: written once, the same again, and refused when they are not what they were."""

import csv
import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sedistill.audio import levels
from sedistill.audio.files import read_mono
from sedistill.common.errors import UserError
from sedistill.data.examples import MixtureDataset
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.mixed_sets import mix
from sedistill.data.mixing import MixingSettings

from .sounds import RATE, noise, pairs, save, speech

ONE_SECOND = MixingSettings(clip_seconds=1.0)
WHOLE = MixingSettings(clip_seconds=None)


@pytest.fixture(scope="module")
def written(mixed_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "train"
    mix(mixed_corpus, folder, split="train", count=6, seed=5, mixing=ONE_SECOND)
    return folder


def test_a_written_set_holds_the_mixtures_made_on_the_fly(mixed_corpus: Path, written: Path) -> None:
    on_the_fly = MixtureDataset(mixed_corpus, "train", ONE_SECOND, seed=5, length=6)
    fixed = FixedSet(written)
    assert len(fixed) == 6
    assert fixed.lengths.tolist() == [RATE] * 6
    for index in range(6):
        noisy, clean = fixed[index]
        assert noisy == pytest.approx(on_the_fly[index]["noisy"], abs=2**-15)
        assert clean == pytest.approx(on_the_fly[index]["clean"], abs=2**-15)
        assert levels.snr_db(clean, noisy - clean, RATE) == pytest.approx(fixed.snr_db[index], abs=0.3)


def test_a_part_of_a_set_that_was_mixed_here_was_so_too(written: Path) -> None:
    """Else its pairs would be listened to, and their rumble told as an offset."""
    whole = FixedSet(written)
    assert len(whole.evenly(1)) < len(whole)
    assert whole.is_mixed_here
    assert whole.evenly(1).is_mixed_here


def test_any_number_of_workers_writes_the_same_files(mixed_corpus: Path, tmp_path: Path) -> None:
    hashes = []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        settings = MixingSettings(clip_seconds=0.1)
        summary = mix(mixed_corpus, folder, "valid", 80, 1, settings, workers=workers)
        hashes.append(summary.facts["hash"])
    assert hashes[0] == hashes[1]
    for path in (tmp_path / "1").rglob("*.*"):
        if path.name == "files.csv":
            continue  # it tells when the files were written
        assert path.read_bytes() == (tmp_path / "2" / path.relative_to(tmp_path / "1")).read_bytes()


def test_the_table_says_what_is_in_each_clip(mixed_corpus: Path, written: Path) -> None:
    with (written / "mixtures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    fixed = FixedSet(written)
    for index, row in enumerate(rows):
        assert row["name"] == fixed.name(index) == f"{index:06d}.flac"
        assert row["noise_class"].encode() == fixed.noise_classes[index]
        assert all(part.startswith(row["noise_class"]) for part in row["noise"].split(";"))
        assert len(row["noise"].split(";")) == len(row["noise_start"].split(";"))
    row = rows[0]
    source = mixed_corpus.parent / "sounds/clean" / row["clean"]
    clean = fixed[0][1]
    part = read_mono(source, RATE, int(row["clean_start"]), len(clean))
    assert clean / np.abs(clean).max() == pytest.approx(part / np.abs(part).max(), abs=2e-3)


def test_the_summary_is_for_people(mixed_corpus: Path, tmp_path: Path) -> None:
    text = mix(mixed_corpus, tmp_path / "set", "train", 3, mixing=ONE_SECOND).text()
    assert "3 mixtures of split train, 0:00:03 h at 16000 Hz" in text
    assert "SNR" in text


def test_the_hash_is_that_of_the_audio(written: Path, tmp_path: Path) -> None:
    for side in ("noisy", "clean"):
        shutil.copytree(written / side, tmp_path / "plain" / side)
    plain = FixedSet(tmp_path / "plain")
    assert plain.facts == {}
    assert plain.hash == FixedSet(written).hash
    assert plain.sample_rate == RATE
    assert np.isnan(plain.snr_db).all()
    save(tmp_path / "plain/clean/000003.flac", speech(1, 9))
    assert FixedSet(tmp_path / "plain").lengths.tolist() == [RATE] * 6


def test_another_recording_changes_the_hash(tmp_path: Path) -> None:
    hashes = []
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        pairs(folder, count=3)
        save(folder / "noisy/1.wav", noise(2 + 1 / 8, seed))
        hashes.append(FixedSet(folder).hash)
    assert hashes[0] != hashes[1]


def test_ready_pairs_whole_or_cut(pairs_corpus: Path, tmp_path: Path) -> None:
    whole = mix(pairs_corpus, tmp_path / "whole", "train", 100, mixing=WHOLE)
    fixed = FixedSet(tmp_path / "whole")
    assert whole.facts["count"] == len(fixed) == 10
    assert len(set(fixed.lengths.tolist())) == 10
    noisy, clean = fixed[0]
    row = next(csv.DictReader((tmp_path / "whole/mixtures.csv").open()))
    source = pairs_corpus.parent / "sounds"
    assert np.array_equal(clean, read_mono(source / "clean" / row["clean"], RATE))
    assert np.array_equal(noisy, read_mono(source / "noisy" / row["clean"], RATE))
    assert float(row["snr_db"]) == pytest.approx(levels.snr_db(clean, noisy - clean, RATE), abs=1e-3)

    mix(pairs_corpus, tmp_path / "some", "train", 4, mixing=WHOLE)
    assert len(FixedSet(tmp_path / "some")) == 4
    mix(pairs_corpus, tmp_path / "cut", "train", 15, mixing=ONE_SECOND)
    assert FixedSet(tmp_path / "cut").lengths.tolist() == [RATE] * 15


def test_plain_folders_that_do_not_match_are_named(tmp_path: Path) -> None:
    def folder(name: str) -> Path:
        pairs(tmp_path / name, count=2)
        return tmp_path / name

    save(folder("lonely") / "noisy/x.wav", noise(1))
    save(folder("alone") / "clean/y.wav", noise(1))
    save(folder("longer") / "noisy/1.wav", noise(3))
    save(folder("rate") / "noisy/1.wav", noise(2, 0, 8_000), 8_000)
    other_rate = folder("rates")
    for side in ("noisy", "clean"):
        save(other_rate / side / "1.wav", noise(2, 0, 8_000), 8_000)
    (folder("text") / "noisy/1.wav").write_text("words\n" * 100)
    shutil.rmtree(folder("half") / "clean")
    (tmp_path / "none/noisy").mkdir(parents=True)
    (tmp_path / "none/clean").mkdir()
    for name, match in {
        "lonely": r"noisy/x\.wav has no partner of the same name in .*clean",
        "alone": r"clean/y\.wav has no partner of the same name in .*noisy",
        "longer": r"noisy/1\.wav has 48000 samples at 16000 Hz and its clean partner 34000",
        "rate": r"noisy/1\.wav has 16000 samples at 8000 Hz and its clean partner 34000 at 16000",
        "rates": r"noisy/1\.wav has 8000 Hz, files before it 16000 Hz",
        "text": r"noisy/1\.wav is not audio",
        "half": r"half/clean does not exist",
        "none": r"none holds no audio files",
        "nowhere": r"nowhere does not exist; give a set, a folder with noisy/ and clean/ in it",
    }.items():
        with pytest.raises(UserError, match=match):
            FixedSet(tmp_path / name)


def test_a_set_that_was_changed_is_refused(written: Path, tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(written, tmp_path / name))

    save(copy("other") / "noisy/000001.flac", noise(1))
    for side in ("noisy", "clean"):
        (copy("fewer") if side == "noisy" else tmp_path / "fewer").joinpath(side, "000005.flac").unlink()
    (copy("no_table") / "mixtures.csv").unlink()
    (copy("yaml") / "set.yaml").write_text("a: [")
    for name, match in {
        "other": "was changed since it was written",
        "fewer": "tells of 6 clips and .* there are 5",
        "no_table": "mixtures.csv does not exist; write the set again",
        "yaml": "set.yaml, line 1, is not readable YAML",
    }.items():
        with pytest.raises(UserError, match=match):
            FixedSet(tmp_path / name)


def test_mistakes_and_a_full_disk_leave_nothing(
    mixed_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/file").touch()
    for match, arguments in {
        "has no split 'dev'; it has test, train, valid": {"split": "dev"},
        "count = 0 is not possible; give a whole number, from 1 to": {"count": 0},
        "count = '4' is not possible; give a whole number": {"count": "4"},
        "there exists already": {"output": tmp_path / "there"},
        "is not a prepared corpus": {"corpus_folder": tmp_path},
    }.items():
        with pytest.raises(UserError, match=match):
            mix(**{"corpus_folder": mixed_corpus, "output": tmp_path / "set", **arguments})  # type: ignore[arg-type]

    def refuse(*_: object) -> None:
        raise soundfile.LibsndfileError(2)  # all that libsndfile says of it

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(soundfile.SoundFile, "write", refuse)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="the disk is full"):
        mix(mixed_corpus, tmp_path / "set", "train", 2, mixing=ONE_SECOND)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
