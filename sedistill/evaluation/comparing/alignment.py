"""Several evaluations brought together: the same clips in the same order, models by method and seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedistill.common.errors import UserError, nearest
from sedistill.evaluation.comparing.clusters import Clusters
from sedistill.evaluation.comparing.methods import Trained, method_names, trained
from sedistill.evaluation.metrics import METRICS
from sedistill.evaluation.scores import NOISY, SetScores, load_scores

BySeed = dict[int | None, NDArray[np.float64]]
"""Scores (metrics, clips) of one method by its seeds; None where the seed is not known."""


@dataclass
class AlignedSet:
    """The scores of every method and seed on one set.

    Attributes
        metrics: names of the metrics, the first axis of the scores, with the labels they were given.
        clips: names of the clips, the second axis.
        scores: by method and seed, NaN where a metric is undefined; "noisy" is the unprocessed input.
        clusters: which clips share an utterance or a noise recording; None where that is not known.
        snr_ranges: by the name of each SNR, or range of SNR, which clips (clips,) are in it.
    """

    name: str
    metrics: dict[str, str]
    clips: list[str]
    scores: dict[str, BySeed] = field(default_factory=dict)
    clusters: Clusters | None = None
    snr_ranges: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    @property
    def methods(self) -> list[str]:
        """Every method, in the order in which they came, without the noisy input."""
        return [method for method in self.scores if method != NOISY]


@dataclass(frozen=True)
class _Evaluation:
    place: Path
    sets: dict[str, SetScores]


def align(evaluations: Sequence[Path | str], metrics: Sequence[str] | None = None) -> list[AlignedSet]:
    """Read evaluations (or single sets of them) and put the scores of equal sets together.

    `metrics` chooses and orders; None takes every metric that all evaluations have. Raises UserError for a
    folder that is no evaluation, a metric that one lacks, other sets, other clips or other recordings under
    the same names (the first differing clip is named), other level correction, and for two different
    networks of the same recipe and seed, and for a recipe that is called as the noisy input.
    """
    if not evaluations:
        raise UserError("name at least one evaluation, a folder that `sedistill evaluate` wrote.")
    read = [_Evaluation(Path(place), load_scores(place)) for place in evaluations]
    chosen = _chosen_metrics(read, metrics)
    names = _names(read)
    aligned = []
    for set_name in _common_sets(read):
        first = read[0].sets[set_name]
        clips = [row.clip for row in first.clips if row.model == NOISY]
        whole = AlignedSet(set_name, {metric: first.label(metric) for metric in chosen}, clips)
        for evaluation in read:
            _check_fit(whole, read[0], evaluation)
            _add(whole, evaluation, names)
        whole.clusters = _clusters(whole, read)
        whole.snr_ranges = _snr_ranges(whole, first)
        aligned.append(whole)
    return aligned


def _chosen_metrics(read: Sequence[_Evaluation], wanted: Sequence[str] | None) -> list[str]:
    of_each = [(one.place, scores.metrics) for one in read for scores in one.sets.values()]
    if wanted is None:
        shared = [metric for metric in of_each[0][1] if all(metric in there for _, there in of_each)]
        if not shared:
            raise UserError("the evaluations have no metric in common; evaluate again with the same metrics.")
        return shared
    for metric in wanted:
        for place, there in of_each:
            if metric not in there:
                raise UserError(f"{place} has no metric {metric}{nearest(metric, there)}")
    return list(dict.fromkeys(wanted))


def _common_sets(read: Sequence[_Evaluation]) -> list[str]:
    first = read[0]
    for other in read[1:]:
        for one, two in ((first, other), (other, first)):
            for name in one.sets:
                if name not in two.sets:
                    raise UserError(
                        f"{one.place} has the set {name}, {two.place} has only {', '.join(two.sets)}; "
                        f"evaluate both on the same sets, or name single sets, as in {one.place / name}."
                    )
    return list(first.sets)


def _names(read: Sequence[_Evaluation]) -> dict[tuple[str, ...], str]:
    models = [
        trained(label, facts)
        for one in read
        for scores in one.sets.values()
        for label, facts in _models(scores).items()
    ]
    return method_names(models)


def _models(scores: SetScores) -> Mapping[str, Mapping[str, Any]]:
    facts = scores.facts.get("models", {})
    return {label: facts.get(label, {}) for label in scores.models if label != NOISY}


def _check_fit(whole: AlignedSet, first: _Evaluation, other: _Evaluation) -> None:
    one, two = first.sets[whole.name], other.sets[whole.name]
    theirs = [row.clip for row in two.clips if row.model == NOISY]
    for clips, strangers, place in ((whole.clips, set(theirs), first), (theirs, set(whole.clips), other)):
        for clip in clips:
            if clip not in strangers:
                raise UserError(
                    f"{first.place} and {other.place} hold different clips of {whole.name}: {clip} is only "
                    f"in {place.place}; evaluate both on the same set."
                )
    levels = [scores.facts.get("level_correction") for scores in (one, two)]
    if levels[0] != levels[1]:
        raise UserError(
            f"level correction is {levels[0]} in {first.place} and {levels[1]} in {other.place}; "
            "evaluate both in the same way."
        )
    ours, others = _scores_of(one, NOISY, whole), _scores_of(two, NOISY, whole)
    for c, m in np.argwhere(_differing(ours, others, whole).T):
        clip, metric = whole.clips[c], list(whole.metrics)[m]
        raise UserError(_other_recording(whole, first, other, clip, metric, ours[m, c], others[m, c]))
    hashes = [scores.facts.get("set", {}).get("hash") for scores in (one, two)]
    if None not in hashes and hashes[0] != hashes[1]:
        raise UserError(
            f"{first.place} and {other.place} were scored on different versions of {whole.name} (its "
            f"hash was {hashes[0][:12]}, then {hashes[1][:12]}); evaluate both on the set as it is now."
        )


def _differing(one: NDArray[np.float64], two: NDArray[np.float64], whole: AlignedSet) -> NDArray[np.bool_]:
    """Where scores (metrics, clips) differ in what a table would show; rounding differs between machines."""
    place = 0.5 * 10.0 ** -np.array([[METRICS[metric].digits] for metric in whole.metrics])
    return np.asarray(~((np.abs(one - two) < place) | (np.isnan(one) & np.isnan(two))))


def _other_recording(
    whole: AlignedSet, first: _Evaluation, other: _Evaluation, clip: str, metric: str, a: float, b: float
) -> str:
    hashes = {one.sets[whole.name].facts.get("set", {}).get("hash") for one in (first, other)}
    cause = "the metric was computed in another way" if len(hashes) == 1 else "it is another recording"
    return (
        f"clip {clip} of {whole.name} differs: {whole.metrics[metric]} of the noisy input is {a:.6g} in "
        f"{first.place} and {b:.6g} in {other.place}, so {cause}; evaluate both on the same set."
    )


def _add(whole: AlignedSet, evaluation: _Evaluation, names: Mapping[tuple[str, ...], str]) -> None:
    scores = evaluation.sets[whole.name]
    whole.scores.setdefault(NOISY, {None: _scores_of(scores, NOISY, whole)})
    for label, facts in _models(scores).items():
        origin = trained(label, facts)
        if names[origin.parts] == NOISY:
            raise UserError(
                f"the recipe of {label} in {evaluation.place} is called {NOISY}, as the unprocessed input "
                "is; give it another `recipe` in its evaluation.yaml."
            )
        by_seed = whole.scores.setdefault(names[origin.parts], {})
        found = _scores_of(scores, label, whole)
        known = by_seed.setdefault(origin.seed, found)
        if _differing(known, found, whole).any():
            raise UserError(_two_networks(names[origin.parts], origin, evaluation, label))


def _two_networks(method: str, origin: Trained, evaluation: _Evaluation, label: str) -> str:
    seed = "of no known seed" if origin.seed is None else f"of seed {origin.seed}"
    return (
        f"there are two different networks {method} {seed}, the second being {label} in {evaluation.place}; "
        "leave one out, or give one another `recipe` in its evaluation.yaml."
    )


def _clusters(whole: AlignedSet, read: Sequence[_Evaluation]) -> Clusters:
    """What is in every clip, from the first evaluation that says it: those of earlier versions do not."""
    recordings: dict[str, tuple[str, str]] = {}
    for evaluation in read:
        for row in evaluation.sets[whole.name].clips:
            utterance, noise = recordings.get(row.clip, ("", ""))
            recordings[row.clip] = utterance or row.utterance, noise or row.noise_recording
    return Clusters(*zip(*(recordings[clip] for clip in whole.clips), strict=True))


def _snr_ranges(whole: AlignedSet, scores: SetScores) -> dict[str, NDArray[np.bool_]]:
    """Each range that holds clips, from low to high."""
    inside = {snr: {row.clip for row in scores.rows(NOISY, snr)} for snr in scores.snr_bins}
    return {snr: np.array([clip in clips for clip in whole.clips]) for snr, clips in inside.items()}


def _scores_of(scores: SetScores, model: str, whole: AlignedSet) -> NDArray[np.float64]:
    """Scores (metrics, clips) of a model in the order of the aligned set."""
    rows = {row.clip: row.values for row in scores.clips if row.model == model}
    for clip in whole.clips:
        if clip not in rows:
            raise UserError(f"the evaluation of {model} on {whole.name} lacks clip {clip}; evaluate again.")
    return np.array([[rows[clip][metric] for clip in whole.clips] for metric in whole.metrics])
