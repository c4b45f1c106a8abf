"""CSIG, CBAK, COVL and segmental SNR of one clip (Hu and Loizou, TASLP 2008).

CSIG predicts how listeners rate the distortion of the speech, CBAK the intrusiveness of the background, COVL
the whole, each from 1 to 5. They are linear formulas over PESQ and three distances between short frames:
log-likelihood ratio (LLR), weighted spectral slope (WSS; Klatt, ICASSP 1982) and segmental SNR.

Which variants these are: 16 kHz; PESQ inside is wide-band MOS-LQO, as in the tables of VoiceBank+DEMAND (the
authors used raw narrow-band PESQ); frames, filters, limits and the cut of the worst 5 % of LLR and WSS are
those of the authors' `composite.m`. LLR leaves out frames in which either clip is digital silence.

There are two CBAKs in the literature. `cbak` takes segmental SNR from the clips as they are, as `composite.m`
does. The Python port that came by way of MetricGAN+ to MANNER and MV-AT first removes both means and scales
the estimate to the peak of the clean clip: `cbak_peaks_matched`. The other parts are the same in both.

All frames are computed at once, from one power spectrum each.
"""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from sedistill.evaluation.checks import MetricUndefined, at_rate, checked_pair

Array = NDArray[np.float64]

RATE = 16_000
FRAME = 480  # 30 ms
HOP = 120
FFT_SIZE = 1024
FRAMES_AT_ONCE = 1024
"""About 8 s: bounds the memory that long clips take."""

BEST_SHARE = 0.95
"""LLR and WSS are means over this share of the frames, the worst left out."""

PREDICTOR_ORDER = 16
SILENT_FRAME_ENERGY = 1e-12
FULLY_PREDICTED = 1e-10
"""A linear predictor grows no further once its error is this small a part of the energy, near rounding."""

BAND_CENTRES_HZ = (
    50.0, 120.0, 190.0, 260.0, 330.0, 400.0, 470.0, 540.0, 617.372, 703.378, 798.717, 904.128, 1020.38,
    1148.30, 1288.72, 1442.54, 1610.70, 1794.16, 1993.93, 2211.08, 2446.71, 2701.97, 2978.04, 3276.17,
    3597.63,
)  # fmt: skip
BAND_WIDTHS_HZ = (
    70.0, 70.0, 70.0, 70.0, 70.0, 70.0, 70.0, 77.3724, 86.0056, 95.3398, 105.411, 116.256, 127.914,
    140.423, 153.823, 168.154, 183.457, 199.776, 217.153, 235.631, 255.255, 276.072, 298.126, 321.465,
    346.136,
)  # fmt: skip
SMALLEST_FILTER_WEIGHT = np.exp(-30 / (2 * 2.303))
SMALLEST_BAND_ENERGY = 1e-10
GLOBAL_PEAK_DB = 20.0
LOCAL_PEAK_DB = 1.0

SEGMENT_SNR_LIMITS_DB = (-10.0, 35.0)
EPSILON = np.finfo(np.float64).eps
PORT_EPSILON = 1e-10
"""In the place of EPSILON where peaks are matched, as in that port; it shows in near-silent frames alone."""


class Distances(NamedTuple):
    """How far an estimate is from its clean reference: LLR, WSS (0 where equal) and segmental SNR in dB."""

    llr: float
    wss: float
    segmental_snr_db: float


def csig(pesq_wb: float, distances: Distances) -> float:
    """Predicted rating of the speech's distortion, 1 to 5; higher is better.

    >>> round(csig(2.0, Distances(llr=0.5, wss=40.0, segmental_snr_db=3.0)), 4)
    3.4245
    """
    return _rating(3.093 - 1.029 * distances.llr + 0.603 * pesq_wb - 0.009 * distances.wss)


def cbak(pesq_wb: float, distances: Distances) -> float:
    """Predicted rating of the background's intrusiveness, 1 to 5; higher is better.

    >>> round(cbak(2.0, Distances(llr=0.5, wss=40.0, segmental_snr_db=3.0)), 4)
    2.499
    """
    return _rating(1.634 + 0.478 * pesq_wb - 0.007 * distances.wss + 0.063 * distances.segmental_snr_db)


def cbak_peaks_matched(pesq_wb: float, distances: Distances, matched_snr_db: float) -> float:
    """`cbak` with the segmental SNR of `peaks_matched_segmental_snr`, as the tables of MV-AT have it."""
    return cbak(pesq_wb, distances._replace(segmental_snr_db=matched_snr_db))


def covl(pesq_wb: float, distances: Distances) -> float:
    """Predicted rating of the overall quality, 1 to 5; higher is better.

    >>> round(covl(2.0, Distances(llr=0.5, wss=40.0, segmental_snr_db=3.0)), 4)
    2.668
    """
    return _rating(1.594 + 0.805 * pesq_wb - 0.512 * distances.llr - 0.007 * distances.wss)


def _rating(value: float) -> float:
    return float(np.clip(value, 1.0, 5.0))


def frame_distances(clean: ArrayLike, estimate: ArrayLike, sample_rate: int) -> Distances:
    """The three distances over frames of 30 ms with a hop of 7.5 ms, for clips (samples,) of equal length.

    Higher rates are resampled to 16 kHz. Raises MetricUndefined below that, on silence, on clips under 38 ms
    and where clean reference and estimate never sound at the same time.
    """
    blocks = map(_compare, *_frame_blocks(*_at_16k(clean, estimate, sample_rate)))
    llr, wss, snr_db = (np.concatenate(values) for values in zip(*blocks, strict=True))
    if not len(llr):
        raise MetricUndefined("clean reference and estimate never sound at the same time: no LLR")
    return Distances(_best_mean(llr), _best_mean(wss), float(snr_db.mean()))


def peaks_matched_segmental_snr(clean: ArrayLike, estimate: ArrayLike, sample_rate: int) -> float:
    """Segmental SNR in dB after both means are removed and the estimate has the clean clip's peak.

    The gain is one for the whole clip and never negative, so an estimate that is too loud or too quiet costs
    nothing, and one loud click costs much. Frames, limits and errors are those of `frame_distances`.
    """
    sides = _at_16k(clean, estimate, sample_rate)
    reference, enhanced = (side - side.mean() for side in sides)
    enhanced *= np.abs(reference).max() / np.abs(enhanced).max()
    blocks = zip(*_frame_blocks(reference, enhanced), strict=True)
    snr_db = [segment_snr_db(one * WINDOW, other * WINDOW, PORT_EPSILON) for one, other in blocks]
    return float(np.concatenate(snr_db).mean())


def _at_16k(clean: ArrayLike, estimate: ArrayLike, sample_rate: int) -> tuple[Array, Array]:
    if sample_rate < RATE:
        raise MetricUndefined(f"LLR, WSS and segmental SNR need 16 kHz; the clip has {sample_rate} Hz")
    reference, enhanced = checked_pair(clean, estimate)
    return at_rate(reference, sample_rate, RATE), at_rate(enhanced, sample_rate, RATE)


def _frame_blocks(clean: Array, estimate: Array) -> list[list[Array]]:
    """Views (frames, samples) of both, some frames at a time."""
    count = len(clean) // HOP - FRAME // HOP  # the last whole frame is left out, as in composite.m
    if count < 1:
        raise MetricUndefined("the clip is shorter than 38 ms, too short for LLR, WSS and segmental SNR")
    sides = (sliding_window_view(side, FRAME)[::HOP][:count] for side in (clean, estimate))
    starts = range(0, count, FRAMES_AT_ONCE)
    return [[side[start : start + FRAMES_AT_ONCE] for start in starts] for side in sides]


def _compare(clean_frames: Array, estimate_frames: Array) -> tuple[Array, Array, Array]:
    """LLR, WSS and SNR of every frame; LLR of fewer where some are silent."""
    clean, estimate = clean_frames * WINDOW, estimate_frames * WINDOW
    clean_power, estimate_power = _power(clean), _power(estimate)
    return (
        log_likelihood_ratio(clean_power, estimate_power),
        weighted_spectral_slope(clean_power, estimate_power),
        segment_snr_db(clean, estimate),
    )


def _power(frames: Array) -> Array:
    """The power spectra, (bins, frames): with frames last, every step below runs over contiguous memory."""
    spectra = np.fft.rfft(frames, FFT_SIZE)
    return np.ascontiguousarray((np.square(spectra.real) + np.square(spectra.imag)).T)


def _best_mean(distances: Array) -> float:
    """The mean over the best 95 %, their number rounded half up."""
    kept = int(BEST_SHARE * len(distances) + 0.5)
    return float(np.sort(distances)[:kept].mean())


def segment_snr_db(clean: Array, estimate: Array, epsilon: float = EPSILON) -> Array:
    """SNR of every windowed frame (frames, samples), limited to -10 and 35 dB.

    >>> segment_snr_db(np.array([[1.0, -1.0]]), np.array([[0.9, -0.9]])).round(3)
    array([20.])
    """
    signal = np.square(clean).sum(axis=1)
    noise = np.square(clean - estimate).sum(axis=1)
    return np.clip(10 * np.log10(signal / (noise + epsilon) + epsilon), *SEGMENT_SNR_LIMITS_DB)


def log_likelihood_ratio(clean_power: Array, estimate_power: Array) -> Array:
    """log(a_e R a_e / a_c R a_c) of every frame in which both sound.

    R is the autocorrelation matrix of the clean frame, a_c and a_e the linear predictors of clean and
    estimate: how much worse the estimate's predictor does on the clean frame than the clean one's own. That
    one is the best there is, so the ratio is never negative.
    """
    clean_lags, estimate_lags = LAGS_OF_POWER @ clean_power, LAGS_OF_POWER @ estimate_power
    sounding = np.minimum(clean_lags[0], estimate_lags[0]) >= SILENT_FRAME_ENERGY
    clean_lags, estimate_lags = clean_lags[:, sounding], estimate_lags[:, sounding]
    _, least_error = linear_predictors(clean_lags)
    predictors, _ = linear_predictors(estimate_lags)
    error = clean_lags[0] * np.square(predictors).sum(axis=0)
    for lag in range(1, PREDICTOR_ORDER + 1):
        error += 2 * clean_lags[lag] * (predictors[lag:] * predictors[:-lag]).sum(axis=0)
    return np.log(np.maximum(error / least_error, 1.0))


def linear_predictors(lags: Array) -> tuple[Array, Array]:
    """Levinson-Durbin over all frames: autocorrelation (order + 1, frames) to error filters and their errors.

    The filters (order + 1, frames) begin with 1; the errors (frames,) are what they leave of the energy.

    Of a process x[n] = x[n-1] / 2 + white noise, one step back tells all that can be told:

    >>> linear_predictors(np.array([[1.0], [0.5], [0.25]]))[0].ravel()
    array([ 1. , -0.5,  0. ])
    """
    filters = np.zeros_like(lags)
    filters[0] = 1.0
    error = lags[0].copy()
    for order in range(1, len(lags)):
        growing = error > FULLY_PREDICTED * lags[0]
        correlation = (filters[:order] * lags[order:0:-1]).sum(axis=0)
        reflection = np.divide(-correlation, error, out=np.zeros_like(error), where=growing)
        filters[1 : order + 1] += reflection * filters[:order][::-1]
        error *= 1 - np.square(reflection)
    return filters, error


def weighted_spectral_slope(clean_power: Array, estimate_power: Array) -> Array:
    """Squared difference of the slopes between neighbouring critical bands, of every frame.

    Slopes near a frame's spectral peaks weigh more; the weights are those of clean and estimate, averaged.
    """
    clean_db, estimate_db = _band_levels_db(clean_power), _band_levels_db(estimate_power)
    weights = (_slope_weights(clean_db) + _slope_weights(estimate_db)) / 2
    difference = np.diff(clean_db, axis=0) - np.diff(estimate_db, axis=0)
    return (weights * np.square(difference)).sum(axis=0) / weights.sum(axis=0)


def _band_levels_db(power: Array) -> Array:
    return 10 * np.log10(np.maximum(BAND_FILTERS @ power, SMALLEST_BAND_ENERGY))


def _slope_weights(levels_db: Array) -> Array:
    lower = levels_db[:-1]
    to_global_peak = GLOBAL_PEAK_DB / (GLOBAL_PEAK_DB + levels_db.max(axis=0) - lower)
    to_local_peak = LOCAL_PEAK_DB / (LOCAL_PEAK_DB + local_peaks_db(levels_db) - lower)
    return to_global_peak * to_local_peak


def local_peaks_db(levels_db: Array) -> Array:
    """The peak that each slope (bands - 1, frames) belongs to: uphill from it, to either side.

    On the way up, composite.m takes the level one band short of the peak. That is kept.
    """
    rising = np.diff(levels_db, axis=0) > 0
    from_below, from_above = levels_db[:-1].copy(), levels_db[:-1].copy()
    for band in range(len(rising) - 2, -1, -1):
        from_below[band] = np.where(rising[band + 1], from_below[band + 1], levels_db[band])
    for band in range(1, len(rising)):
        from_above[band] = np.where(rising[band - 1], levels_db[band], from_above[band - 1])
    return np.where(rising, from_below, from_above)


def _band_filters() -> Array:
    """Gaussian critical-band filters (bands, bins); weights below -30 dB are zero."""
    hz_per_bin = RATE / FFT_SIZE
    centres, widths = np.array(BAND_CENTRES_HZ)[:, None], np.array(BAND_WIDTHS_HZ)[:, None]
    distance = np.arange(FFT_SIZE // 2 + 1) - np.floor(centres / hz_per_bin)
    filters = np.exp(-11 * np.square(distance * hz_per_bin / widths)) * (widths[0] / widths)
    return np.where(filters > SMALLEST_FILTER_WEIGHT, filters, 0.0)


def _lags_of_power() -> Array:
    """The matrix from a power spectrum (bins,) to autocorrelation lags: rows of the inverse transform."""
    angles = 2 * np.pi / FFT_SIZE * np.outer(np.arange(PREDICTOR_ORDER + 1), np.arange(FFT_SIZE // 2 + 1))
    both_sides = np.full(FFT_SIZE // 2 + 1, 2.0)
    both_sides[[0, -1]] = 1.0
    return np.cos(angles) * both_sides / FFT_SIZE


WINDOW = 0.5 * (1 - np.cos(2 * np.pi * np.arange(1, FRAME + 1) / (FRAME + 1)))
BAND_FILTERS = _band_filters()
LAGS_OF_POWER = _lags_of_power()
