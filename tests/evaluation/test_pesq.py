"""PESQ: its rates, its errors as reasons, and its utterances counted as it counts them."""

import ctypes

import numpy as np
import pesq
import pytest
import soxr

from sedistill.evaluation import metrics, pesq_mos
from sedistill.evaluation.checks import MetricUndefined
from sedistill.evaluation.metrics import METRICS
from sedistill.evaluation.pesq_utterances import most_utterances, utterances
from tests.evaluation.signals import RATE, noise, speech_like


@pytest.fixture(scope="module")
def clip() -> tuple[np.ndarray, np.ndarray]:
    clean = speech_like(2.0)
    return clean, clean + noise(len(clean))


def test_narrow_band_pesq_is_computed_at_the_rate_it_states(clip: tuple[np.ndarray, np.ndarray]) -> None:
    at_8k = [soxr.resample(signal, RATE, 8000, quality="VHQ") for signal in clip]
    at_48k = [soxr.resample(signal, RATE, 48_000, quality="VHQ") for signal in clip]
    assert metrics.pesq_nb(*at_8k, 8000) == pytest.approx(pesq.pesq(8000, *at_8k, "nb"), abs=1e-5)
    assert metrics.pesq_nb(*at_48k, 48_000) == pytest.approx(metrics.pesq_nb(*clip, RATE), abs=0.02)
    labels = [METRICS["pesq_nb"].label_at(rate) for rate in (8000, 16_000, 48_000)]
    assert labels == ["PESQ-NB (8 kHz)", "PESQ-NB (16 kHz)", "PESQ-NB (16 kHz)"]
    assert METRICS["stoi"].label_at(8000) == "STOI"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (pesq.NoUtterancesError(b"No utterances detected"), "no utterance in the clean reference"),
        (pesq.OutOfMemoryError(b"Unable to allocate"), "PESQ failed: Unable to allocate"),
        (ValueError("cannot convert float NaN to integer"), "PESQ failed: cannot convert"),
    ],
)
def test_errors_of_the_pesq_package_are_reasons(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> float:
        raise error

    monkeypatch.setattr(pesq, "pesq", fail)
    with pytest.raises(MetricUndefined, match=reason):
        metrics.pesq_wb(speech_like(), speech_like(seed=1), RATE)


def test_wide_band_pesq_needs_16_khz() -> None:
    with pytest.raises(MetricUndefined, match="needs 16 kHz; the clip has 8000 Hz"):
        metrics.pesq_wb(speech_like(), speech_like(), 8000)


def bursts(seconds: float, on: float = 0.3, off: float = 0.3) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    hum = 0.1 * np.sin(2 * np.pi * 1000 * time)
    return np.where(np.round(time % (on + off), 6) < on, hum, 1e-4 * hum).astype(np.float32)


@pytest.mark.parametrize("name", ["pesq_wb", "pesq_nb"])
def test_more_utterances_than_pesq_can_hold_are_undefined_not_a_crash(name: str) -> None:
    clean = bursts(33)  # 55 utterances: the package would end the process or write over its own numbers
    with pytest.raises(MetricUndefined, match="more utterances than PESQ's code has room for, 50"):
        METRICS[name].value(clean, clean + noise(len(clean)), RATE)


def test_a_long_clip_with_room_for_its_utterances_has_the_packages_value() -> None:
    clean = bursts(49 * 0.45, on=0.22, off=0.23)
    estimate = clean + noise(len(clean), 0.01)
    assert utterances(clean.astype(np.float64), RATE, "wb") == 49
    assert metrics.pesq_wb(clean, estimate, RATE) == pytest.approx(pesq.pesq(RATE, clean, estimate, "wb"))


def syllables(seconds: float, seed: int) -> np.ndarray:
    """Bursts of many levels over a noise floor: how many rise above it depends on the threshold."""
    rng = np.random.default_rng(seed)
    level = np.repeat(10 ** rng.uniform(-2.5, 0, round(seconds / 0.3)), round(0.3 * RATE))
    return (0.1 * level * rng.standard_normal(len(level))).astype(np.float32)


@pytest.mark.parametrize("mode", ["wb", "nb"])
@pytest.mark.parametrize("seed", range(3))
def test_utterances_are_those_that_pesq_itself_counts(seed: int, mode: str) -> None:
    clean = syllables(20, seed).astype(np.float64)
    assert utterances(clean, RATE, mode) == counted_by_pesq(clean, mode)
    assert utterances(clean, RATE, mode) <= most_utterances(clean, RATE) < 49


def counted_by_pesq(clean: np.ndarray, mode: str) -> int:
    """The whole of PESQ on a clip and itself, with what it noted of the utterances read back."""
    import pesq.cypesq

    class Notes(ctypes.Structure):
        _fields_ = (("utterances", ctypes.c_long), ("rest", ctypes.c_byte * 4096))

    class Signal(ctypes.Structure):
        _fields_ = (
            ("names", ctypes.c_char * 640),
            ("samples", ctypes.c_long),
            ("swap", ctypes.c_long),
            ("filter", ctypes.c_long),
            ("data", ctypes.c_void_p),
            ("others", ctypes.c_void_p * 2),
        )

    library = ctypes.PyDLL(pesq.cypesq.__file__)
    flag, kind, notes = ctypes.c_long(0), ctypes.c_char_p(), Notes()
    library.select_rate(ctypes.c_long(RATE), ctypes.byref(flag), ctypes.byref(kind))
    data = [(clean / np.abs(clean).max()).astype(np.float32) for _ in range(2)]
    signals = [
        Signal(samples=len(clean), filter=1 if mode == "nb" else 2, data=side.ctypes.data) for side in data
    ]
    arguments = [*signals, notes, flag, kind]
    library.pesq_measure(*(ctypes.byref(argument) for argument in arguments))
    assert flag.value == 0
    return notes.utterances


def test_where_pesq_cannot_be_asked_an_upper_estimate_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise AttributeError("apply_VAD")

    monkeypatch.setattr(pesq_mos, "utterances", unreachable)
    clean = bursts(40)
    with pytest.raises(MetricUndefined, match="more utterances"):
        metrics.pesq_wb(clean, clean + noise(len(clean)), RATE)


@pytest.mark.parametrize(
    ("clean", "count"),
    [
        (bursts(36), 60),
        (bursts(36, on=0.1, off=0.5), 0),  # too short to be utterances
        (bursts(36, on=0.5, off=0.1), 1),  # gaps too short to part them
        (bursts(36, on=36, off=1), 1),
    ],
)
def test_utterances_of_long_clips_are_counted(clean: np.ndarray, count: int) -> None:
    assert most_utterances(clean.astype(np.float64), RATE) == count
    if count > 1:
        assert utterances(clean.astype(np.float64), RATE, "wb") == count
