"""What a comparison must say before anybody believes it: below noisy, few recordings, unknown recordings."""

import math

from sedistill.common.wording import counted
from sedistill.evaluation.comparing.alignment import AlignedSet
from sedistill.evaluation.comparing.comparison import Comparison, defined_clips, paired_differences
from sedistill.evaluation.comparing.significance import t_quantile
from sedistill.evaluation.metrics import METRICS
from sedistill.evaluation.scores import NOISY


def counted_clips(scores: AlignedSet) -> str:
    """300 clips of 6 utterances and 2 noise recordings, as far as that is known."""
    clips = counted(len(scores.clips), "clip")
    of = [counted(count, kind) for kind, count in _recordings(scores).items() if count]
    return f"{clips} of {' and '.join(of)}" if of else clips


def _recordings(scores: AlignedSet) -> dict[str, int]:
    known = scores.clusters
    if known is None:
        return {}
    return {"utterance": known.utterance_count, "noise recording": known.noise_count}


def below_noisy(comparison: Comparison) -> list[str]:
    """What is better than the baseline, and yet worse than doing nothing."""
    sentences = []
    for scores in comparison.sets:
        for metric, label in scores.metrics.items():
            sign = 1 if METRICS[metric].higher_is_better else -1
            rows = {row.method: row for row in comparison.of(scores.name, metric)}
            below = [
                method
                for method in comparison.methods
                if sign * rows[method].over_clips.mean > 0
                and sign * _gain_over_noisy(comparison, scores, metric, method) < 0
            ]
            if below:
                sentences.append(
                    f"{label} on {scores.name}: better than {comparison.baseline}, but still worse than the "
                    f"noisy input: {', '.join(below)}."
                )
    return sentences


def _gain_over_noisy(comparison: Comparison, scores: AlignedSet, metric: str, method: str) -> float:
    """The mean over the clips on which both have a value."""
    _, of_method, of_noisy = paired_differences(scores, metric, method, NOISY, comparison.teacher)
    gains = of_method - of_noisy
    defined = defined_clips(gains)
    return float(gains[:, defined].mean()) if defined.any() else math.nan


def cluster_sentences(comparison: Comparison) -> list[str]:
    """How far the clips of each set are from being independent."""
    return [f"{scores.name}: {sentence}" for scores in comparison.sets for sentence in _of_one_set(scores)]


def _of_one_set(scores: AlignedSet) -> list[str]:
    clusters, recordings = scores.clusters, _recordings(scores)
    if clusters is None or not any(recordings.values()):
        return [
            "which recordings the clips come from is not known, as evaluations of earlier versions do not "
            "say it; each counts as independent. Evaluate again to know."
        ]
    if not clusters.kinds and len(clusters) > 1:
        return [
            "all clips come from one and the same recording of every kind: no test over clips is possible."
        ]
    single = [
        f"all clips have one and the same {kind}: nothing here is about another."
        for kind, count in recordings.items()
        if count == 1 and len(clusters) > 1
    ]
    if clusters.independent:
        return single
    freedom = clusters.fewest - 1
    return [
        f"{counted_clips(scores)}. Clips that share one are not independent: intervals, t-tests and shares "
        "over clips are between recordings (two-way cluster-robust errors; Cameron, Gelbach, Miller 2011), "
        f"with {counted(freedom, 'degree')} of freedom: intervals reach {t_quantile(freedom):.1f} standard "
        "errors to each side. There is no Wilcoxon test of such clips.",
        *single,
    ]
