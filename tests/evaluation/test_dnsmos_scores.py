"""DNSMOS: the same as the package's own run, shared, on bad clips. Skipped without the extra `dnsmos`."""

import sys
from types import ModuleType

import numpy as np
import pytest

from sedistill.evaluation import dnsmos_scores
from sedistill.evaluation.checks import MetricUndefined
from sedistill.evaluation.dnsmos_scores import dnsmos
from sedistill.evaluation.metrics import METRICS
from tests.evaluation.signals import RATE, noise, speech_like

WHY = "pip install 'sedistill[dnsmos]' to run it"
pytest.importorskip("speechmos", reason=f"speechmos is not installed: {WHY}")
pytest.importorskip("onnxruntime", reason=f"onnxruntime is not installed: {WHY}")


@pytest.mark.parametrize("seconds", [1.0, 4.0, 9.01, 11.4])
def test_ratings_are_those_of_the_package(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    for undeclared in ("librosa", "requests"):  # for the spectrogram of another network, stood in for below
        module = ModuleType(undeclared)
        module.session = None  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, undeclared, module)
    from speechmos import dnsmos as package

    monkeypatch.setattr(package.DNSMOS, "audio_melspec", lambda *_, **__: np.zeros((900, 120)))
    clip = speech_like(seconds) + noise(round(seconds * RATE))
    theirs = package.run(clip, RATE)
    expected = [theirs["sig_mos"], theirs["bak_mos"], theirs["ovrl_mos"]]
    np.testing.assert_allclose(dnsmos(clip, clip, RATE), expected, atol=1e-4)


def test_metrics_share_one_run_and_hear_the_estimate_alone() -> None:
    clip = speech_like(1.0)
    ratings = dnsmos(np.zeros(RATE), clip, RATE)
    known_parts: dict = {}
    values = [METRICS[f"dnsmos_{name}"].value(clip, clip, RATE, known_parts) for name in ratings._fields]
    assert values == list(ratings)
    assert list(known_parts.values()) == [ratings]


@pytest.mark.parametrize(("seconds", "windows"), [(1.0, 1), (2.5, 1), (4.0, 4), (11.4, 2)])
def test_equal_windows_of_a_repeated_clip_are_rated_once(
    seconds: float, windows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rated = []
    monkeypatch.setattr(dnsmos_scores, "_rate", lambda window: rated.append(window) or np.ones(3))
    dnsmos(speech_like(seconds), speech_like(seconds), RATE)
    assert len(rated) == windows


def test_noise_in_the_background_is_rated_lower() -> None:
    clip = speech_like(2.0)
    assert dnsmos(clip, clip + noise(len(clip), 0.1), RATE).bak < dnsmos(clip, clip, RATE).bak


def test_undefined_on_silence_and_below_16_khz() -> None:
    with pytest.raises(MetricUndefined, match="estimate is silent"):
        dnsmos(speech_like(), np.zeros(RATE), RATE)
    with pytest.raises(MetricUndefined, match="needs 16 kHz"):
        dnsmos(speech_like(), speech_like(), 8000)
