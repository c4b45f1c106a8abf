"""CSIG, CBAK, COVL and what they are made of: by hand, against the slow reference, and on bad clips."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedistill.evaluation import composite
from sedistill.evaluation.checks import MetricUndefined
from sedistill.evaluation.composite import (
    Distances,
    cbak,
    covl,
    csig,
    frame_distances,
    linear_predictors,
    local_peaks_db,
    peaks_matched_segmental_snr,
    segment_snr_db,
)
from sedistill.evaluation.metrics import METRICS
from sedistill.evaluation.pesq_mos import pesq_wb
from tests.evaluation import reference_composite
from tests.evaluation.reference_composite import (
    reference_distances,
    reference_peaks_matched_snr,
)
from tests.evaluation.signals import RATE, noise, speech_like


def degraded(kind: str) -> tuple[np.ndarray, np.ndarray]:
    clean = speech_like(0.4, seed=3)
    estimates = {
        "noisy": clean + noise(len(clean)),
        "muffled": np.convolve(clean, np.ones(6) / 6, mode="same").astype(np.float32),
        "loud": 3 * clean + noise(len(clean), 0.003),
        "gated": np.where(np.arange(len(clean)) % 3200 < 1900, clean, 0).astype(np.float32),
    }
    return clean, estimates[kind]


@pytest.mark.parametrize("kind", ["noisy", "muffled", "loud", "gated"])
def test_all_frames_at_once_equal_the_loop(kind: str) -> None:
    clean, estimate = degraded(kind)
    fast = frame_distances(clean, estimate, RATE)
    slow = reference_distances(clean, estimate)
    np.testing.assert_allclose(fast, slow, rtol=1e-7, atol=1e-7)
    pesq = pesq_wb(clean, estimate, RATE)
    for rating in (csig, cbak, covl):
        assert rating(pesq, fast) == pytest.approx(rating(pesq, Distances(*slow)), abs=1e-3)


def test_frames_in_blocks_or_together_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    clean, estimate = degraded("noisy")
    together = frame_distances(clean, estimate, RATE)
    monkeypatch.setattr(composite, "FRAMES_AT_ONCE", 7)
    np.testing.assert_allclose(frame_distances(clean, estimate, RATE), together, rtol=1e-12)


def test_the_formulas_by_hand() -> None:
    distances = Distances(llr=0.5, wss=40.0, segmental_snr_db=5.0)
    assert csig(2.0, distances) == pytest.approx(3.093 - 0.5145 + 1.206 - 0.36)
    assert cbak(2.0, distances) == pytest.approx(1.634 + 0.956 - 0.28 + 0.315)
    assert covl(2.0, distances) == pytest.approx(1.594 + 1.61 - 0.256 - 0.28)


@given(st.floats(1, 4.64), st.floats(0, 10), st.floats(0, 400), st.floats(-10, 35))
def test_ratings_stay_between_1_and_5(pesq: float, llr: float, wss: float, snr_db: float) -> None:
    distances = Distances(llr, wss, snr_db)
    for rating in (csig, cbak, covl):
        assert 1 <= rating(pesq, distances) <= 5
        assert rating(4.64, distances) >= rating(1.0, distances)


def test_an_estimate_that_equals_the_clean_clip_is_perfect() -> None:
    clean = speech_like(0.5)
    distances = frame_distances(clean, clean, RATE)
    assert distances.llr == pytest.approx(0, abs=1e-9)
    assert distances.wss == pytest.approx(0, abs=1e-9)
    assert distances.segmental_snr_db == pytest.approx(35)
    assert [METRICS[name].value(clean, clean, RATE) for name in ("csig", "cbak", "covl")] == [5, 5, 5]


@settings(max_examples=10)
@given(st.integers(0, 2**31), st.floats(0.05, 20))
def test_llr_ignores_level_and_is_never_negative(seed: int, gain: float) -> None:
    clean = speech_like(0.2, seed)
    estimate = clean + noise(len(clean), seed=seed + 1)
    distances = frame_distances(clean, estimate, RATE)
    assert frame_distances(gain * clean.astype(float), estimate, RATE).llr == pytest.approx(distances.llr)
    assert frame_distances(clean, gain * estimate.astype(float), RATE).llr == pytest.approx(distances.llr)
    assert distances.llr >= 0
    assert distances.wss >= 0


def test_segmental_snr_by_hand_and_its_limits() -> None:
    clean = np.ones((4, 2))
    estimate = np.array([[1.1, 0.9], [1, 1], [-9, -9], [1.5, 1.5]])
    expected = [20.0, 35.0, -10.0, 10 * math.log10(4)]
    np.testing.assert_allclose(segment_snr_db(clean, estimate), expected, rtol=1e-6)


@given(st.floats(-8, 30))
def test_noise_that_follows_the_speech_has_its_snr_in_every_segment(snr_db: float) -> None:
    clean = speech_like(0.1).astype(float)
    estimate = clean * (1 + 10 ** (-snr_db / 20))
    assert frame_distances(clean, estimate, RATE).segmental_snr_db == pytest.approx(snr_db, abs=1e-6)


def test_predictors_by_hand() -> None:
    # Lags of a process x[n] = 0.5 x[n-1] + u[n] with variance 4/3: one coefficient, error 1.
    lags = 4 / 3 * 0.5 ** np.arange(4.0)[:, None]
    filters, error = linear_predictors(lags)
    np.testing.assert_allclose(filters[:, 0], [1, -0.5, 0, 0], atol=1e-12)
    assert error == pytest.approx([1.0])


@given(st.integers(0, 2**31))
def test_predictors_solve_the_normal_equations(seed: int) -> None:
    frame = np.random.default_rng(seed).standard_normal(480)
    lags = np.array(reference_composite.autocorrelation(frame))
    filters, _ = linear_predictors(np.repeat(lags[:, None], 3, axis=1))
    expected = reference_composite.error_filter(lags.tolist())
    np.testing.assert_allclose(filters, np.repeat(expected[:, None], 3, axis=1), atol=1e-9)


@pytest.mark.parametrize("frame", [np.zeros(480), np.ones(480), np.sin(0.1 * np.arange(480))])
def test_predictors_stop_where_only_rounding_is_left(frame: np.ndarray) -> None:
    lags = np.array(reference_composite.autocorrelation(frame * composite.WINDOW))[:, None]
    filters, error = linear_predictors(lags)
    assert np.isfinite(filters).all()
    assert (error >= 0).all()
    assert (error <= lags[0]).all()


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 5.0, 9.0]), min_size=25, max_size=25))
def test_local_peaks_are_those_one_walks_to(levels: list[float]) -> None:
    walked = [reference_composite.local_peak(levels, band) for band in range(24)]
    np.testing.assert_array_equal(local_peaks_db(np.array(levels)[:, None])[:, 0], walked)


def test_stretches_of_digital_silence_stay_finite_and_cost_no_llr() -> None:
    clean = speech_like(0.8)
    clean[:3000] = 0
    clean[5000:5700] = 0.01  # an offset alone: no white part for a predictor to leave over
    estimate = clean.copy()
    estimate[9000:11_000] = 0
    distances = frame_distances(clean, estimate, RATE)
    assert np.isfinite(distances).all()
    sounding = frame_distances(clean[5700:9000], estimate[5700:9000], RATE)
    assert sounding.llr == pytest.approx(0, abs=1e-9)
    assert distances.llr < 0.2  # only frames at the edges of the hole in the estimate


@pytest.mark.parametrize(("samples", "frames"), [(599, 0), (600, 1), (719, 1), (720, 2)])
def test_the_shortest_clip_has_one_frame(samples: int, frames: int) -> None:
    clean = speech_like(0.1)[:samples]
    if frames:
        slow = reference_distances(clean, clean + noise(samples))
        np.testing.assert_allclose(frame_distances(clean, clean + noise(samples), RATE), slow, rtol=1e-7)
    else:
        with pytest.raises(MetricUndefined, match="too short for LLR, WSS and segmental SNR"):
            frame_distances(clean, clean, RATE)


def test_undefined_below_16_khz_and_without_a_common_sound() -> None:
    with pytest.raises(MetricUndefined, match="need 16 kHz; the clip has 8000 Hz"):
        frame_distances(speech_like(), speech_like(), 8000)
    early = np.concatenate([speech_like(0.2), np.zeros(4000, np.float32)])
    with pytest.raises(MetricUndefined, match="never sound at the same time"):
        frame_distances(early, early[::-1], RATE)


def test_higher_rates_are_resampled() -> None:
    import soxr

    at_48k = [speech_like(0.3, seed, sample_rate=48_000) for seed in (1, 2)]
    at_16k = [soxr.resample(side.astype(float), 48_000, RATE, quality="VHQ") for side in at_48k]
    expected = frame_distances(*at_16k, RATE)
    np.testing.assert_allclose(frame_distances(*at_48k, 48_000), expected, rtol=1e-9)


@pytest.mark.parametrize("kind", ["noisy", "muffled", "loud", "gated"])
@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (0.4, 0.1), (1.7, -0.05)])
def test_peaks_matched_equals_the_loop(kind: str, gain: float, offset: float) -> None:
    clean, estimate = degraded(kind)
    estimate = gain * estimate + offset
    slow = reference_peaks_matched_snr(clean, estimate)
    assert peaks_matched_segmental_snr(clean, estimate, RATE) == pytest.approx(slow, abs=1e-7)
    distances = Distances(*reference_distances(clean, estimate))
    by_hand = 1.634 + 0.478 * pesq_wb(clean, estimate, RATE) - 0.007 * distances.wss + 0.063 * slow
    assert METRICS["cbak_peaks_matched"].value(clean, estimate, RATE) == pytest.approx(
        min(max(by_hand, 1), 5), abs=1e-3
    )


def test_both_cbaks_where_peaks_and_means_agree_and_where_they_do_not() -> None:
    clean = speech_like(0.5)
    clean -= clean.mean()
    estimate = clean + noise(len(clean), 0.01)
    estimate -= estimate.mean()
    estimate *= np.abs(clean).max() / np.abs(estimate).max()
    one, other = (METRICS[name] for name in ("cbak", "cbak_peaks_matched"))
    assert other.value(clean, estimate, RATE) == pytest.approx(one.value(clean, estimate, RATE), abs=2e-3)
    halved = 0.5 * estimate
    assert other.value(clean, halved, RATE) == pytest.approx(other.value(clean, estimate, RATE), abs=1e-3)
    assert one.value(clean, halved, RATE) < one.value(clean, estimate, RATE) - 0.2


def test_an_offset_alone_is_silence() -> None:
    with pytest.raises(MetricUndefined, match="the estimate is silent"):
        peaks_matched_segmental_snr(speech_like(0.3), np.full(len(speech_like(0.3)), 0.1), RATE)
