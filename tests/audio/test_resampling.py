"""Resampling: length, what is kept and what is taken away, and the same bits in blocks of any size."""

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from sedistill.audio.resampling import BLOCK_FRAMES, resample, resampled

rates = st.tuples(*[st.sampled_from([8_000, 16_000, 19_980, 22_050, 44_100, 48_000])] * 2)


@given(length=st.integers(1, 3000), rates=rates, channels=st.integers(1, 3))
def test_resampled_length_is_the_rounded_share(length: int, rates: tuple[int, int], channels: int) -> None:
    samples = np.ones((length, channels), np.float32)
    converted = resample(samples, *rates)
    assert converted.shape == (max(1, round(length * rates[1] / rates[0])), channels)
    assert converted.dtype == np.float32


@given(length=st.integers(1, 3000), rates=rates, block=st.integers(1, 1000), seed=st.integers(0, 9))
def test_where_it_is_cut_changes_no_bit(length: int, rates: tuple[int, int], block: int, seed: int) -> None:
    samples = np.random.default_rng(seed).standard_normal(length).astype(np.float32)
    blocks = [samples[first : first + block] for first in range(0, length, block)]
    assert np.array_equal(np.concatenate(list(resampled(blocks, *rates))), resample(samples, *rates))


@pytest.mark.parametrize("from_rate", [8_000, 19_980, 44_100, 48_000])
@pytest.mark.parametrize("length", [3 * BLOCK_FRAMES, 2 * BLOCK_FRAMES + 4321])
def test_it_is_what_soxr_makes_of_the_whole(from_rate: int, length: int) -> None:
    samples = np.random.default_rng(0).standard_normal((length, 2)).astype(np.float32)
    whole = soxr.resample(samples, from_rate, 16_000, quality="VHQ")
    assert np.array_equal(resample(samples, from_rate, 16_000), whole[: round(length * 16_000 / from_rate)])


def test_nothing_stays_nothing() -> None:
    assert list(resampled([], 8_000, 16_000)) == []
    assert resample(np.zeros((0, 2)), 8_000, 16_000).shape == (0, 2)


def test_resampling_keeps_a_tone_where_it_was() -> None:
    def tone(rate: int) -> np.ndarray:
        return np.sin(2 * np.pi * 440 * np.arange(rate) / rate)

    middle = slice(2000, 14_000)
    assert resample(tone(44_100), 44_100, 16_000)[middle] == pytest.approx(tone(16_000)[middle], abs=1e-4)


def test_resampling_takes_away_what_the_new_rate_cannot_hold() -> None:
    tone = np.sin(2 * np.pi * 9_000 * np.arange(44_100) / 44_100)
    assert np.abs(resample(tone, 44_100, 16_000)[1000:-1000]).max() < 1e-4


@given(length=st.integers(1, 3000), rates=rates)
def test_an_end_as_soxr_makes_it_is_the_exact_one_but_for_a_sample(
    length: int, rates: tuple[int, int]
) -> None:
    samples = np.random.default_rng(0).standard_normal(length).astype(np.float32)
    exact = resample(samples, *rates)
    as_made = np.concatenate(list(resampled([samples], *rates, exact_length=False)))
    assert abs(len(as_made) - len(exact)) <= 1
    assert np.array_equal(as_made[: len(exact)], exact[: len(as_made)])


def test_an_odd_length_loses_nothing_where_the_end_is_soxrs() -> None:
    assert len(resample(np.ones(65), 16_000, 8_000)) == 32  # round(32.5) is even
    assert sum(len(block) for block in resampled([np.ones(65)], 16_000, 8_000, exact_length=False)) == 33
