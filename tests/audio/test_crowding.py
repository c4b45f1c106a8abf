"""Speech clipped and coded again is found, and quiet or coarse speech is not taken for it."""

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sedistill.audio.crowding import AmplitudeHistogram

RATE = 16_000


def voice(seed: int, seconds: float = 3.0) -> NDArray:
    """Syllables of different loudness, of a falling spectrum: amplitudes as speech has them."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    loudness = np.repeat(rng.lognormal(0, 0.7, 40), len(time) // 40 + 1)[: len(time)]
    syllables = np.abs(np.sin(2 * np.pi * 2.6 * time)) * loudness
    pitch = 110 + 40 * rng.random() + 15 * np.sin(2 * np.pi * 1.3 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    buzz = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 12))
    spoken = syllables * (buzz + 0.3 * rng.standard_normal(len(time)))
    return 0.5 * spoken / np.abs(spoken).max()


def clipped(seed: int) -> NDArray:
    """Half of its samples lie at full scale."""
    return np.clip(voice(seed) / np.quantile(np.abs(voice(seed)), 0.5), -1, 1)


def histogram(samples: NDArray, cuts: int = 1) -> AmplitudeHistogram:
    meter = AmplitudeHistogram()
    for block in np.array_split(samples.astype(np.float32), cuts):
        meter.add(block)
    return meter


CODINGS = {
    "turned down": lambda samples: 0.3 * samples,
    "48 kHz": lambda samples: 0.5 * soxr.resample(samples, RATE, 48_000),
    "8 kHz": lambda samples: 0.5 * soxr.resample(samples, RATE, 8_000),
}


@pytest.mark.parametrize("coding", CODINGS)
def test_clipped_speech_is_found_however_it_was_coded(coding: str) -> None:
    for seed in range(4):
        assert histogram(CODINGS[coding](clipped(seed))).crowded_share > 0.005
        assert histogram(CODINGS[coding](voice(seed))).crowded_share == 0


@given(st.integers(0, 1000), st.floats(-0.2, 0.2), st.floats(-60, 0))
def test_undistorted_speech_is_not_at_any_level_or_offset(seed: int, offset: float, gain_db: float) -> None:
    sound = 10 ** (gain_db / 20) * voice(seed, 1.5) + offset
    assert histogram(np.round(sound * 32768) / 32768).crowded_share == 0


@given(st.integers(0, 1000), st.integers(1, 60))
def test_quiet_or_coarse_speech_has_few_steps(seed: int, steps: int) -> None:
    sound = voice(seed, 1.0)
    meter = histogram(np.round(sound / np.abs(sound).max() * steps) / 32768)
    assert meter.has_few_steps
    assert meter.crowded_share == 0


def test_a_steady_tone_is_not_clipped() -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440.3 * np.arange(3 * RATE) / RATE)
    assert histogram(tone).crowded_share == 0


def test_where_it_is_cut_does_not_matter() -> None:
    sound = CODINGS["48 kHz"](clipped(0))
    assert histogram(sound, 7).crowded_share == histogram(sound).crowded_share > 0


def test_samples_far_beyond_full_scale_are_not_judged() -> None:
    meter = histogram(np.clip(100 * voice(0), -30, 30))
    assert meter.crowded_share == 0
    assert not meter.has_few_steps
