"""PESQ of one clip, wide-band and narrow-band, by the `pesq` package, kept from crashing on long clips."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sedistill.common.extras import needed
from sedistill.evaluation.checks import MetricUndefined, at_rate, checked_pair, finite
from sedistill.evaluation.pesq_utterances import most_utterances, utterances

PESQ_RATE = 16_000
"""The rate, in Hz, at which both PESQ variants are computed, except narrow-band PESQ of 8 kHz material."""

PESQ_SHORTEST_SECONDS = 0.25
PESQ_ROOM = 49
"""Utterances: one less than the code holds, for it notes the start of a further one before it counts it."""
PESQ_FILLED_SECONDS = PESQ_ROOM * 0.4
"""An utterance and the gap after it are at least 0.2 s each."""


def pesq_wb(clean: ArrayLike, estimate: ArrayLike, sample_rate: int) -> float:
    """Wide-band PESQ (ITU-T P.862.2), as MOS-LQO from about 1.0 to 4.64; higher is better.

    Computed by the `pesq` package at 16 kHz; other rates are resampled to it. Raises MetricUndefined below
    16 kHz, on silence, on clips under 0.25 s or without an utterance, and on clips with more utterances than
    PESQ's reference code can hold.
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


def _pesq(clean: ArrayLike, estimate: ArrayLike, sample_rate: int, pesq_rate: int, mode: str) -> float:
    pesq = needed("pesq", "eval", "PESQ")
    clean, estimate = (at_rate(side, sample_rate, pesq_rate) for side in checked_pair(clean, estimate))
    if len(clean) < PESQ_SHORTEST_SECONDS * pesq_rate:
        raise MetricUndefined(f"the clip is shorter than {PESQ_SHORTEST_SECONDS} s, too short for PESQ")
    if not _has_room(clean, pesq_rate, mode):
        raise MetricUndefined(
            "the clean reference has more utterances than PESQ's code has room for, 50; cut the clip"
        )
    try:
        score = pesq.pesq(pesq_rate, clean, estimate, mode)
    except pesq.NoUtterancesError:
        raise MetricUndefined("PESQ found no utterance in the clean reference") from None
    except (pesq.PesqError, ValueError) as error:
        raise MetricUndefined(f"PESQ failed: {_plain(error)}") from None
    return finite(score, "PESQ")


def _has_room(clean: NDArray[np.float64], pesq_rate: int, mode: str) -> bool:
    """Whether PESQ can hold the utterances of this clip; by an upper estimate where it cannot be asked."""
    if len(clean) < PESQ_FILLED_SECONDS * pesq_rate:
        return True
    try:
        return utterances(clean, pesq_rate, mode) <= PESQ_ROOM
    except (AttributeError, ImportError, OSError, ValueError):
        return most_utterances(clean, pesq_rate) <= PESQ_ROOM


def _plain(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    return text.decode() if isinstance(text, bytes) else str(text)
