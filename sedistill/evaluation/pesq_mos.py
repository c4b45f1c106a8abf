"""PESQ of one clip, wide-band and narrow-band, by the `pesq` package, kept from crashing on long clips."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sedistill.evaluation.checks import MetricUndefined, at_rate, checked_pair, finite, optional

PESQ_RATE = 16_000
"""The rate, in Hz, at which both PESQ variants are computed, except narrow-band PESQ of 8 kHz material."""

PESQ_SHORTEST_SECONDS = 0.25
PESQ_FRAME_SECONDS = 0.004
PESQ_SHORTEST_UTTERANCE = PESQ_SHORTEST_GAP = 50  # frames
PESQ_MOST_UTTERANCES = 40
"""PESQ's reference code has room for 50 utterances and writes beyond it without a check: the process dies,
or goes on with overwritten numbers. The count here lacks that code's filters, hence the margin."""


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


def _pesq(clean: ArrayLike, estimate: ArrayLike, sample_rate: int, pesq_rate: int, mode: str) -> float:
    pesq = optional("pesq", extra="eval")
    clean, estimate = (at_rate(side, sample_rate, pesq_rate) for side in checked_pair(clean, estimate))
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
    return finite(score, "PESQ")


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


def _plain(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    return text.decode() if isinstance(text, bytes) else str(text)
