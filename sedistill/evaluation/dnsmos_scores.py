"""DNSMOS P.835: listeners' ratings of speech, background and whole, predicted without a reference.

The networks (Reddy et al., ICASSP 2022) come with the package `speechmos` and run in `onnxruntime`.
"""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike

from sedistill.common.extras import needed
from sedistill.common.onnx_models import open_onnx_model
from sedistill.evaluation.checks import MetricUndefined, at_rate, checked, finite

RATE = 16_000
WINDOW_SECONDS = 9.01
HOP_SECONDS = 1

SIG_OF_OUTPUT = Polynomial([0.0052439, 1.22083953, -0.08397278])
BAK_OF_OUTPUT = Polynomial([-0.39604546, 1.60915514, -0.13166888])
OVRL_OF_OUTPUT = Polynomial([0.04602535, 1.11546468, -0.06766283])
"""From the network's outputs to ratings, as published with the networks."""


class Ratings(NamedTuple):
    """Predicted ratings of speech, background and whole, about 1 to 5; higher is better."""

    sig: float
    bak: float
    ovrl: float


def dnsmos(clean: ArrayLike, estimate: ArrayLike, sample_rate: int) -> Ratings:
    """The ratings of `estimate` (samples,), averaged over windows of 9.01 s, one a second.

    `clean` plays no part. A shorter clip is repeated; higher rates are resampled to 16 kHz. The clip's level
    matters: the networks hear it as it is. Raises MetricUndefined below 16 kHz and on silence, UserError
    without the packages.
    """
    if sample_rate < RATE:
        raise MetricUndefined(f"DNSMOS needs 16 kHz; the clip has {sample_rate} Hz")
    clip = at_rate(checked(estimate, "estimate"), sample_rate, RATE).astype(np.float32)
    window = int(WINDOW_SECONDS * RATE)
    heard = clip
    while len(heard) < window:
        heard = np.concatenate([heard, heard])
    windows = int(len(heard) // RATE - WINDOW_SECONDS) + 1
    starts = [RATE * HOP_SECONDS * i % len(clip) for i in range(windows)]
    rated = {start: _rate(heard[start:][:window]) for start in set(starts)}  # a repeated clip's come again
    outputs = np.mean([rated[start] for start in starts], axis=0)
    return Ratings(*(finite(value, "DNSMOS") for value in outputs))


def _rate(window: np.ndarray) -> np.ndarray:
    sig, bak, ovrl = _network().run(None, {"input_1": window[None]})[0][0].astype(np.float64)
    return np.array([SIG_OF_OUTPUT(sig), BAK_OF_OUTPUT(bak), OVRL_OF_OUTPUT(ovrl)])


@cache
def _network() -> Any:
    package = needed("speechmos", "dnsmos", "DNSMOS")
    # On one thread: clips are what runs in parallel.
    return open_onnx_model(
        Path(package.__path__[0]) / "dnsmos_models" / "sig_bak_ovr.onnx", "dnsmos", what="DNSMOS"
    )
