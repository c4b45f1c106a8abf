"""What the scores say: each student against the noisy input, and what the teacher added, with intervals."""

import math
from collections.abc import Mapping

import numpy as np

from sedistill.common.wording import listed
from sedistill.evaluation.comparing.clusters import Clusters
from sedistill.evaluation.comparing.significance import PairedTest, paired_test
from sedistill.evaluation.metrics import METRICS
from sedistill.evaluation.scores import NOISY, SetScores
from sedistill.workflows.training_page import NAMES

DISTILLED, ALONE, TEACHER = "distilled", "alone", "teacher"
"""The keys of labels, as pages have them."""
FEW_RECORDINGS = 6
SEED_SPREAD = (
    "One run of each with one seed: elsewhere, two seeds of one small network lay about 0.06 WB-PESQ apart, "
    "which intervals over clips do not know of. Train both recipes with other seeds (seed=1, seed=2) and "
    "compare before believing a small difference."
)


def difference(scores: SetScores, one: str, other: str, metric: str) -> PairedTest:
    """One model minus another, over the clips on which both have a value.

    Clips that share a recording are not taken as independent.
    """
    rows = list(zip(scores.rows(one), scores.rows(other), strict=True))
    values = np.array([a.values[metric] - b.values[metric] for a, b in rows])
    defined = np.isfinite(values)
    clusters = Clusters(tuple(a.utterance for a, _ in rows), tuple(a.noise_recording for a, _ in rows))
    if not defined.any():
        return paired_test([])
    of_defined = clusters.of(defined)
    return paired_test(values[defined], None if of_defined.independent else of_defined)


def is_better(test: PairedTest, metric: str) -> bool | None:
    """True or False where the whole interval is on one side of nothing, else None."""
    if not (test.low > 0 or test.high < 0):
        return None
    return (test.low > 0) == METRICS[metric].higher_is_better


def difference_text(test: PairedTest, metric: str) -> str:
    """WB-PESQ +0.12 (+0.05 to +0.19)."""
    digits, known = METRICS[metric].digits, METRICS[metric]
    unit = f" {known.unit}" if known.unit else ""
    mean, low, high = (f"{round(one, digits) + 0.0:+.{digits}f}" for one in (test.mean, test.low, test.high))
    text = f"{known.label} {mean}{unit}"
    return text if math.isnan(test.low) else f"{text} ({low} to {high})"


def of_mixtures(scores: SetScores) -> SetScores:
    """The scores of what becomes of noisy speech, without those of noise alone and of clean speech alone."""
    return scores.only([metric for metric in scores.metrics if METRICS[metric].given == "noisy"])


def verdicts(scores: SetScores, labels: Mapping[str, str]) -> list[str]:
    """Sentences, the chief one first."""
    of_parts, scores = _of_parts(scores, labels), of_mixtures(scores)
    clips = len(scores.rows(NOISY))
    told = [_added(scores, labels)] if ALONE in labels else []
    told += [_above_noisy(scores, labels[name], NAMES[name]) for name in (DISTILLED, ALONE) if name in labels]
    told += of_parts
    told.append(f"In brackets the 95 % interval of the mean over {clips} mixtures{_recordings(scores)}.")
    return [*told, SEED_SPREAD] if ALONE in labels else told


def _of_parts(scores: SetScores, labels: Mapping[str, str]) -> list[str]:
    """What becomes of noise without speech, and of speech without noise, where it was measured."""
    names = [name for name in (DISTILLED, ALONE, TEACHER) if name in labels]

    def means(metric: str) -> str:
        digits = METRICS[metric].digits
        return ", ".join(f"{NAMES[name]} {scores.mean(labels[name], metric):.{digits}f}" for name in names)

    told = []
    if "noise_only_db" in scores.metrics:
        told.append(
            f"What is left of noise without speech, in dB of what it was (lower is better): "
            f"{means('noise_only_db')}."
        )
    if "do_no_harm" in scores.metrics:
        told.append(f"PESQ-WB of clean speech that goes through, 4.644 at most: {means('do_no_harm')}.")
    return told


def _recordings(scores: SetScores) -> str:
    """Of how many recordings, and what that means for intervals."""
    rows = scores.rows(NOISY)
    known = Clusters(tuple(row.utterance for row in rows), tuple(row.noise_recording for row in rows))
    counts = known.utterance_count, known.noise_count
    text = f" of {counts[0]} speech and {counts[1]} noise recordings; those that share one count as dependent"
    if min(counts) >= FEW_RECORDINGS:
        return text
    return f"{text}, and so few say little about others: intervals are wide for that reason alone"


def _added(scores: SetScores, labels: Mapping[str, str]) -> str:
    """What distillation added."""
    tests = {
        metric: difference(scores, labels[DISTILLED], labels[ALONE], metric) for metric in scores.metrics
    }
    sides = {metric: is_better(test, metric) for metric, test in tests.items()}
    better = [METRICS[metric].label for metric, side in sides.items() if side is True]
    worse = [METRICS[metric].label for metric, side in sides.items() if side is False]
    if better and worse:
        verdict = f"The teacher helped by {listed(better)} and did harm by {listed(worse)}"
    elif better:
        verdict = f"The teacher helped, by {listed(better)}"
    elif worse:
        verdict = f"The teacher did harm, by {listed(worse)}"
    else:
        verdict = "The teacher added nothing that these clips can tell from chance"
    told = ", ".join(difference_text(test, metric) for metric, test in tests.items())
    return f"{verdict}. The distilled student against the one trained alone: {told}."


def _above_noisy(scores: SetScores, label: str, name: str) -> str:
    tests = {metric: difference(scores, label, NOISY, metric) for metric in scores.metrics}
    worse = [
        METRICS[metric].label
        for metric, test in tests.items()
        if (test.mean < 0) == METRICS[metric].higher_is_better and test.mean != 0
    ]
    told = ", ".join(difference_text(test, metric) for metric, test in tests.items())
    warning = f" It is worse than the noisy input by {listed(worse)}: train longer." if worse else ""
    return f"The {name} against the noisy input: {told}.{warning}"
