"""New recordings joined with an earlier corpus: splits stay, copies are left out, roots keep apart."""

from pathlib import Path

import pytest

from sedistill.common.errors import UserError
from sedistill.data.corpus import Corpus
from sedistill.data.mixed_sets import mix
from sedistill.data.preparation import prepare
from tests.data.sounds import noise, pairs, save, speech, speech_and_noise


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    clean, noise_folder = speech_and_noise(tmp_path / "old")
    save(tmp_path / "old/noise/n0/48k.wav", noise(2, 77, 48_000), 48_000)  # is converted
    prepare(tmp_path / "corpus", clean=clean, noise=noise_folder)
    return tmp_path / "corpus"


def splits(corpus: Path) -> dict[str, str]:
    return {clip.audio_sha256: clip.split for clip in Corpus.load(corpus)}


def test_noise_alone_is_put_to_an_earlier_corpus(tmp_path: Path, earlier: Path) -> None:
    for number in range(6):
        save(tmp_path / f"more/street/{number}.flac", noise(2, 900 + number))
    summary = prepare(tmp_path / "joined", noise=tmp_path / "more", join=earlier)
    before, after = splits(earlier), splits(tmp_path / "joined")
    assert {sha: after[sha] for sha in before} == before
    new = [split for sha, split in after.items() if sha not in before]
    assert sorted(set(new)) == ["test", "train", "valid"]
    assert len(new) == 6
    assert not summary.excluded
    joined = Corpus.load(tmp_path / "joined")
    assert set(joined.roots) == {"noise", "clean", "noise-2", "audio"}
    assert joined.roots["audio"] == earlier / "audio"  # nothing new was converted
    mix(tmp_path / "joined", tmp_path / "set", "train", count=30)  # all of it can be read


def test_a_copy_keeps_the_earlier_split(tmp_path: Path, earlier: Path) -> None:
    tested = next(clip for clip in Corpus.load(earlier) if clip.split == "test" and clip.kind == "clean")
    sound = Corpus.load(earlier).roots[tested.root] / tested.path
    for number in range(4):
        save(tmp_path / f"more/train/v{number}/{number}.flac", speech(2, 500 + number))
        save(tmp_path / f"more/valid/w{number}/{number}.flac", speech(2, 600 + number))
    (tmp_path / "more/train/v0/again.flac").write_bytes(sound.read_bytes())
    summary = prepare(tmp_path / "joined", clean=tmp_path / "more", join=earlier)
    assert splits(tmp_path / "joined")[tested.audio_sha256] == "test"
    assert [(Path(one.path).name, one.reason) for one in summary.excluded] == [("again.flac", "exact copy")]


def test_joining_again_and_again(tmp_path: Path, earlier: Path) -> None:
    for number, place in enumerate("abc"):
        for file in range(3):
            save(tmp_path / f"{place}/{file}.wav", noise(2, 50 * number + file + 1000, 32_000), 32_000)
        prepare(tmp_path / f"corpus-{place}", noise=tmp_path / place, join=earlier)
        earlier = tmp_path / f"corpus-{place}"
    roots = Corpus.load(earlier).roots
    assert sorted(roots) == [
        "audio", "audio-2", "audio-3", "audio-4", "clean", "noise", "noise-2", "noise-3", "noise-4",
    ]  # fmt: skip
    assert len(set(roots.values())) == len(roots)
    assert len(Corpus.load(earlier)) == 8 + 9 + 9


def test_what_cannot_be_joined_is_refused(tmp_path: Path, earlier: Path) -> None:
    more = save(tmp_path / "more/0.wav", noise(2, 3)).parent
    clean, noisy = pairs(tmp_path / "pairs")
    with pytest.raises(UserError, match="has 16000 Hz, the new recordings would have 8000 Hz"):
        prepare(tmp_path / "x", noise=more, join=earlier, sample_rate=8_000)
    with pytest.raises(UserError, match="ready pairs"):
        prepare(tmp_path / "x", clean=clean, noisy=noisy, join=earlier)
    with pytest.raises(UserError, match="is not a prepared corpus"):
        prepare(tmp_path / "x", noise=more, join=more)
    with pytest.raises(UserError, match="give --clean with --noise"):
        prepare(tmp_path / "x", noise=more)
    (tmp_path / "text").mkdir()
    (tmp_path / "text/a.wav").write_text("none")
    with pytest.raises(UserError, match="no usable noise file"):
        prepare(tmp_path / "x", noise=tmp_path / "text", join=earlier)
    assert not (tmp_path / "x").exists()
