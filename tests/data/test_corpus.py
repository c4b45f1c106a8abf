"""A corpus read back: what was written, and nothing else."""

from pathlib import Path

import pytest

from sedistill.audio.files import write
from sedistill.common.errors import UserError
from sedistill.data.clip_table import Clip
from sedistill.data.corpus import Corpus
from sedistill.data.preparation import prepare

from .sounds import RATE, noise, save, speech, speech_and_noise


def test_the_manifest_comes_back_as_it_was_and_the_hash_knows_the_audio(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds")
    made = prepare(tmp_path / "a", clean=clean, noise=noises, workers=1).corpus
    read_back = Corpus.load(tmp_path / "a")
    for one, other in zip(made, read_back, strict=True):
        assert isinstance(other, Clip)
        assert other.active_level_db == pytest.approx(one.active_level_db, rel=1e-5)
        assert (other.path, other.frames, other.audio_sha256) == (one.path, one.frames, one.audio_sha256)
    assert read_back.hash == made.hash
    moved = tmp_path / "elsewhere"
    (tmp_path / "sounds").rename(moved)
    again = prepare(tmp_path / "b", clean=moved / "clean", noise=moved / "noise", workers=1).corpus
    assert again.hash == made.hash
    with pytest.raises(UserError, match=r"root 'clean' should lie in .*does not exist"):
        Corpus.load(tmp_path / "a")
    write(moved / "clean/s0/0.flac", speech(2, 99), RATE)
    assert (
        prepare(tmp_path / "c", clean=moved / "clean", noise=moved / "noise", workers=1).corpus.hash
        != made.hash
    )


def test_damaged_corpora_are_refused(mixed_corpus: Path, tmp_path: Path) -> None:
    facts = (mixed_corpus / "corpus.yaml").read_text()
    manifest = (mixed_corpus / "corpus.csv").read_text()
    for name, new_facts, new_manifest, match in (
        ("none", None, None, "not a prepared corpus"),
        ("yaml", "a: [", manifest, "line 1, is not readable YAML: .*prepare the corpus again"),
        ("text", "hello", manifest, "must hold `key: value` lines, and holds one value; prepare"),
        ("version", facts.replace("format_version: 1", "format_version: 9"), manifest, "format version 9"),
        ("column", facts, manifest.replace("active_level_db", "level"), "no column 'active_level_db'"),
        ("cut", facts, manifest[: len(manifest) // 2], "cells, not .*prepare the corpus again"),
        ("no_manifest", facts, None, "corpus.csv does not exist; prepare the corpus again"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        if new_facts is not None:
            (folder / "corpus.yaml").write_text(new_facts)
        if new_manifest is not None:
            (folder / "corpus.csv").write_text(new_manifest)
        with pytest.raises(UserError, match=match):
            Corpus.load(folder)


def test_the_loudest_place_of_a_clip_counts_from_its_own_start(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds")
    for path in noises.rglob("*.flac"):
        path.unlink()
    for number in range(2):
        samples = noise(20, number)
        samples[[70_000, 270_000, 310_000]] = [0.5, -0.9, 0.9]
        save(noises / f"{number}.wav", samples)
    corpus = prepare(tmp_path / "corpus", clean=clean, noise=noises, workers=1).corpus.kind("noise")
    loudest = {(clip.split, corpus.loudest(number)) for number, clip in enumerate(corpus)}
    assert loudest == {("train", 70_000), ("valid", 270_000 - 256_000), ("test", 310_000 - 288_000)}
