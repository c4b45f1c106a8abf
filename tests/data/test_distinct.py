"""What a set is made from: how many different recordings, speakers and noises carry its clips."""

import csv
from pathlib import Path

import yaml

from sedistill.data.corpus import Corpus
from sedistill.data.distinct import count_distinct, distinct_text, few_warning
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.mixed_sets import mix
from sedistill.data.mixing import MixingSettings
from sedistill.data.preparation import prepare
from sedistill.data.set_files import Row

from .from_before import without_hashes
from .sounds import noise, save, speech


def row(number: int, recording: str, speaker: str, noises: str) -> Row:
    name = f"{number:06d}.flac"
    return Row(
        name, 1, 0.0, "", 0, 0, speaker=speaker, clean_recording=recording, noise_recording=noises,
        noise_class="class",
    )  # fmt: skip


def test_each_recording_speaker_and_noise_counts_once() -> None:
    rows = [row(0, "a", "s1", "n1;n2"), row(1, "b", "s1", "n2"), row(2, "a", "s1", "n3")]
    counts = count_distinct(rows)
    assert counts == {"clean_recordings": 2, "speakers": 1, "noise_recordings": 3, "noise_classes": 1}
    assert distinct_text(counts) == "2 clean recordings of 1 speaker, 3 noise recordings of 1 noise class"
    assert "noise_recordings" not in count_distinct([row(0, "a", "s", "")])


def test_few_that_carry_many_are_warned_about() -> None:
    few = {"clean_recordings": 6, "speakers": 40, "noise_recordings": 2}
    assert "300 clips come from only 6 clean recordings and 2 noise recordings" in few_warning(few, 300)
    assert few_warning(few, 5) == ""
    assert few_warning({"clean_recordings": 300, "speakers": 56, "noise_recordings": 50}, 3000) == ""


def test_a_written_set_says_what_it_is_made_from(tmp_path: Path) -> None:
    for speaker in "ab":
        save(tmp_path / f"clean/test/{speaker}/0.wav", speech(2, ord(speaker)))
        save(tmp_path / f"clean/train/t{speaker}/0.wav", speech(2, 7 + ord(speaker)))
    save(tmp_path / "noise/test/rain/0.wav", noise(2, 3))
    save(tmp_path / "noise/train/fan/0.wav", noise(2, 4))
    prepare(tmp_path / "corpus", clean=tmp_path / "clean", noise=tmp_path / "noise", workers=1)
    summary = mix(
        tmp_path / "corpus", tmp_path / "set", "test", 12, mixing=MixingSettings(clip_seconds=0.5), workers=1
    )
    made = {"clean_recordings": 2, "speakers": 2, "noise_recordings": 1, "noise_classes": 1}
    assert yaml.safe_load((tmp_path / "set/set.yaml").read_text())["distinct"] == made
    assert "2 clean recordings of 2 speakers, 1 noise recording of 1 noise class" in summary.text()
    assert "Warning: 12 clips come from only 2 clean recordings, 2 speakers and 1 noise rec" in summary.text()
    with (tmp_path / "set/mixtures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(one["speaker"], one["clean_recording"]) for one in rows} == {
        ("a", "clean/test/a/0.wav"),
        ("b", "clean/test/b/0.wav"),
    }
    assert {one["noise_recording"] for one in rows} == {"noise/test/rain/0.wav"}


def test_corpora_and_sets_from_before_are_still_read(mixed_corpus: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    mix(mixed_corpus, folder, "train", 2, mixing=MixingSettings(clip_seconds=0.2), workers=1)
    added = ("recording", "speaker", "clean_recording", "noise_recording")
    for source, target in (
        (mixed_corpus / "corpus.csv", tmp_path / "old/corpus.csv"),
        (folder / "mixtures.csv",) * 2,
    ):
        with source.open(newline="") as file:
            rows = [
                {name: value for name, value in line.items() if name not in added}
                for line in csv.DictReader(file)
            ]
        target.parent.mkdir(exist_ok=True)
        with target.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    facts = yaml.safe_load((mixed_corpus / "corpus.yaml").read_text())
    (tmp_path / "old/corpus.yaml").write_text(yaml.safe_dump(facts))
    without_hashes(tmp_path / "old")
    without_hashes(folder)
    old = Corpus.load(tmp_path / "old")
    assert old.hash == Corpus.load(mixed_corpus).hash
    assert old[0].recording == ""
    assert old[0].cut_from == f"{old[0].root}/{old[0].path}"
    assert len(FixedSet(folder)) == 2
