"""LLR, WSS and segmental SNR as their definitions say: a frame, a band, a lag at a time, nothing clever.

Slow on purpose and shares nothing with `sedistill.evaluation.composite`: lags are sums of products,
predictors solve the normal equations, peaks are walked to. For 16 kHz.
"""

import math

import numpy as np

CENTRES = [50, 120, 190, 260, 330, 400, 470, 540, 617.372, 703.378, 798.717, 904.128, 1020.38, 1148.30]
CENTRES += [1288.72, 1442.54, 1610.70, 1794.16, 1993.93, 2211.08, 2446.71, 2701.97, 2978.04, 3276.17, 3597.63]
WIDTHS = [70, 70, 70, 70, 70, 70, 70, 77.3724, 86.0056, 95.3398, 105.411, 116.256, 127.914, 140.423]
WIDTHS += [153.823, 168.154, 183.457, 199.776, 217.153, 235.631, 255.255, 276.072, 298.126, 321.465, 346.136]


def reference_distances(clean: np.ndarray, estimate: np.ndarray) -> tuple[float, float, float]:
    """LLR, WSS and segmental SNR in dB of two clips."""
    window = [0.5 * (1 - math.cos(2 * math.pi * n / 481)) for n in range(1, 481)]
    filters = critical_bands()
    llr, wss, snr = [], [], []
    for start in range(0, (math.floor(len(clean) / 120 - 480 / 120)) * 120, 120):
        c = clean[start : start + 480].astype(float) * window
        e = estimate[start : start + 480].astype(float) * window
        if min(sum(c * c), sum(e * e)) >= 1e-12:
            llr.append(frame_llr(c, e))
        wss.append(frame_wss(c, e, filters))
        ratio = sum(c * c) / (sum((c - e) ** 2) + 2.0**-52)
        snr.append(min(max(10 * math.log10(ratio + 2.0**-52), -10), 35))
    return best(llr), best(wss), sum(snr) / len(snr)


def reference_peaks_matched_snr(clean: np.ndarray, estimate: np.ndarray) -> float:
    """Segmental SNR in dB of the other port: no means, and the clean clip's peak for both."""
    clean = clean.astype(float) - sum(clean.astype(float)) / len(clean)
    estimate = estimate.astype(float) - sum(estimate.astype(float)) / len(estimate)
    estimate = estimate * (max(abs(clean)) / max(abs(estimate)))
    window = np.array([0.5 * (1 - math.cos(2 * math.pi * n / 481)) for n in range(1, 481)])
    snr = []
    for start in range(0, (math.floor(len(clean) / 120 - 480 / 120)) * 120, 120):
        c, e = clean[start : start + 480] * window, estimate[start : start + 480] * window
        ratio = sum(c * c) / (sum((c - e) ** 2) + 1e-10)
        snr.append(min(max(10 * math.log10(ratio + 1e-10), -10), 35))
    return sum(snr) / len(snr)


def best(distances: list[float]) -> float:
    kept = sorted(distances)[: math.floor(0.95 * len(distances) + 0.5)]
    return sum(kept) / len(kept)


def frame_llr(clean: np.ndarray, estimate: np.ndarray) -> float:
    lags = autocorrelation(clean)
    matrix = np.array([[lags[abs(i - j)] for j in range(17)] for i in range(17)])
    of_clean, of_estimate = error_filter(lags), error_filter(autocorrelation(estimate))
    return math.log((of_estimate @ matrix @ of_estimate) / (of_clean @ matrix @ of_clean))


def autocorrelation(frame: np.ndarray) -> list[float]:
    return [sum(frame[n] * frame[n + lag] for n in range(480 - lag)) for lag in range(17)]


def error_filter(lags: list[float]) -> np.ndarray:
    matrix = np.array([[lags[abs(i - j)] for j in range(16)] for i in range(16)])
    return np.concatenate(([1.0], np.linalg.solve(matrix, -np.array(lags[1:]))))


def critical_bands() -> list[list[float]]:
    filters = []
    for centre, width in zip(CENTRES, WIDTHS, strict=True):
        middle, wide = math.floor(centre / 8000 * 512), width / 8000 * 512
        level = math.log(70) - math.log(width)
        weights = [math.exp(-11 * ((k - middle) / wide) ** 2 + level) for k in range(512)]
        filters.append([weight if weight > math.exp(-30 / (2 * 2.303)) else 0.0 for weight in weights])
    return filters


def frame_wss(clean: np.ndarray, estimate: np.ndarray, filters: list[list[float]]) -> float:
    c, e = band_levels(clean, filters), band_levels(estimate, filters)
    weighted = weights = 0.0
    for band in range(24):
        weight = (slope_weight(c, band) + slope_weight(e, band)) / 2
        weighted += weight * ((c[band + 1] - c[band]) - (e[band + 1] - e[band])) ** 2
        weights += weight
    return weighted / weights


def band_levels(frame: np.ndarray, filters: list[list[float]]) -> list[float]:
    power = np.abs(np.fft.fft(frame, 1024)[:512]) ** 2
    return [10 * math.log10(max(sum(power * band), 1e-10)) for band in filters]


def slope_weight(levels: list[float], band: int) -> float:
    to_highest = 20 / (20 + max(levels) - levels[band])
    return to_highest * 1 / (1 + local_peak(levels, band) - levels[band])


def local_peak(levels: list[float], band: int) -> float:
    slopes = [levels[i + 1] - levels[i] for i in range(24)]
    walk = band
    if slopes[band] > 0:
        while walk < 24 and slopes[walk] > 0:
            walk += 1
        return levels[walk - 1]
    while walk >= 0 and slopes[walk] <= 0:
        walk -= 1
    return levels[walk + 1]
