"""Pairs that do not belong together: late, early, drifting, swapped; and those that do, however noisy."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sedistill.common.errors import UserError
from sedistill.data.corpus import Corpus
from sedistill.data.crops import Pairs
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.pair_alignment import check_all, check_some
from sedistill.data.pair_fit import (
    DRIFTS,
    FITS,
    SHIFTED,
    UNKNOWN,
    UNRELATED,
    fit_of_arrays,
    measure_fit,
    shared_part,
)
from sedistill.data.preparation import prepare

from .sounds import RATE, save


def voice(seed: int, seconds: float = 2.0) -> NDArray[np.float64]:
    """Syllables of changing pitch with pauses, as speech has them."""
    rng = np.random.default_rng(seed)
    samples = 1e-4 * rng.standard_normal(round(seconds * RATE))
    place = 0
    while place < len(samples) - RATE // 4:
        length = int(rng.uniform(0.1, 0.25) * RATE)
        time = np.arange(length) / RATE
        pitch = rng.uniform(90, 220) * (1 + rng.uniform(-0.3, 0.3) * time)
        tone = sum(
            np.sin(2 * np.pi * h * np.cumsum(pitch) / RATE + rng.uniform(0, 6)) / h for h in range(1, 25)
        )
        samples[place : place + length] += 0.1 * tone * np.hanning(length)
        place += length + int(rng.uniform(0.02, 0.1) * RATE)
    return samples


def hiss(seed: int, like: NDArray, snr_db: float) -> NDArray[np.float64]:
    noise = np.random.default_rng(1000 + seed).standard_normal(len(like))
    return noise * np.std(like) / 10 ** (snr_db / 20)


def late(samples: NDArray, lag: int) -> NDArray:
    return (
        np.roll(samples, lag)
        if lag == 0
        else (np.r_[np.zeros(lag), samples[:-lag]] if lag > 0 else np.r_[samples[-lag:], np.zeros(-lag)])
    )


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 500),
    lag=st.one_of(st.integers(400, 4000), st.integers(-4000, -400)),
    snr_db=st.floats(-10, 30),
    gain=st.sampled_from([1.0, -1.0, 0.01, 7.0]),
)
def test_the_lag_is_found_at_any_level_polarity_and_snr(
    seed: int, lag: int, snr_db: float, gain: float
) -> None:
    clean = voice(seed)
    noisy = gain * late(clean + hiss(seed, clean, snr_db), lag)
    found = fit_of_arrays(noisy, clean, RATE)
    assert (found.verdict, found.lag) == (SHIFTED, lag)
    assert found.is_inverted == (gain < 0)
    starts = shared_part(lag, len(noisy), len(clean))
    shared = [side[start : start + starts[2]] for side, start in zip((noisy, clean), starts, strict=False)]
    assert fit_of_arrays(*shared, RATE).verdict == FITS


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 500), snr_db=st.floats(-10, 40))
def test_pairs_that_fit_are_never_told_otherwise_and_swapped_ones_always(seed: int, snr_db: float) -> None:
    clean, other = voice(seed), voice(seed + 1000)
    noise = hiss(seed, clean, snr_db)
    assert fit_of_arrays(clean + noise, clean, RATE).verdict == FITS
    assert fit_of_arrays(other + noise, clean, RATE).verdict == UNRELATED


@pytest.mark.parametrize("lag", [-20, 5, 40])
def test_short_lags_are_found_where_noise_is_not_loud(lag: int) -> None:
    clean = voice(11)
    found = fit_of_arrays(late(clean + hiss(11, clean, 20), lag), clean, RATE)
    assert (found.verdict, found.lag) == (SHIFTED, lag)


def test_a_clock_that_runs_faster_is_told_as_a_drift() -> None:
    clean = voice(3, 8.0)
    places = np.arange(len(clean)) * (1 + 100e-6)
    noisy = np.interp(places, np.arange(len(clean)), clean + hiss(3, clean, 15))
    found = fit_of_arrays(noisy, clean, RATE)
    assert found.verdict == DRIFTS
    assert -8 <= found.lag <= 0
    assert -14 <= found.other_lag <= -6


def test_what_cannot_be_told_is_not_told() -> None:
    clean = voice(1)
    assert fit_of_arrays(clean[:4000], voice(2)[:4000], RATE).verdict == UNKNOWN
    assert fit_of_arrays(np.zeros(RATE), clean[:RATE], RATE).verdict == UNKNOWN


def test_reverberation_is_no_lag() -> None:
    clean, rng = voice(5, 4.0), np.random.default_rng(0)
    tail = rng.standard_normal(RATE // 2) * np.exp(-np.arange(RATE // 2) / (0.08 * RATE)) * 0.2
    response = np.r_[1.0, np.zeros(80), tail]
    noisy = np.convolve(clean, response)[: len(clean)]
    assert fit_of_arrays(noisy, clean, RATE).verdict == FITS


def test_of_a_long_pair_only_stretches_are_read_at_a_time() -> None:
    clean = np.tile(voice(7, 10.0), 10)
    noisy, longest = late(clean + hiss(7, clean, 5), 300), 0

    def read(start: int, frames: int) -> tuple[NDArray, NDArray]:
        nonlocal longest
        longest = max(longest, frames)
        return noisy[start : start + frames], clean[start : start + frames]

    found = measure_fit(read, len(clean), RATE)
    assert (found.verdict, found.lag) == (SHIFTED, 300)
    assert longest == 20 * RATE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pairs: one late, one early, two swapped, two that fit."""
    for number in range(6):
        clean = voice(number)
        noisy = voice(5 if number == 4 else 4 if number == 5 else number)
        noisy = late(noisy + hiss(number, clean, 10), {0: 800, 1: -160}.get(number, 0))
        save(tmp_path / f"pairs/clean/{number}.wav", clean)
        save(tmp_path / f"pairs/noisy/{number}.wav", noisy)
    return tmp_path / "pairs"


def test_prepare_leaves_out_or_shifts_pairs_that_do_not_fit(folder: Path, tmp_path: Path) -> None:
    plain = prepare(tmp_path / "plain", clean=folder / "clean", noisy=folder / "noisy", workers=1)
    assert sorted({Path(clip.path).stem for clip in plain.corpus}) == ["2", "3"]
    with (tmp_path / "plain/excluded.csv").open(newline="") as file:
        found = {Path(row["path"]).stem: (row["reason"], row["detail"]) for row in csv.DictReader(file)}
    assert found["0"] == (
        "shifted",
        "noisy is 800 samples (50.0 ms) late; --align shifts it, --trust-pairs keeps it as it is",
    )
    assert found["1"] == (
        "shifted",
        "noisy is 160 samples (10.0 ms) early; --align shifts it, --trust-pairs keeps it as it is",
    )
    assert found["4"][0] == found["5"][0] == "another recording"
    assert "4 pairs do not fit and are left out, for example 0.wav: noisy is 800 samples" in plain.text()

    aligned = prepare(
        tmp_path / "aligned", clean=folder / "clean", noisy=folder / "noisy", workers=1, align=True
    )
    assert sorted({Path(clip.path).stem for clip in aligned.corpus}) == ["0", "1", "2", "3"]
    assert "Shifted so that noisy and clean fit: 2 pairs" in aligned.text()
    for split in {clip.split for clip in aligned.corpus}:
        part = Pairs(Corpus.load(tmp_path / "aligned").split(split))
        for index in range(len(part)):
            crop = part.whole(index)
            assert fit_of_arrays(crop.noisy, crop.clean, RATE).verdict == FITS


def test_pairs_of_different_lengths_are_aligned_where_asked(tmp_path: Path) -> None:
    for number in range(3):
        clean = voice(number)
        save(tmp_path / f"clean/{number}.wav", clean)
        save(
            tmp_path / f"noisy/{number}.wav",
            np.r_[np.zeros(500), clean + hiss(number, clean, 10), np.zeros(99)],
        )
    folders = {"clean": tmp_path / "clean", "noisy": tmp_path / "noisy"}
    with pytest.raises(UserError, match="lengths differ"):
        prepare(tmp_path / "c", workers=1, **folders)
    corpus = prepare(tmp_path / "c", workers=1, align=True, **folders).corpus
    for clip in corpus:
        assert (clip.start, clip.frames) == (500 if clip.kind == "noisy" else 0, 2 * RATE)


def test_a_set_is_refused_or_shifted_before_it_is_scored(folder: Path) -> None:
    with pytest.raises(UserError) as refused:
        check_all(FixedSet(folder), align=False, workers=2)
    text = str(refused.value)
    assert "4 of 6 pairs are misaligned or do not belong together" in text
    assert "0.wav is 800 samples (50.0 ms) late, 1.wav is 160 samples (10.0 ms) early, 4.wav" in text
    assert "--align" in text
    with pytest.raises(UserError, match=r"2 of 6 pairs .* 4\.wav does not hold its clean partner"):
        check_all(FixedSet(folder), align=True, workers=1)
    with pytest.raises(UserError, match=r"prepare .* --align"):
        check_some(FixedSet(folder))
    for number in (4, 5):
        for side in ("noisy", "clean"):
            (folder / side / f"{number}.wav").unlink()
    pairs = FixedSet(folder)
    before = pairs.hash
    check_all(pairs, align=True, workers=1)
    assert pairs.lags.tolist() == [800, -160, 0, 0]
    assert pairs.lengths.tolist() == [2 * RATE - 800, 2 * RATE - 160, 2 * RATE, 2 * RATE]
    assert pairs.hash != before
    for index in range(4):
        noisy, clean = pairs[index]
        assert len(noisy) == len(clean) == pairs.lengths[index]
        assert fit_of_arrays(noisy, clean, RATE).verdict == FITS


def test_a_corpus_of_pairs_from_before_is_looked_at_when_it_is_trained_on(tmp_path: Path) -> None:
    for number in range(4):
        clean = voice(number)
        for side in ("clean", "noisy"):
            save(tmp_path / f"{side}/{number}.wav", clean)
    corpus = prepare(tmp_path / "c", clean=tmp_path / "clean", noisy=tmp_path / "noisy", workers=1).corpus
    check_some(corpus)
    for number in range(4):
        soundfile.write(tmp_path / f"noisy/{number}.wav", late(voice(number), 50), RATE)
    with pytest.raises(UserError, match=r"is 50 samples \(3\.1 ms\) late"):
        check_some(corpus)
