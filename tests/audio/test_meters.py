"""Levels block by block: those of the whole, and what counts as silent and as clipped."""

import math
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sedistill.audio import levels
from sedistill.audio.meters import ClippingMeter, LevelMeter

RATE = 1000  # frames of 20 samples
cuts = st.lists(st.integers(0, 130), max_size=6)
# Few values, so that many samples share the highest one.
coarse = arrays(np.float32, st.integers(1, 130), elements=st.sampled_from([-0.5, -0.25, 0.0, 0.25, 0.5]))
waveforms = arrays(np.float32, st.integers(0, 130), elements=st.floats(-1, 1, width=16))


def cut_at(samples: NDArray, places: list[int]) -> list[NDArray]:
    return np.split(samples, sorted(min(place, len(samples)) for place in places))


def clipping(samples: NDArray, places: list[int] | None = None) -> ClippingMeter:
    meter = ClippingMeter()
    for block in cut_at(np.asarray(samples), places or []):
        meter.add(block)
    return meter


def level(samples: NDArray, places: list[int] | None = None) -> LevelMeter:
    meter = LevelMeter(RATE)
    for block in cut_at(samples, places or []):
        meter.add(block)
    return meter


def slow_clipped_share(samples: list[float]) -> float:
    if max(samples) - min(samples) <= 2 / 32768:
        return 0.0
    runs = [(value, len(list(run))) for value, run in groupby(samples)]
    rails = {max(samples), min(samples)} - {0.0}
    return sum(length for value, length in runs if value in rails and length >= 3) / len(samples)


@given(coarse, cuts)
def test_clipped_share_is_the_slow_one_wherever_it_is_cut(samples: NDArray, places: list[int]) -> None:
    assert clipping(samples, places).clipped_share == slow_clipped_share(samples.tolist())


@given(waveforms, cuts)
def test_level_and_peak_are_those_of_the_whole_wherever_it_is_cut(
    samples: NDArray, places: list[int]
) -> None:
    meter, whole = level(samples, places), level(samples)
    assert meter.frames == len(samples)
    assert meter.peak == levels.peak(samples)
    assert (meter.active_level_db, meter.mean) == (whole.active_level_db, whole.mean)  # bit for bit
    assert meter.active_level_db == pytest.approx(levels.active_level_db(samples.astype(float), RATE))


@given(waveforms, st.sampled_from([-0.25, 0.125, 0.5]))
def test_an_offset_moves_no_streamed_level(samples: NDArray, offset: float) -> None:
    shifted = level(samples.astype(np.float64) + offset)
    assert shifted.active_level_db == pytest.approx(level(samples).active_level_db, abs=1e-6)


def test_a_noted_offset_and_the_peak_without_it() -> None:
    meter = level(np.tile([0.35, 0.15], 500).astype(np.float32), [3, 40])
    assert meter.offset == meter.mean == pytest.approx(0.25)
    assert meter.peak_without_offset == pytest.approx(0.1)
    assert (meter.peak, meter.active_level_db) == (pytest.approx(0.35), pytest.approx(-20.0))
    negligible = level(np.tile([0.1001, -0.0999], 500))
    assert negligible.offset == 0.0
    assert negligible.peak_without_offset == negligible.peak


def test_level_of_a_long_recording() -> None:
    samples = (0.1 * np.random.default_rng(0).standard_normal(300_007)).astype(np.float32)
    meter = LevelMeter(16_000)
    for first in range(0, len(samples), 65_536):
        meter.add(samples[first : first + 65_536])
    assert meter.active_level_db == pytest.approx(levels.active_level_db(samples.astype(float), 16_000))


def test_silence_is_judged_around_an_offset() -> None:
    assert clipping(np.zeros(0)).is_silent
    assert clipping(np.full(100, 0.3)).is_silent
    assert clipping(np.full(100, 0.3) + np.tile([0, 1 / 32768], 50), [50]).is_silent
    assert not clipping(np.tile([0, 3 / 32768], 50)).is_silent


def test_what_only_shifts_from_block_to_block_is_sound() -> None:
    assert not clipping(np.repeat([0.1, 0.2], 50), [50]).is_silent


def test_clipping_is_flat_runs_at_either_rail_at_any_level() -> None:
    sine = np.sin(2 * np.pi * 50 * np.arange(1000) / RATE + 0.1)
    assert clipping(sine).clipped_share == 0.0
    clipped = np.clip(sine, -0.7, 0.9)
    expected = np.mean((clipped == 0.9) | (clipped == -0.7))
    assert expected > 0.2
    # 0.9 is left for about 3 samples of 20 a period, -0.7 for 5.
    assert clipping(clipped).clipped_share == pytest.approx(expected, abs=0.05)
    assert clipping(clipped * 0.001).clipped_share == clipping(clipped).clipped_share


def test_runs_shorter_than_three_are_no_clipping() -> None:
    assert clipping(np.array([0, 1, 1, 0, 1, 1, 0, -1.0])).clipped_share == 0.0
    assert clipping(np.array([0, 1, 1, 1, 0, -1, 0, 0.0])).clipped_share == pytest.approx(3 / 8)


def test_a_run_goes_on_over_several_blocks_and_a_higher_peak_starts_afresh() -> None:
    assert clipping(np.array([0, 1, 1, 1, 0, -2.0]), [2, 3]).clipped_share == pytest.approx(3 / 6)
    assert clipping(np.array([1, 1, 1, 0, 2, -3.0]), [4]).clipped_share == 0.0
    assert clipping(np.array([1, 1, 0, 1, 1, -3.0]), [2, 3]).clipped_share == 0.0


def test_nothing_has_no_level() -> None:
    meter = level(np.zeros(0, np.float32))
    assert (meter.frames, meter.peak, meter.active_level_db) == (0, 0.0, -math.inf)
