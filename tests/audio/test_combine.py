"""Speech and noise added at an SNR, and pieces of noise joined, held against slow versions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sedistill.audio.combine import join, mix_at_snr


def test_a_mixture_by_hand() -> None:
    clean, hiss = np.tile([0.1, -0.1], 50), np.tile([0.2, -0.2], 50)
    noisy, scaled, guard = mix_at_snr(clean.copy(), hiss.copy(), 6.0206, -26.0206, -20.0, -13.9794)
    assert scaled == pytest.approx(0.5 * clean, rel=1e-5)
    assert noisy == pytest.approx(0.5 * clean + 0.125 * hiss, rel=1e-5)
    assert guard == 1.0


def test_the_guard_scales_noisy_and_clean_together() -> None:
    clean, hiss = np.tile([1.0, -1.0], 50), np.tile([1.0, -1.0], 50)
    noisy, scaled, guard = mix_at_snr(clean.copy(), hiss.copy(), 0.0, 0.0, 0.0, 0.0)
    assert guard == pytest.approx(0.495)
    assert np.abs(noisy).max() == pytest.approx(0.99)
    assert noisy == pytest.approx(2 * scaled)


def test_known_peaks_change_nothing() -> None:
    rng = np.random.default_rng(0)
    for level_db in (-40.0, -3.0):
        clean, hiss = rng.uniform(-1, 1, (2, 100))
        measured = mix_at_snr(clean.copy(), hiss.copy(), 3.0, level_db, -5.0, -5.0)
        known = mix_at_snr(clean.copy(), hiss.copy(), 3.0, level_db, -5.0, -5.0, 1.0, 1.0)
        assert np.array_equal(measured[0], known[0])
        assert measured[2] == known[2]
        assert (measured[2] < 1.0) == (level_db == -3.0)


def slow_join(pieces: list[NDArray], crossfade: int) -> NDArray:
    joined = list(pieces[0])
    for piece in pieces[1:]:
        kept, tail = joined[: len(joined) - crossfade], joined[len(joined) - crossfade :]
        for k in range(crossfade):
            angle = np.pi / 2 * (k + 0.5) / crossfade
            kept.append(tail[k] * np.cos(angle) + piece[k] * np.sin(angle))
        joined = kept + list(piece[crossfade:])
    return np.array(joined)


@given(st.lists(st.integers(20, 40), min_size=1, max_size=4), st.integers(0, 10))
def test_joining_is_the_slow_one(lengths: list[int], crossfade: int) -> None:
    rng = np.random.default_rng(0)
    pieces = [rng.standard_normal(length) for length in lengths]
    assert join(pieces, crossfade) == pytest.approx(slow_join(pieces, crossfade))


def test_joining_keeps_the_power_across_the_joint() -> None:
    rng = np.random.default_rng(0)
    joints = [join([rng.standard_normal(300), rng.standard_normal(300)], 100)[200:300] for _ in range(400)]
    power = np.mean(np.square(joints), axis=0)
    assert power.mean() == pytest.approx(1.0, abs=0.03)
    assert power.reshape(10, 10).mean(axis=1) == pytest.approx(1.0, abs=0.1)
