"""Every method against one baseline: over clips, over seeds, and the share of the gap that it closed.

Two things make a difference uncertain, and each has its own test. Other clips: differences are averaged over
seeds and tested over clips, for the networks at hand; clips that share an utterance or a noise recording are
not independent, and the test is then between those. Other seeds: differences are averaged over clips and
tested over seeds, for the clips at hand. A claim about a method needs both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sedistill.common.errors import UserError
from sedistill.evaluation.comparing.alignment import AlignedSet, BySeed
from sedistill.evaluation.comparing.clusters import Clusters, shared_among
from sedistill.evaluation.comparing.methods import method_named
from sedistill.evaluation.comparing.significance import PairedTest, Share, holm, paired_test, share
from sedistill.evaluation.metrics import METRICS
from sedistill.evaluation.scores import NOISY

DEFAULT_BASELINE, DEFAULT_TEACHER = "alone", "teacher"


@dataclass(frozen=True)
class Corrected:
    """p values after Holm's correction over a family; NaN where no test was made."""

    clips_t: float = np.nan
    clips_wilcoxon: float = np.nan
    seeds_t: float = np.nan
    seeds_wilcoxon: float = np.nan


@dataclass(frozen=True)
class Difference:
    """One method minus the baseline, on one metric of one set.

    Attributes
        seeds: those that both were trained with, in which they are paired; empty where none is known to be
            common to both, and each is averaged over its own.
        clips: those on which the metric is defined for both with every one of these seeds; `of` so many.
        clusters: the recordings in those clips, or None where they are independent as far as is known.
        method_mean, baseline_mean: over these seeds and clips.
        by_seed: the mean difference over clips, of each seed.
        over_clips: the test of differences averaged over seeds.
        over_seeds: the test of `by_seed`; no more than a mean where there is one seed.
        corrected: the p values of both tests after Holm's correction; NaN for the teacher.
        gap_closed: share of the way from baseline to teacher; None without a teacher or a clear gap.
    """

    set_name: str
    metric: str
    method: str
    seeds: tuple[int, ...]
    clips: int
    of: int
    method_mean: float
    baseline_mean: float
    by_seed: tuple[float, ...]
    over_clips: PairedTest
    over_seeds: PairedTest
    gap_closed: Share | None
    clusters: Clusters | None = None
    corrected: Corrected = Corrected()


@dataclass(frozen=True)
class Comparison:
    """Methods against one baseline: `differences` set by set, metric by metric.

    Those of the noisy input and of the teacher come first; they stand beside the methods and are not tested
    with them.
    """

    baseline: str
    teacher: str | None
    methods: list[str]
    sets: list[AlignedSet]
    differences: list[Difference]

    def of(self, set_name: str, metric: str) -> list[Difference]:
        """The rows of one table."""
        return [row for row in self.differences if (row.set_name, row.metric) == (set_name, metric)]

    @property
    def family_size(self) -> int:
        """How many hypotheses there are for one metric and test: every method on every set.

        A correction is over those that got the test; over one seed, say, there is none.
        """
        return len(self.methods) * len(self.sets)


def compare_methods(
    sets: Sequence[AlignedSet],
    baseline: str | None = None,
    teacher: str | None = None,
    methods: Sequence[str] | None = None,
) -> Comparison:
    """Test every method against the baseline, on every set and metric.

    Args:
        baseline: a method's name, or "noisy"; None takes "alone".
        teacher: the network the others were to imitate; None takes "teacher", if there is one. It is no
            method under test, and its mean over its own seeds stands beside every seed of a student.
        methods: the ones to test; None takes all. A family of few hypotheses is corrected less, which is
            fair only for those chosen before looking.

    Raises UserError for a name that is not there (with the nearest one) and when nothing is left to compare.
    """
    known = list(dict.fromkeys(method for one in sets for method in one.methods))
    baseline = _baseline(baseline, known)
    teacher = _teacher(teacher, known, baseline)
    others = [method for method in known if method not in (baseline, teacher)]
    if methods is not None:
        others = list(dict.fromkeys(method_named(name, others, "method to compare") for name in methods))
    if not others:
        raise UserError(f"there is no method to compare with {baseline}; name an evaluation that holds one.")
    rows = [
        _difference(one, metric, method, baseline, teacher)
        for one in sets
        for metric in one.metrics
        for method in [*(name for name in (NOISY, teacher) if name not in (None, baseline)), *others]
    ]
    return Comparison(baseline, teacher, others, list(sets), _corrected(rows, others))


def _baseline(wanted: str | None, known: Sequence[str]) -> str:
    try:
        return method_named(wanted or DEFAULT_BASELINE, [*known, NOISY], "baseline")
    except UserError:
        if wanted is not None:
            raise
        raise UserError(
            f"no method is called {DEFAULT_BASELINE}; say which is the baseline: {', '.join(known)}."
        ) from None


def _teacher(wanted: str | None, known: Sequence[str], baseline: str) -> str | None:
    if wanted is None:
        return DEFAULT_TEACHER if DEFAULT_TEACHER in known and baseline != DEFAULT_TEACHER else None
    teacher = method_named(wanted, known, "teacher")
    if teacher == baseline:
        raise UserError(f"{baseline} cannot be baseline and teacher; name another baseline.")
    return teacher


def _difference(
    scores: AlignedSet, metric: str, method: str, baseline: str, teacher: str | None
) -> Difference:
    seeds, of_method, of_baseline = paired_differences(scores, metric, method, baseline, teacher)
    differences = of_method - of_baseline
    defined = defined_clips(differences)
    clusters = shared_among(scores.clusters, defined)
    by_seed = [float(values[defined].mean()) for values in differences] if seeds and defined.any() else []
    gap_closed = None
    if teacher is not None and method not in (teacher, NOISY):
        index = list(scores.metrics).index(metric)
        gap = _mean_over_seeds(_by_seed(scores, teacher, index)) - of_baseline
        gap_closed = _gap_closed(differences, gap, METRICS[metric].higher_is_better, scores.clusters)
    return Difference(
        set_name=scores.name,
        metric=metric,
        method=method,
        seeds=seeds,
        clips=int(defined.sum()),
        of=len(defined),
        method_mean=_mean(of_method[:, defined]),
        baseline_mean=_mean(of_baseline[:, defined]),
        by_seed=tuple(by_seed),
        over_clips=paired_test(differences.mean(axis=0)[defined], clusters),
        over_seeds=paired_test(by_seed),
        gap_closed=gap_closed,
        clusters=clusters,
    )


def paired_differences(
    scores: AlignedSet, metric: str, method: str, baseline: str, teacher: str | None
) -> tuple[tuple[int, ...], NDArray[np.float64], NDArray[np.float64]]:
    """The seeds in which both are paired, and the scores (seeds, clips) of method and baseline with them.

    The noisy input and the teacher stand beside every seed with one value a clip; where no seed is common to
    both there is none, and one row of means each.
    """
    index = list(scores.metrics).index(metric)
    of_methods = _by_seed(scores, method, index)
    of_baselines = _by_seed(scores, baseline, index)
    if method in (teacher, NOISY):
        of_methods = dict.fromkeys(of_baselines, _mean_over_seeds(of_methods))
    if baseline == NOISY:
        of_baselines = dict.fromkeys(of_methods, of_baselines[None])
    return _paired(of_methods, of_baselines)


def _by_seed(scores: AlignedSet, method: str, index: int) -> BySeed:
    return {seed: values[index] for seed, values in scores.scores[method].items()}


def _mean_over_seeds(by_seed: BySeed) -> NDArray[np.float64]:
    """(clips,); NaN where any seed has NaN, so that every seed counts on every clip alike."""
    return np.mean(list(by_seed.values()), axis=0)


def _paired(one: BySeed, two: BySeed) -> tuple[tuple[int, ...], NDArray[np.float64], NDArray[np.float64]]:
    """The seeds in both and the scores (seeds, clips) of each; without any, none and the means (1, clips)."""
    seeds = tuple(sorted(seed for seed in one if seed is not None and seed in two))
    if not seeds:
        return (), _mean_over_seeds(one)[None], _mean_over_seeds(two)[None]
    return seeds, np.stack([one[seed] for seed in seeds]), np.stack([two[seed] for seed in seeds])


def _gap_closed(
    differences: NDArray[np.float64],
    gap: NDArray[np.float64],
    higher_is_better: bool,
    clusters: Clusters | None,
) -> Share | None:
    """(method - baseline) / (teacher - baseline), from differences (seeds, clips), each to the baseline.

    None unless the teacher is better on every seed and significantly so over clips.
    """
    defined = defined_clips(differences) & defined_clips(gap)
    if not defined.any():
        return None
    ahead = gap[:, defined].mean(axis=1) * (1 if higher_is_better else -1)
    if not (ahead > 0).all():
        return None
    of_defined = clusters.of(defined) if clusters is not None else None
    return share(differences[:, defined].mean(axis=0), gap[:, defined].mean(axis=0), of_defined)


def defined_clips(differences: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The clips (clips,) on which a difference (seeds, clips) is defined for every seed."""
    return np.asarray(np.isfinite(differences).all(axis=0))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else np.nan


def _corrected(rows: Sequence[Difference], methods: Sequence[str]) -> list[Difference]:
    """Holm's correction of each test over its family: one metric, every method under test, every set."""
    corrected = list(rows)
    for metric in dict.fromkeys(row.metric for row in rows):
        family = [i for i, row in enumerate(rows) if row.metric == metric and row.method in methods]
        p_values = [
            (clips.p_t, clips.p_wilcoxon, seeds.p_t, seeds.p_wilcoxon)
            for clips, seeds in ((rows[i].over_clips, rows[i].over_seeds) for i in family)
        ]
        by_test = map(holm, zip(*p_values, strict=True))
        for i, found in zip(family, zip(*by_test, strict=True), strict=True):
            corrected[i] = replace(rows[i], corrected=Corrected(*found))
    return corrected
