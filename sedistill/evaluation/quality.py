"""How good one enhanced clip is, against its clean reference: PESQ, STOI, ESTOI, SI-SDR.

Every metric is a pure function of one clip, `metric(clean, estimate, sample_rate) -> float`, with `clean` and
`estimate` of shape (samples,) and equal length. Where a metric has no meaning (a silent reference, a clip too
short) it raises `MetricUndefined` with the reason instead of returning a number that would spoil a mean.
`METRICS` holds them by name together with what a table needs to know about them.

Importing this module costs numpy only; pesq and pystoi load on first use.
"""

import difflib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sedistill.errors import UserError

SILENCE_PEAK = 1e-6
"""A clip whose peak is below this (-120 dB of full scale) counts as silent."""

PESQ_RATE = 16_000
"""The rate, in Hz, at which both PESQ variants are computed, except narrow-band PESQ of 8 kHz material."""

PESQ_SHORTEST_SECONDS = 0.25
PESQ_FRAME_SECONDS = 0.004
PESQ_SHORTEST_UTTERANCE = PESQ_SHORTEST_GAP = 50  # frames
PESQ_MOST_UTTERANCES = 40
"""PESQ's reference code has room for 50 utterances and writes beyond it without a check: the process dies,
or goes on with overwritten numbers. The count here lacks that code's filters, hence the margin."""

SI_SDR_ROUNDING = 1e-28
"""An energy this far (280 dB) below another is the rounding of float64 arithmetic."""

STOI_SHORTEST_SECONDS = 30 * 128 / 10_000
"""STOI and ESTOI correlate stretches of 30 frames, 128 samples apart at 10 kHz."""


class MetricUndefined(Exception):  # noqa: N818 - not an error, an answer
    """The metric has no value on this clip; the message is the reason, fit for a table."""


MetricFunction = Callable[[ArrayLike, ArrayLike, int], float]


@dataclass(frozen=True)
class Metric:
    """A metric and what a table needs to know about it."""

    name: str
    label: str
    unit: str
    higher_is_better: bool
    digits: int
    function: MetricFunction
    package: str | None = None
    """The optional package that computes it."""

    def label_at(self, sample_rate: int) -> str:
        """The label for clips of `sample_rate`, with the rate where the value depends on it."""
        if self.name == "pesq_nb":
            return f"{self.label} ({pesq_nb_rate(sample_rate) // 1000} kHz)"
        return self.label


def pesq_wb(clean: ArrayLike, estimate: ArrayLike, sample_rate: int) -> float:
    """Wide-band PESQ (ITU-T P.862.2), as MOS-LQO from about 1.0 to 4.64; higher is better.

    Computed by the `pesq` package at 16 kHz; other rates are resampled to it. Raises MetricUndefined below
    16 kHz, on silence, on clips under 0.25 s or without an utterance, and on long clips with more utterances
    than PESQ's reference code can hold.
    """
    if sample_rate < PESQ_RATE:
        raise MetricUndefined(f"wide-band PESQ needs 16 kHz; the clip has {sample_rate} Hz")
    return _pesq(clean, estimate, sample_rate, PESQ_RATE, "wb")


def pesq_nb(clean: ArrayLike, estimate: ArrayLike, sample_rate: int) -> float:
    """Narrow-band PESQ (ITU-T P.862 with P.862.1), as MOS-LQO from about 1.0 to 4.55; higher is better.

    Computed by the `pesq` package at 16 kHz, or at 8 kHz when the clip has 8 kHz. The rate matters: the same
    16 kHz clips resampled to 8 kHz first score about 0.1 differently, so always quote it. Raises
    MetricUndefined as `pesq_wb` does.
    """
    return _pesq(clean, estimate, sample_rate, pesq_nb_rate(sample_rate), "nb")


def pesq_nb_rate(sample_rate: int) -> int:
    """The rate in Hz at which narrow-band PESQ of clips of `sample_rate` is computed."""
    return 8_000 if sample_rate == 8_000 else PESQ_RATE


def stoi(clean: ArrayLike, estimate: ArrayLike, sample_rate: int) -> float:
    """Short-time objective intelligibility (Taal et al., ICASSP 2010), at most 1; higher is better.

    Computed by `pystoi`. Raises MetricUndefined on silence and when fewer than 30 frames (0.4 s) of speech
    are left after removing silent frames.
    """
    return _stoi(clean, estimate, sample_rate, extended=False)


def estoi(clean: ArrayLike, estimate: ArrayLike, sample_rate: int) -> float:
    """Extended STOI (Jensen and Taal, TASLP 2016), at most 1; higher is better.

    As `stoi`, without assuming that bands are independent. `pystoi` adds noise of 1e-16; it is drawn from a
    fixed seed here, so that the same clip always has the same score.
    """
    return _stoi(clean, estimate, sample_rate, extended=True)


def si_sdr(clean: ArrayLike, estimate: ArrayLike, sample_rate: int = PESQ_RATE) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., ICASSP 2019); higher is better.

    10 log10(|a s|^2 / |a s - e|^2) with clean s, estimate e and a = <e, s> / |s|^2. The mean is not removed.
    `sample_rate` plays no part. Raises MetricUndefined on silence and where the ratio is infinite: an
    estimate that is a multiple of the clean reference, or one that has nothing of it.

    >>> round(si_sdr([1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 1.0, 1.0]), 4)
    3.0103
    """
    clean, estimate = _checked_pair(clean, estimate)
    target = (estimate @ clean) / (clean @ clean) * clean
    distortion = estimate - target
    target_energy, distortion_energy = target @ target, distortion @ distortion
    if target_energy <= SI_SDR_ROUNDING * (estimate @ estimate):
        raise MetricUndefined("the estimate has nothing of the clean reference: SI-SDR is -infinite")
    if distortion_energy <= SI_SDR_ROUNDING * target_energy:
        raise MetricUndefined("the estimate equals the clean reference: SI-SDR is infinite")
    return float(10 * np.log10(target_energy / distortion_energy))


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("pesq_wb", "PESQ-WB", "MOS", True, 3, pesq_wb, package="pesq"),
        Metric("pesq_nb", "PESQ-NB", "MOS", True, 3, pesq_nb, package="pesq"),
        Metric("stoi", "STOI", "", True, 4, stoi, package="pystoi"),
        Metric("estoi", "ESTOI", "", True, 4, estoi, package="pystoi"),
        Metric("si_sdr", "SI-SDR", "dB", True, 2, si_sdr),
    )
}


def metrics_named(names: Sequence[str]) -> list[Metric]:
    """The metrics of these names, each once, in this order.

    Raises UserError for an unknown name (and names the nearest), for none at all, and when the package that
    computes one is not installed.
    """
    names = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    if not names:
        raise UserError(f"no metric named; choose from {', '.join(METRICS)}.")
    for name in names:
        if name not in METRICS:
            raise UserError(_unknown_metric(name))
        package = METRICS[name].package
        if package is not None:
            _optional(package)
    return [METRICS[name] for name in names]


def _unknown_metric(name: str) -> str:
    nearest = difflib.get_close_matches(name.lower().replace("-", "_"), METRICS, n=1, cutoff=0.4)
    hint = f"did you mean {nearest[0]}?" if nearest else f"choose from {', '.join(METRICS)}."
    return f"unknown metric {name}; {hint}"


def _pesq(clean: ArrayLike, estimate: ArrayLike, sample_rate: int, pesq_rate: int, mode: str) -> float:
    pesq = _optional("pesq")
    clean, estimate = _checked_pair(clean, estimate)
    if sample_rate != pesq_rate:
        from sedistill.audio.files import resample

        clean = resample(clean, sample_rate, pesq_rate)
        estimate = resample(estimate, sample_rate, pesq_rate)
    if len(clean) < PESQ_SHORTEST_SECONDS * pesq_rate:
        raise MetricUndefined(f"the clip is shorter than {PESQ_SHORTEST_SECONDS} s, too short for PESQ")
    if most_utterances(clean, pesq_rate) > PESQ_MOST_UTTERANCES:
        raise MetricUndefined(
            "the clip is too long for PESQ, whose reference code has room for 50 utterances; cut it to 30 s"
        )
    try:
        score = pesq.pesq(pesq_rate, clean, estimate, mode)
    except pesq.NoUtterancesError:
        raise MetricUndefined("PESQ found no utterance in the clean reference") from None
    except (pesq.PesqError, ValueError) as error:
        raise MetricUndefined(f"PESQ failed: {_plain(error)}") from None
    return _finite(score, "PESQ")


def most_utterances(clean: NDArray[np.float64], sample_rate: int) -> int:
    """An upper estimate of how many utterances PESQ's voice activity detection may find in a clip.

    An utterance is 200 ms of speech or more and ends with a gap of over 200 ms. Where PESQ puts its threshold
    depends on its filters; the most crowded of all thresholds is counted here.
    """
    frame = int(PESQ_FRAME_SECONDS * sample_rate)
    whole_frames = len(clean) // frame
    energy = np.square(clean[: whole_frames * frame]).reshape(whole_frames, frame).mean(axis=1)
    if whole_frames < PESQ_MOST_UTTERANCES * (PESQ_SHORTEST_UTTERANCE + PESQ_SHORTEST_GAP):
        return whole_frames // (PESQ_SHORTEST_UTTERANCE + PESQ_SHORTEST_GAP) + 1
    thresholds = energy.max() * 10 ** (-np.arange(0.0, 60.0) / 10)
    return max(_utterances_above(energy, threshold) for threshold in thresholds)


def _utterances_above(energy: NDArray[np.float64], threshold: float) -> int:
    active = np.flatnonzero(energy >= threshold)
    breaks = np.flatnonzero(np.diff(active) > PESQ_SHORTEST_GAP)
    starts = active[np.concatenate(([0], breaks + 1))]
    ends = active[np.concatenate((breaks, [len(active) - 1]))]
    return int(np.sum(ends - starts + 1 >= PESQ_SHORTEST_UTTERANCE))


def _stoi(clean: ArrayLike, estimate: ArrayLike, sample_rate: int, extended: bool) -> float:
    pystoi = _optional("pystoi")
    clean, estimate = _checked_pair(clean, estimate)
    too_short = "fewer than 30 frames (0.4 s) of speech, too short for STOI"
    if len(clean) < STOI_SHORTEST_SECONDS * sample_rate:
        raise MetricUndefined(too_short)
    random_state = np.random.get_state()
    np.random.seed(0)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            score = pystoi.stoi(clean, estimate, sample_rate, extended=extended)
    finally:
        np.random.set_state(random_state)
    if any("Not enough STFT frames" in str(warning.message) for warning in caught):
        raise MetricUndefined(too_short)
    return _finite(score, "ESTOI" if extended else "STOI")


def _checked_pair(clean: ArrayLike, estimate: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as float64 copies; raises ValueError for other shapes and MetricUndefined for silence and NaN."""
    checked = []
    for name, samples in (("clean reference", clean), ("estimate", estimate)):
        array = np.array(samples, dtype=np.float64)
        if array.ndim != 1:
            raise ValueError(f"the {name} must have shape (samples,), not {array.shape}")
        if not np.isfinite(array).all():
            raise MetricUndefined(f"the {name} has NaN or infinite samples")
        if np.abs(array).max(initial=0.0) < SILENCE_PEAK:
            raise MetricUndefined(f"the {name} is silent")
        checked.append(array)
    if checked[0].shape != checked[1].shape:
        raise ValueError(f"clean has {len(checked[0])} samples, the estimate {len(checked[1])}: not one clip")
    return checked[0], checked[1]


def _plain(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    return text.decode() if isinstance(text, bytes) else str(text)


def _finite(score: float, name: str) -> float:
    if not np.isfinite(score):
        raise MetricUndefined(f"{name} came out as {score}")
    return float(score)


def _optional(package: str) -> ModuleType:
    try:
        return import_module(package)
    except ImportError:
        raise UserError(
            f"{package} is not installed; type: pip install 'sedistill[eval]' (or choose other metrics)."
        ) from None
