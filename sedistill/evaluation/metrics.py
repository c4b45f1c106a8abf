"""How good one enhanced clip is: PESQ, STOI, ESTOI, SI-SDR, the composite ratings, segmental SNR, DNSMOS;
what is left of noise alone, and what becomes of clean speech.

`METRICS` holds every metric by name: `METRICS["csig"].value(clean, estimate, sample_rate)`, with `clean` and
`estimate` of shape (samples,) and equal length. A metric is a formula over parts, pure functions of the clip;
a part that several metrics need is computed once. Most metrics judge what a system makes of noisy speech; a
metric names what else it is `given`, and `given_and_reference` cuts that out of a pair.
Where a metric has no meaning (a silent reference, a clip too short) it raises `MetricUndefined` with the
reason instead of returning a number that would spoil a mean.

Importing this module costs numpy only; the packages that compute a metric load on first use.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sedistill.audio.levels import rms_db
from sedistill.common.argument_checks import check_list
from sedistill.common.errors import UserError, nearest
from sedistill.common.extras import needed
from sedistill.evaluation import composite
from sedistill.evaluation.checks import MetricUndefined, checked, checked_pair, finite
from sedistill.evaluation.composite import frame_distances, peaks_matched_segmental_snr
from sedistill.evaluation.dnsmos_scores import dnsmos
from sedistill.evaluation.pesq_mos import pesq_nb, pesq_nb_rate, pesq_wb

SI_SDR_ROUNDING = 1e-28
"""An energy this far (280 dB) below another is the rounding of float64 arithmetic."""

STOI_SHORTEST_SECONDS = 30 * 128 / 10_000
"""STOI and ESTOI correlate stretches of 30 frames, 128 samples apart at 10 kHz."""

QUIETEST_RESIDUE_DB = -60.0
"""What is left of noise counts as no quieter than this: nobody hears a difference below, and a clip of exact
silence would make a mean of decibels infinite."""

Given = Literal["noisy", "noise", "clean"]
"""What a system is given: the noisy speech of a pair, its noise alone, or its clean speech alone."""

Part = Callable[[ArrayLike, ArrayLike, int], Any]
"""part(reference, estimate, sample_rate): a number or several, a pure function of one clip."""


@dataclass(frozen=True)
class Metric:
    """A metric and what a table needs to know about it."""

    name: str
    label: str
    unit: str
    higher_is_better: bool
    digits: int
    parts: tuple[Part, ...]
    formula: Callable[..., float] = float
    """From the parts' values to the metric's."""
    packages: tuple[str, ...] = ()
    """The optional packages that compute it."""
    extra: str = "eval"
    """The extra of this package that brings them."""
    by_default: bool = True
    """Computed where no metrics are named."""
    given: Given = "noisy"
    """Whose estimate is judged; another than "noisy" costs one more pass through a network."""

    def value(
        self,
        reference: ArrayLike,
        estimate: ArrayLike,
        sample_rate: int,
        known_parts: dict[Part, Any] | None = None,
    ) -> float:
        """The metric of one clip; MetricUndefined, with the reason, where it has none.

        `reference` (samples,) is that of `given_and_reference`, the clean speech for nearly all.
        `known_parts` holds the parts that other metrics have computed of these two signals, and receives this
        one's.
        """
        known = {} if known_parts is None else known_parts
        for part in self.parts:
            if part not in known:
                known[part] = part(reference, estimate, sample_rate)
        return self.formula(*(known[part] for part in self.parts))

    def label_at(self, sample_rate: int) -> str:
        """The label for clips of `sample_rate`, with the rate where the value depends on it."""
        if self.name == "pesq_nb":
            return f"{self.label} ({pesq_nb_rate(sample_rate) // 1000} kHz)"
        return self.label


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


def si_sdr(clean: ArrayLike, estimate: ArrayLike, sample_rate: int = 16_000) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., ICASSP 2019); higher is better.

    10 log10(|a s|^2 / |a s - e|^2) with clean s, estimate e and a = <e, s> / |s|^2. The mean is not removed.
    `sample_rate` plays no part. Raises MetricUndefined on silence and where the ratio is infinite: an
    estimate that is a multiple of the clean reference, or one that has nothing of it.

    >>> round(si_sdr([1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 1.0, 1.0]), 4)
    3.0103
    """
    clean, estimate = checked_pair(clean, estimate)
    target = (estimate @ clean) / (clean @ clean) * clean
    distortion = estimate - target
    target_energy, distortion_energy = target @ target, distortion @ distortion
    if target_energy <= SI_SDR_ROUNDING * (estimate @ estimate):
        raise MetricUndefined("the estimate has nothing of the clean reference: SI-SDR is -infinite")
    if distortion_energy <= SI_SDR_ROUNDING * target_energy:
        raise MetricUndefined("the estimate equals the clean reference: SI-SDR is infinite")
    return float(10 * np.log10(target_energy / distortion_energy))


def residue_db(noise: ArrayLike, estimate: ArrayLike, sample_rate: int = 16_000) -> float:
    """RMS of what a system makes of noise alone, relative to that of the noise, in dB; lower is better.

    Both are over the whole clip and without their means. 0 is the noise as it was, -20 a tenth of its
    amplitude. No less than -60 (QUIETEST_RESIDUE_DB), silence included. Over a set it is averaged in dB,
    every clip alike. `sample_rate` plays no part. Raises MetricUndefined where there is no noise.

    >>> round(residue_db([1.0, -1.0, 1.0, -1.0], [0.5, -0.5, 0.5, -0.5]), 4)
    -6.0206
    """
    noise = checked(noise, "noise")
    estimate = np.array(estimate, dtype=np.float64)
    if estimate.shape != noise.shape:
        raise ValueError(f"the noise has {len(noise)} samples, the estimate {len(estimate)}: not one clip")
    if not np.isfinite(estimate).all():
        raise MetricUndefined("the estimate has NaN or infinite samples")
    return max(rms_db(estimate) - rms_db(noise), QUIETEST_RESIDUE_DB)


PESQ, STOI = ("pesq",), ("pystoi",)
MATCHED_PARTS = (pesq_wb, frame_distances, peaks_matched_segmental_snr)
BY_DNSMOS = (("speechmos", "onnxruntime"), "dnsmos", False)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("pesq_wb", "PESQ-WB", "MOS", True, 3, (pesq_wb,), packages=PESQ),
        Metric("pesq_nb", "PESQ-NB", "MOS", True, 3, (pesq_nb,), packages=PESQ),
        Metric("stoi", "STOI", "", True, 4, (stoi,), packages=STOI),
        Metric("estoi", "ESTOI", "", True, 4, (estoi,), packages=STOI),
        Metric("si_sdr", "SI-SDR", "dB", True, 2, (si_sdr,)),
        Metric("csig", "CSIG", "MOS", True, 3, (pesq_wb, frame_distances), composite.csig, PESQ),
        Metric("cbak", "CBAK", "MOS", True, 3, (pesq_wb, frame_distances), composite.cbak, PESQ),
        Metric(
            "cbak_peaks_matched", "CBAK (peaks matched)", "MOS", True, 3, MATCHED_PARTS,
            composite.cbak_peaks_matched, PESQ, by_default=False,
        ),
        Metric("covl", "COVL", "MOS", True, 3, (pesq_wb, frame_distances), composite.covl, PESQ),
        Metric("seg_snr", "SSNR", "dB", True, 2, (frame_distances,), attrgetter("segmental_snr_db")),
        Metric("dnsmos_sig", "DNSMOS SIG", "MOS", True, 3, (dnsmos,), attrgetter("sig"), *BY_DNSMOS),
        Metric("dnsmos_bak", "DNSMOS BAK", "MOS", True, 3, (dnsmos,), attrgetter("bak"), *BY_DNSMOS),
        Metric("dnsmos_ovrl", "DNSMOS OVRL", "MOS", True, 3, (dnsmos,), attrgetter("ovrl"), *BY_DNSMOS),
        Metric(
            "noise_only_db", "Noise alone", "dB", False, 1, (residue_db,), by_default=False, given="noise"
        ),
        Metric(
            "do_no_harm", "PESQ-WB of clean", "MOS", True, 3, (pesq_wb,), packages=PESQ, by_default=False,
            given="clean",
        ),
    )
}  # fmt: skip

DEFAULT_METRICS = tuple(name for name, metric in METRICS.items() if metric.by_default)
"""All but those for which one more extra has to be installed, CBAK's other variant, and those for which a
network has to hear a clip once more."""


def given_and_reference(
    given: Given, noisy: NDArray[np.float32], clean: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a system is given of a pair, and what its estimate is held against; (samples,) each.

    The noise is what noisy has more than clean: with reverberant or coded speech that holds the late echoes,
    or what the codec added, as well. It is held against itself, the other two against clean.
    """
    if given == "noise":
        noise = noisy - clean
        return noise, noise
    return (clean if given == "clean" else noisy), clean


def metrics_named(names: Sequence[str]) -> list[Metric]:
    """The metrics of these names, each once, in this order.

    Raises UserError for an unknown name (and names the nearest), for none at all, and when a package that
    computes one is not installed.
    """
    check_list("metrics", names)
    names = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    if not names:
        raise UserError(f"no metric named; choose from {', '.join(METRICS)}.")
    for name in names:
        if name not in METRICS:
            raise UserError(f"unknown metric {name}{nearest(name.replace('-', '_'), METRICS)}")
        for package in METRICS[name].packages:
            needed(package, METRICS[name].extra, METRICS[name].label)
    return [METRICS[name] for name in names]


def _stoi(clean: ArrayLike, estimate: ArrayLike, sample_rate: int, extended: bool) -> float:
    pystoi = needed("pystoi", "eval", "STOI")
    clean, estimate = checked_pair(clean, estimate)
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
    return finite(score, "ESTOI" if extended else "STOI")
