"""The metrics of one clip: by hand, against slow versions and the packages themselves, and on bad clips."""

import math
import subprocess
import sys

import numpy as np
import pesq
import pystoi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.evaluation import metrics
from sedistill.evaluation.checks import MetricUndefined
from sedistill.evaluation.metrics import DEFAULT_METRICS, METRICS, metrics_named
from tests.evaluation.signals import RATE, noise, speech_like


def slow_si_sdr(clean: list[float], estimate: list[float]) -> float:
    """The definition, sample by sample in plain Python."""
    dot = sum(c * e for c, e in zip(clean, estimate, strict=True))
    scale = dot / sum(c * c for c in clean)
    target = sum((scale * c) ** 2 for c in clean)
    distortion = sum((scale * c - e) ** 2 for c, e in zip(clean, estimate, strict=True))
    return 10 * math.log10(target / distortion)


def test_si_sdr_by_hand() -> None:
    # a = 2/2 = 1, target energy 2, distortion energy 1.
    assert metrics.si_sdr([1, 0, 1, 0], [1, 0, 1, 1]) == pytest.approx(10 * math.log10(2))
    # a = (2 + 0)/1 = 2, target energy 4, distortion (0, 3) has energy 9.
    assert metrics.si_sdr([1, 0], [2, 3]) == pytest.approx(10 * math.log10(4 / 9))


def test_si_sdr_does_not_remove_the_mean() -> None:
    # With the mean removed, estimate and clean would be the same signal.
    assert metrics.si_sdr([1, -1, 1, -1], [2, 0, 2, 0]) == pytest.approx(0.0)


@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_si_sdr_equals_the_slow_definition(seed: int, samples: int) -> None:
    clean, estimate = np.random.default_rng(seed).standard_normal((2, samples))
    expected = slow_si_sdr(clean.tolist(), estimate.tolist())
    assert metrics.si_sdr(clean, estimate) == pytest.approx(expected, abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.floats(0.01, 100), st.sampled_from([1, -1]))
def test_si_sdr_ignores_level_and_sign(seed: int, gain: float, clean_gain: float, sign: int) -> None:
    clean, estimate = np.random.default_rng(seed).standard_normal((2, 50))
    scaled = metrics.si_sdr(clean_gain * clean, sign * gain * estimate)
    assert scaled == pytest.approx(metrics.si_sdr(clean, estimate), abs=1e-7)


@given(st.integers(0, 2**32 - 1), st.floats(-30, 30))
def test_si_sdr_is_the_snr_of_orthogonal_noise(seed: int, snr_db: float) -> None:
    clean, other = np.random.default_rng(seed).standard_normal((2, 50))
    orthogonal = other - (other @ clean) / (clean @ clean) * clean
    orthogonal *= np.linalg.norm(clean) / np.linalg.norm(orthogonal) * 10 ** (-snr_db / 20)
    assert metrics.si_sdr(clean, clean + orthogonal) == pytest.approx(snr_db, abs=1e-6)


@pytest.fixture(scope="module")
def clip() -> tuple[np.ndarray, np.ndarray]:
    clean = speech_like(2.0)
    return clean, clean + noise(len(clean))


def test_values_are_those_of_the_packages(clip: tuple[np.ndarray, np.ndarray]) -> None:
    clean, noisy = clip
    assert metrics.pesq_wb(clean, noisy, RATE) == pytest.approx(pesq.pesq(RATE, clean, noisy, "wb"), abs=1e-5)
    assert metrics.pesq_nb(clean, noisy, RATE) == pytest.approx(pesq.pesq(RATE, clean, noisy, "nb"), abs=1e-5)
    assert metrics.stoi(clean, noisy, RATE) == pytest.approx(pystoi.stoi(clean, noisy, RATE), abs=1e-6)
    extended = pystoi.stoi(clean, noisy, RATE, extended=True)
    assert metrics.estoi(clean, noisy, RATE) == pytest.approx(extended, abs=1e-6)


@pytest.mark.parametrize("name", DEFAULT_METRICS)
def test_metrics_leave_the_clip_and_random_state_alone_and_repeat(
    name: str, clip: tuple[np.ndarray, np.ndarray]
) -> None:
    clean, noisy = (signal.copy() for signal in clip)
    noisy[4000:14_000] = 0  # where the estimate is empty, ESTOI lives on pystoi's own random noise
    before, state = noisy.copy(), np.random.get_state()[1].tolist()
    first = METRICS[name].value(clean, noisy, RATE)
    np.testing.assert_array_equal(noisy, before)
    np.testing.assert_array_equal(clean, clip[0])
    assert np.random.get_state()[1].tolist() == state
    np.random.seed(5)
    assert METRICS[name].value(clean, noisy, RATE) == first


@pytest.mark.parametrize("name", DEFAULT_METRICS)
def test_less_noise_scores_better(name: str, clip: tuple[np.ndarray, np.ndarray]) -> None:
    clean, noisy = clip
    metric = METRICS[name]
    better = metric.value(clean, (clean + noisy) / 2, RATE)
    worse = metric.value(clean, noisy, RATE)
    assert (better > worse) == metric.higher_is_better


@pytest.mark.parametrize("name", DEFAULT_METRICS)
@pytest.mark.parametrize(
    ("which", "value", "reason"),
    [
        ("clean", 0.0, "clean reference is silent"),
        ("clean", 1e-7, "clean reference is silent"),
        ("estimate", 0.0, "estimate is silent"),
        ("clean", np.nan, "clean reference has NaN"),
        ("estimate", np.inf, "estimate has NaN"),
    ],
)
def test_undefined_on_silence_and_nan(name: str, which: str, value: float, reason: str) -> None:
    signals = {"clean": speech_like(1.0), "estimate": speech_like(1.0, seed=2)}
    signals[which] = np.full(RATE, value)
    with pytest.raises(MetricUndefined, match=reason):
        METRICS[name].value(signals["clean"], signals["estimate"], RATE)


@pytest.mark.parametrize("samples", [0, 1, 3, 255, 256, 3999])
@pytest.mark.parametrize("name", ["pesq_wb", "pesq_nb", "stoi", "estoi", "csig"])
def test_undefined_on_clips_too_short(name: str, samples: int) -> None:
    with pytest.raises(MetricUndefined, match=r"short|silent"):
        METRICS[name].value(noise(samples), noise(samples, seed=3), RATE)


def test_stoi_is_undefined_with_too_little_speech_left() -> None:
    clean = noise(RATE, level=1e-5)
    clean[:2000] += 0.3  # all the rest is 80 dB lower: silent frames, which STOI removes
    for metric in (metrics.stoi, metrics.estoi):
        with pytest.raises(MetricUndefined, match="fewer than 30 frames"):
            metric(clean, clean + noise(RATE), RATE)


def test_si_sdr_is_undefined_where_it_is_infinite() -> None:
    clean = speech_like(0.1)
    with pytest.raises(MetricUndefined, match="equals the clean"):
        metrics.si_sdr(clean, -0.3 * clean.astype(np.float64))
    with pytest.raises(MetricUndefined, match="nothing of the clean"):
        metrics.si_sdr([1, 0, 0], [0, 1, 0])


def test_different_lengths_are_a_programming_error() -> None:
    with pytest.raises(ValueError, match="clean has 3 samples, the estimate 2"):
        metrics.si_sdr([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match=r"must have shape \(samples,\)"):
        metrics.si_sdr([[1, 2, 3]], [[1, 2, 3]])


def test_metrics_are_found_by_name() -> None:
    assert [metric.name for metric in metrics_named(["stoi", " si_sdr ", "stoi"])] == ["stoi", "si_sdr"]
    with pytest.raises(UserError, match=r"unknown metric PESQ-WBB; did you mean pesq_wb\?"):
        metrics_named(["stoi", "PESQ-WBB"])
    with pytest.raises(UserError, match="no metric named"):
        metrics_named(["", " "])


def test_what_needs_one_more_extra_or_one_more_pass_is_no_default() -> None:
    others = {"dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl", "cbak_peaks_matched", "noise_only_db", "do_no_harm"}
    assert set(METRICS) - set(DEFAULT_METRICS) == others


def test_metrics_that_share_a_part_compute_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(*arguments: object) -> float:
        calls.append("pesq")
        return package(*arguments)

    package = pesq.pesq
    monkeypatch.setattr(pesq, "pesq", counted)
    clean = speech_like(0.5)
    estimate = clean + noise(len(clean))
    names = ["pesq_wb", "csig", "cbak", "covl", "seg_snr", "cbak_peaks_matched"]
    known_parts: dict = {}
    together = [METRICS[name].value(clean, estimate, RATE, known_parts) for name in names]
    assert calls == ["pesq"]
    assert together == [METRICS[name].value(clean, estimate, RATE) for name in names]
    assert calls == ["pesq"] * 6  # one for each but seg_snr


def test_a_missing_extra_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("pystoi", "speechmos"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=r"ESTOI needs pystoi; type: pip install 'sedistill\[eval\]'"):
        metrics_named(["estoi"])
    with pytest.raises(UserError, match=r"OVRL needs speechmos; type: pip install 'sedistill\[dnsmos\]'"):
        metrics_named(["dnsmos_ovrl"])
    assert metrics_named(["si_sdr"])


def test_the_module_loads_neither_torch_nor_the_metrics_packages() -> None:
    code = (
        "import sys, sedistill.evaluation.metrics, sedistill.evaluation.metric_process;"
        "print([name for name in ('torch', 'pesq', 'pystoi', 'scipy', 'onnxruntime') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("gain", [1.0, -1.0, 0.5, 0.1, 2.0])
def test_residue_is_the_level_of_what_is_left(gain: float) -> None:
    signal = noise(4000)
    assert metrics.residue_db(signal, gain * signal) == pytest.approx(20 * math.log10(abs(gain)), abs=1e-5)


def test_residue_by_hand_and_without_means() -> None:
    # RMS 5 and 1: 20 log10(1/5); an offset is heard by nobody.
    assert metrics.residue_db([5, -5, 5, -5], [1, 1, -1, -1]) == pytest.approx(-13.9794, abs=1e-4)
    assert metrics.residue_db([8, -2, 8, -2], [0, 0, -2, -2]) == pytest.approx(-13.9794, abs=1e-4)


def test_residue_of_silence_is_the_floor_and_that_of_no_noise_undefined() -> None:
    signal = noise(4000)
    assert metrics.residue_db(signal, np.zeros_like(signal)) == metrics.QUIETEST_RESIDUE_DB == -60
    assert metrics.residue_db(signal, 1e-4 * signal) == -60
    with pytest.raises(MetricUndefined, match="the noise is silent"):
        metrics.residue_db(np.zeros_like(signal), signal)
    with pytest.raises(MetricUndefined, match="estimate has NaN"):
        metrics.residue_db(signal, signal * np.nan)
    with pytest.raises(ValueError, match="not one clip"):
        metrics.residue_db(signal, signal[1:])


def test_what_a_metric_is_given_and_held_against() -> None:
    clean, rest = speech_like(), noise(len(speech_like()))
    noisy = clean + rest
    expected = {"noisy": (noisy, clean), "clean": (clean, clean), "noise": (noisy - clean, noisy - clean)}
    for alone, signals in expected.items():
        np.testing.assert_array_equal(metrics.given_and_reference(alone, noisy, clean), signals)
    others = {name for name, metric in METRICS.items() if metric.given != "noisy"}
    assert others == {"noise_only_db", "do_no_harm"}
