"""Preparing a corpus: what is kept, what is left out and why, and what is written."""

import csv
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from sedistill.audio.files import read_mono, write, write_blocks
from sedistill.common.errors import UserError
from sedistill.data.corpus import Corpus
from sedistill.data.file_checks import Job, check
from sedistill.data.preparation import prepare

from .sounds import RATE, noise, pairs, save, speech, speech_and_noise


def reasons(corpus: Path) -> dict[str, str]:
    with (corpus / "excluded.csv").open(newline="") as file:
        return {Path(row["path"]).name: row["reason"] for row in csv.DictReader(file)}


def test_every_bad_file_is_listed_with_its_reason_and_the_rest_is_used(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds")
    bad = clean / "s0"
    (bad / "text.wav").write_text("words\n" * 100)
    (bad / "empty.wav").touch()
    save(bad / "no_samples.wav", np.zeros(0))
    save(bad / "three.wav", speech(3 / RATE))
    save(bad / "silent.wav", np.zeros(RATE))
    save(bad / "nan.wav", np.where(np.arange(RATE) == 77, np.nan, speech(1, 3)), subtype="FLOAT")
    save(bad / "clipped.wav", np.clip(10 * speech(2, 5), -0.5, 0.5))
    save(bad / "copy.flac", speech(2, 0))
    whole = save(bad / "cut.flac", speech(3, 9)).read_bytes()
    (bad / "cut.flac").write_bytes(whole[: len(whole) // 2])
    save(noises / "n0/speech.flac", speech(2, 0))
    (noises / "notes.txt").write_text("not a recording and not called one")

    summary = prepare(tmp_path / "corpus", clean=clean, noise=noises, workers=1)

    assert reasons(tmp_path / "corpus") == {
        "text.wav": "not audio",
        "empty.wav": "zero length",
        "no_samples.wav": "zero length",
        "three.wav": "too short",
        "silent.wav": "silent",
        "nan.wav": "NaN",
        "clipped.wav": "clipped",
        "copy.flac": "exact copy",
        "cut.flac": "damaged",
        "speech.flac": "exact copy",
        "notes.txt": "no audio",
    }
    corpus = Corpus.load(tmp_path / "corpus")
    assert (len(corpus.kind("clean")), len(corpus.kind("noise"))) == (8, 8)
    text = summary.text()
    assert "Left out: 10 files" in text
    assert "2  exact copy" in text
    assert len(text.splitlines()) < 25


def test_clipped_noise_is_kept_and_marked(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds")
    save(noises / "n0/clipped.wav", np.clip(20 * noise(2, 7), -0.5, 0.5))
    summary = prepare(tmp_path / "corpus", clean=clean, noise=noises, workers=1)
    marked = [clip for clip in summary.corpus if clip.path == "n0/clipped.wav"]
    assert marked[0].clipped_share > 0.1
    assert "Kept although clipped (noise, or a ready pair): 1 files" in summary.text()


def test_other_rates_and_channels_are_converted_once_and_read_alike(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds")
    low = save(clean / "s0/low.wav", speech(2, 50, 8_000), 8_000)
    stereo = np.stack([speech(2, 51, 44_100), noise(2, 52, 44_100)], axis=1)
    high = save(clean / "s1/high.wav", stereo, 44_100, "PCM_24")
    deep = save(clean / "s2/deep.wav", speech(2, 53), subtype="PCM_24")
    summary = prepare(tmp_path / "corpus", clean=clean, noise=noises, workers=1)

    corpus = Corpus.load(tmp_path / "corpus")
    by_source = {clip.source or clip.path: (index, clip) for index, clip in enumerate(corpus)}
    assert summary.converted == 2
    for name, original, rate, channels in (
        ("clean/s0/low.wav", low, 8_000, 1),
        ("clean/s1/high.wav", high, 44_100, 2),
        ("s2/deep.wav", deep, RATE, 1),
    ):
        index, clip = by_source[name]
        assert (clip.sample_rate, clip.channels, clip.frames) == (rate, channels, 2 * RATE)
        assert corpus.read(index) == pytest.approx(read_mono(original, RATE), abs=2**-15)
    assert soundfile.info(tmp_path / "corpus/audio/clean/s1/high.wav.flac").subtype == "PCM_24"
    assert corpus.path(by_source["s2/deep.wav"][0]) == deep
    facts = yaml.safe_load((tmp_path / "corpus/corpus.yaml").read_text())
    assert facts["resampler"] == "soxr VHQ"


def test_a_long_recording_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    def peak_bytes(minutes: int) -> int:
        path = tmp_path / f"{minutes}.wav"
        minute = np.stack([speech(60, 0, 48_000)] * 2, axis=1)
        write_blocks(path, (minute for _ in range(minutes)), 48_000, "PCM_16", channels=2)
        del minute
        job = Job((str(path),), ("clean",), (str(tmp_path / f"{minutes}.flac"),), RATE)
        tracemalloc.start()
        (finding,) = check(job)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (finding.reason, finding.frames, finding.was_converted) == ("", minutes * 60 * RATE, True)
        return peak

    # A minute is 23 MB of float32; of it only the energies and sums of 3000 frames are kept.
    assert peak_bytes(3) < peak_bytes(1) + 300_000 < 10_000_000


def test_mp3_is_converted_because_crops_of_it_are_slow_to_read(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds")
    write(clean / "s0/a.mp3", speech(2, 50), RATE)
    summary = prepare(tmp_path / "corpus", clean=clean, noise=noises, workers=1)
    assert [clip.path for clip in summary.corpus if clip.source] == ["clean/s0/a.mp3.flac"]


def test_a_recording_that_a_conversion_would_clip_is_turned_down(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds")
    square = np.sign(np.sin(2 * np.pi * 300 * np.arange(2 * 48_000) / 48_000)).astype(np.float32)
    original = save(noises / "n0/square.wav", square, 48_000)
    corpus = prepare(tmp_path / "corpus", clean=clean, noise=noises, workers=1).corpus
    index = next(number for number, clip in enumerate(corpus) if clip.source == "noise/n0/square.wav")
    whole = read_mono(original, RATE)
    assert np.abs(whole).max() > 1.01
    assert corpus[index].peak == pytest.approx(1.0, abs=1e-6)
    read_back = Corpus.load(tmp_path / "corpus").read(index)
    assert np.abs(read_back - whole / np.abs(whole).max()).max() <= 2**-15


def test_a_conversion_that_turned_out_unusable_does_not_stay(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds")
    save(clean / "s0/silent.wav", np.zeros(48_000), 48_000)
    whole = save(clean / "s0/cut.flac", speech(30, 9, 48_000), 48_000).read_bytes()
    (clean / "s0/cut.flac").write_bytes(whole[: len(whole) // 2])
    prepare(tmp_path / "corpus", clean=clean, noise=noises, workers=1)
    assert set(reasons(tmp_path / "corpus")) == {"silent.wav", "cut.flac"}
    assert not (tmp_path / "corpus/audio").exists()


def test_the_first_sample_that_is_no_number_is_named(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds")
    samples = np.stack([speech(10, 3)] * 2, axis=1)
    samples[123_456:, 1] = np.inf
    save(clean / "s0/inf.wav", samples, subtype="FLOAT")
    summary = prepare(tmp_path / "corpus", clean=clean, noise=noises, workers=1)
    assert [one.detail for one in summary.excluded] == [
        "it holds NaN or infinite samples, the first at sample 123456"
    ]


def test_conversions_nobody_needs_do_not_stay(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds")
    for name in ("a", "b"):
        save(clean / f"s0/{name}.wav", speech(2, 50, 8_000), 8_000)
    prepare(tmp_path / "corpus", clean=clean, noise=noises, workers=1)
    kept = [path.name for path in (tmp_path / "corpus/audio").rglob("*.flac")]
    assert kept == ["a.wav.flac"]


def test_a_pair_is_turned_down_together_when_conversion_would_clip_it(tmp_path: Path) -> None:
    clean, noisy = pairs(tmp_path / "sounds", count=4)
    # Full-scale steps overshoot when they are resampled.
    square = np.sign(np.sin(2 * np.pi * 300 * np.arange(2 * 48_000) / 48_000)).astype(np.float32)
    save(noisy / "9.wav", square, 48_000)
    save(clean / "9.wav", square / 2, 48_000)
    prepare(tmp_path / "corpus", clean=clean, noisy=noisy, workers=1)
    corpus = Corpus.load(tmp_path / "corpus")
    levels = {clip.kind: clip.peak for clip in corpus if clip.pair == "9"}
    assert levels["noisy"] <= 1.0
    assert levels["noisy"] == pytest.approx(2 * levels["clean"], rel=1e-3)


def test_pairs_that_do_not_match_are_left_out(tmp_path: Path) -> None:
    clean, noisy = pairs(tmp_path / "sounds", count=6)
    save(noisy / "longer.wav", noise(2, 1))
    save(clean / "longer.wav", speech(1, 1))
    save(noisy / "lonely.wav", noise(1, 2))
    save(clean / "alone.wav", speech(1, 3))
    save(noisy / "quiet.wav", noise(1, 4))
    save(clean / "quiet.wav", np.zeros(RATE))
    summary = prepare(tmp_path / "corpus", clean=clean, noisy=noisy, workers=1)
    found = {(Path(one.path).parent.name, Path(one.path).stem): one.reason for one in summary.excluded}
    assert found == {
        ("noisy", "longer"): "lengths differ",
        ("clean", "longer"): "lengths differ",
        ("noisy", "lonely"): "no partner",
        ("clean", "alone"): "no partner",
        ("noisy", "quiet"): "partner unusable",
        ("clean", "quiet"): "silent",
    }
    assert len(summary.corpus) == 12
    by_pair: dict[str, set[str]] = {}
    for clip in summary.corpus:
        by_pair.setdefault(clip.pair, set()).add(clip.split)
    assert all(len(splits) == 1 for splits in by_pair.values())


def test_no_usable_file_is_an_error_that_says_why(tmp_path: Path) -> None:
    clean, _ = speech_and_noise(tmp_path / "sounds")
    for number in range(3):
        save(tmp_path / f"silent/{number}.wav", np.zeros(RATE))
    with pytest.raises(
        UserError, match=r"no usable noise file in .*silent \(3 silent\); for example .*0\.wav"
    ):
        prepare(tmp_path / "corpus", clean=clean, noise=tmp_path / "silent", workers=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["silent", "sounds"]


def test_mistakes_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds")
    (tmp_path / "empty").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "there/file").touch()
    before = sorted(tmp_path.rglob("*"))
    good = {"clean": clean, "noise": noises, "workers": 1}
    output = tmp_path / "corpus"
    for match, arguments in {
        "nowhere does not exist": {**good, "noise": tmp_path / "nowhere"},
        "empty holds no audio files": {**good, "noise": tmp_path / "empty"},
        "unknown layout 'timit'": {**good, "layout": "timit"},
        "give --clean with --noise": {"clean": clean},
        "not both": {**good, "root": clean},
        "in no known layout": {"root": noises},
        "sample_rate is 100 Hz": {**good, "sample_rate": 100},
        "workers is 0": {**good, "workers": 0},
    }.items():
        with pytest.raises(UserError, match=match):
            prepare(output, **arguments)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"there exists already; .*--overwrite"):
        prepare(tmp_path / "there", **good)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="one in the other"):
        prepare(clean / "corpus", **good)  # type: ignore[arg-type]
    assert sorted(tmp_path.rglob("*")) == before


def test_overwriting_replaces_the_whole_corpus(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds")
    prepare(tmp_path / "corpus", clean=clean, noise=noises, workers=1)
    (tmp_path / "corpus/old").touch()
    prepare(tmp_path / "corpus", clean=clean, noise=noises, workers=1, overwrite=True)
    assert sorted(path.name for path in (tmp_path / "corpus").iterdir()) == [
        "corpus.csv",
        "corpus.yaml",
        "excluded.csv",
        "files.csv",
    ]


def test_overwriting_never_takes_a_folder_of_recordings(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds")
    before = sorted(path for path in clean.rglob("*"))
    with pytest.raises(UserError, match="not an earlier output of this kind"):
        prepare(clean, clean=clean, noise=noises, workers=1, overwrite=True)
    assert sorted(path for path in clean.rglob("*")) == before


def test_an_interrupted_preparation_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sedistill.data.checking.in_parallel", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "corpus", clean=clean, noise=noises)
    assert [path.name for path in tmp_path.iterdir()] == ["sounds"]
