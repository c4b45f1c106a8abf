"""Levels by hand, against a slow version, and what must not change them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sedistill.audio import levels

RATE = 1000  # frames of 20 samples
waveforms = arrays(np.float64, st.integers(1, 130), elements=st.floats(-1, 1))


def slow_active_level_db(samples: NDArray, sample_rate: int) -> float:
    frame = round(0.02 * sample_rate)
    frames = [samples[i : i + frame] for i in range(0, len(samples), frame)]
    powers = [sum(float(x) ** 2 for x in part) / len(part) for part in frames]
    kept = [part for part, power in zip(frames, powers, strict=True) if power >= max(powers) * 1e-4]
    values = [float(x) ** 2 for part in kept for x in part]
    power = sum(values) / len(values)
    return 10 * math.log10(power) if power > 0 else -math.inf


def test_levels_of_a_square_wave_by_hand() -> None:
    square = np.tile([0.1, -0.1], 50)
    assert levels.rms_db(square) == pytest.approx(-20.0)
    assert levels.active_level_db(square, RATE) == pytest.approx(-20.0)
    assert levels.peak(square) == pytest.approx(0.1)


def test_pauses_lower_the_rms_but_not_the_active_level() -> None:
    speech = np.concatenate([np.full(100, 0.1), np.zeros(900)])
    assert levels.rms_db(speech) == pytest.approx(-30.0)
    assert levels.active_level_db(speech, RATE) == pytest.approx(-20.0)


def test_frames_40_db_under_the_loudest_still_count_and_quieter_ones_do_not() -> None:
    loud = np.full(20, 1.0)
    # (1 + 0.01^2 * 1.02) / 2 against 1: the quiet frame counts, and halves the power.
    assert levels.active_level_db(np.concatenate([loud, np.full(20, 0.0101)]), RATE) == pytest.approx(
        -3.01, abs=0.01
    )
    assert levels.active_level_db(np.concatenate([loud, np.full(20, 0.0099)]), RATE) == pytest.approx(0.0)


def test_a_single_shot_has_the_level_of_its_own_frame() -> None:
    shot = np.zeros(1000)
    shot[500] = 1.0
    assert levels.active_level_db(shot, RATE) == pytest.approx(10 * math.log10(1 / 20))


def test_the_short_last_frame_counts_with_its_own_length() -> None:
    assert levels.active_level_db(np.concatenate([np.zeros(20), np.full(5, 0.5)]), RATE) == pytest.approx(
        20 * math.log10(0.5)
    )


@given(waveforms)
def test_active_level_is_the_slow_one(samples: NDArray) -> None:
    assert levels.active_level_db(samples, RATE) == pytest.approx(slow_active_level_db(samples, RATE))


@given(waveforms, st.integers(-30, 10))
def test_scaling_moves_the_level_and_nothing_else(samples: NDArray, octaves: int) -> None:
    scaled = samples * 2.0**octaves  # exact, so that no frame crosses the threshold by rounding
    moved = levels.active_level_db(scaled, RATE) - 20 * math.log10(2) * octaves
    assert moved == pytest.approx(levels.active_level_db(samples, RATE))


@given(waveforms)
def test_active_level_is_between_rms_and_peak(samples: NDArray) -> None:
    level = levels.active_level_db(samples, RATE)
    assert level >= levels.rms_db(samples) - 1e-9
    assert level <= levels.gain_to_db(levels.peak(samples)) + 1e-9


@given(waveforms)
def test_order_of_whole_frames_does_not_matter(samples: NDArray) -> None:
    whole = np.resize(samples, (len(samples) // 20 + 1) * 20).reshape(-1, 20)
    assert levels.active_level_db(whole[::-1].ravel(), RATE) == pytest.approx(
        levels.active_level_db(whole.ravel(), RATE)
    )


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(1), np.zeros(50, np.float32)])
@pytest.mark.filterwarnings("error")
def test_silence_is_minus_infinity_without_a_warning(samples: NDArray) -> None:
    assert levels.rms_db(samples) == -math.inf
    assert levels.active_level_db(samples, RATE) == -math.inf
    assert levels.peak(samples) == 0.0
    assert levels.clipping_guard(samples) == 1.0


def test_very_quiet_float32_keeps_its_level() -> None:
    quiet = np.full(100, 1e-21, np.float32)  # its square is no float32
    assert levels.active_level_db(quiet, RATE) == pytest.approx(-420.0, abs=1e-3)
    assert levels.rms_db(quiet) == pytest.approx(-420.0, abs=1e-3)


def test_snr_of_speech_and_noise_by_hand() -> None:
    speech = np.concatenate([np.full(100, 0.1), np.zeros(900)])
    hiss = np.tile([0.01, -0.01], 500)
    assert levels.snr_db(speech, hiss, RATE) == pytest.approx(20.0)
    assert levels.snr_db(speech, np.zeros(1000), RATE) == math.inf
    assert math.isnan(levels.snr_db(np.zeros(1000), np.zeros(1000), RATE))


def test_one_guard_for_all_signals() -> None:
    assert levels.clipping_guard(np.array([0.5]), np.array([-1.98])) == pytest.approx(0.5)
    assert levels.clipping_guard(np.array([0.5]), np.array([-0.99])) == 1.0


def test_gains() -> None:
    assert levels.db_to_gain(20.0) == pytest.approx(10.0)
    assert levels.gain_to_db(0.1) == pytest.approx(-20.0)
    assert levels.gain_to_db(0.0) == -math.inf
