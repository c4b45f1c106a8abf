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


def tone(samples: int, amplitude: float, dtype: type = np.float64) -> NDArray:
    """The simplest sound without an offset."""
    return np.tile([amplitude, -amplitude], samples)[:samples].astype(dtype)


def slow_active_level_db(samples: NDArray, sample_rate: int) -> float:
    mean = math.fsum(samples.tolist()) / len(samples)
    samples = np.array([x - mean for x in samples.tolist()])
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
    speech = np.concatenate([tone(100, 0.1), np.zeros(900)])
    assert levels.rms_db(speech) == pytest.approx(-30.0)
    assert levels.active_level_db(speech, RATE) == pytest.approx(-20.0)


def test_frames_40_db_under_the_loudest_still_count_and_quieter_ones_do_not() -> None:
    loud = tone(20, 1.0)
    # (1 + 0.01^2 * 1.02) / 2 against 1: the quiet frame counts, and halves the power.
    assert levels.active_level_db(np.concatenate([loud, tone(20, 0.0101)]), RATE) == pytest.approx(
        -3.01, abs=0.01
    )
    assert levels.active_level_db(np.concatenate([loud, tone(20, 0.0099)]), RATE) == pytest.approx(0.0)


def test_a_single_shot_has_the_level_of_its_own_frame() -> None:
    shot = np.zeros(1000)
    shot[500:502] = 1.0, -1.0
    assert levels.active_level_db(shot, RATE) == pytest.approx(10 * math.log10(2 / 20))


def test_the_short_last_frame_counts_with_its_own_length() -> None:
    assert levels.active_level_db(np.concatenate([np.zeros(20), tone(4, 0.5)]), RATE) == pytest.approx(
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
    assert level <= levels.gain_to_db(levels.peak(levels.without_mean(samples))) + 1e-9


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
    quiet = tone(100, 1e-21, np.float32)  # its square is no float32
    assert levels.active_level_db(quiet, RATE) == pytest.approx(-420.0, abs=1e-3)
    assert levels.rms_db(quiet) == pytest.approx(-420.0, abs=1e-3)


def test_snr_of_speech_and_noise_by_hand() -> None:
    speech = np.concatenate([tone(100, 0.1), np.zeros(900)])
    hiss = np.tile([0.01, -0.01], 500)
    assert levels.snr_db(speech, hiss, RATE) == pytest.approx(20.0)
    assert levels.snr_db(speech, np.zeros(1000), RATE) == math.inf
    assert math.isnan(levels.snr_db(np.zeros(1000), np.zeros(1000), RATE))


@given(waveforms, st.sampled_from([-0.7, 1e-3, 0.1, 3.0]))
def test_an_offset_moves_no_level(samples: NDArray, offset: float) -> None:
    samples = np.round(samples * 2**15) / 2**15
    shifted = samples + offset
    assert levels.rms_db(shifted) == pytest.approx(levels.rms_db(samples), abs=1e-6) or not np.ptp(samples)
    level, moved = levels.active_level_db(samples, RATE), levels.active_level_db(shifted, RATE)
    assert moved == pytest.approx(level, abs=1e-6) or not np.ptp(samples)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_offset_alone_is_silence(dtype: type) -> None:
    constant = np.full(50_000, 0.1, dtype)
    assert levels.rms_db(constant) == levels.active_level_db(constant, RATE) == -math.inf


def test_snr_with_an_offset_on_speech_noise_or_both() -> None:
    speech, hiss = np.concatenate([tone(100, 0.1), np.zeros(900)]), tone(1000, 0.01)
    for on_speech, on_hiss in ((0.1, 0), (0, 0.1), (-0.3, 0.2)):
        assert levels.snr_db(speech + on_speech, hiss + on_hiss, RATE) == pytest.approx(20.0)


def test_which_mean_is_an_offset() -> None:
    assert levels.offset_of(0.01, -20.0) == 0.01
    assert levels.offset_of(-0.01, -20.0) == -0.01
    assert levels.offset_of(0.003, -20.0) == 0.0
    assert levels.offset_of(0.0, -math.inf) == levels.offset_of(0.1, -math.inf) == 0.0


def test_one_guard_for_all_signals() -> None:
    assert levels.clipping_guard(np.array([0.5]), np.array([-1.98])) == pytest.approx(0.5)
    assert levels.clipping_guard(np.array([0.5]), np.array([-0.99])) == 1.0


def test_gains() -> None:
    assert levels.db_to_gain(20.0) == pytest.approx(10.0)
    assert levels.gain_to_db(0.1) == pytest.approx(-20.0)
    assert levels.gain_to_db(0.0) == -math.inf
