"""Score models and the noisy input on sets of noisy/clean pairs, and write what comes of it."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from torch import nn

from sedistill.common import ranks
from sedistill.common.agreement import program_facts, refuse_differing
from sedistill.common.devices import worker_count
from sedistill.common.torchrun import joined
from sedistill.common.writing import atomic_folder, refuse_existing, refuse_inside
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.pair_alignment import check_all
from sedistill.data.set_notes import notes_on
from sedistill.evaluation.clip_scoring import score_set
from sedistill.evaluation.labels import distinct_labels, file_names
from sedistill.evaluation.metrics import DEFAULT_METRICS, metrics_named
from sedistill.evaluation.print_scores import print_score_tables
from sedistill.evaluation.score_files import write_scores
from sedistill.evaluation.scores import FACTS, SetScores, load_scores
from sedistill.evaluation.systems import NOISY_SYSTEM, AnyModel, is_of, systems_of
from sedistill.teachers.opening import settings_of


def evaluate(
    model: nn.Module | Path | str | Mapping[str, Any],
    folder: Path | str,
    metrics: Sequence[str] = DEFAULT_METRICS,
    workers: int | None = None,
    correct_level: bool = True,
    align: bool = False,
    trust_pairs: bool = False,
) -> SetScores:
    """Score one model, and the noisy input, on a folder of pairs, noisy/ and clean/.

    Args:
        model: a network with `sample_rate`, the folder of a saved model, or any other teacher
            (docs/teachers.md), whose delay and level are measured on these pairs.
        metrics: names as in `sedistill.evaluation.metrics.METRICS`.
        workers: clips in the works at a time; None takes one a core. The scores do not depend on it.
        correct_level: multiply the output by the model's measured factor onto clean speech.
        align: shift pairs whose noisy file is late or early against the clean one.
        trust_pairs: score pairs that do not seem to fit as they are, and print how many.

    Returns the scores: `.mean(model_label, "si_sdr")`, `.clips` and more. Every clip is enhanced whole.
    Raises UserError for a folder, model or metric that cannot be used, and for pairs that do not fit.
    """
    chosen, workers = metrics_named(metrics), worker_count(workers)
    pairs = FixedSet(folder)
    check_all(pairs, align, workers, trust_pairs)
    systems = [NOISY_SYSTEM, *systems_of([model], correct_level, pairs)]
    return score_set(pairs.folder.name, pairs, systems, chosen, workers)


def evaluate_models(
    models: Sequence[AnyModel],
    sets: Sequence[Path | str],
    output: Path | str,
    metrics: Sequence[str] = DEFAULT_METRICS,
    workers: int | None = None,
    correct_level: bool = True,
    overwrite: bool = False,
    show: bool = False,
    align: bool = False,
    trust_pairs: bool = False,
) -> dict[str, SetScores]:
    """Score saved models on sets of pairs and write the scores, one folder a set, whole or not at all.

    A set's folder gets clips.csv (every clip and model, every metric and its improvement over noisy, and the
    reason where a metric is undefined), summary.csv and summary.md (means with n and spread, improvements, by
    SNR and by noise class) and evaluation.yaml (what was measured how). `load_scores` reads them back.

    Args:
        models: saved models (folders, or names of ready-made ones) and other teachers (docs/teachers.md),
            whose delay and level are measured on the first set; their rate may be another than the sets'.
        sets: folders of pairs, with noisy/ and clean/.
        output: the folder to write.
        metrics, workers, correct_level: as for `evaluate`.
        overwrite: replace an earlier evaluation at `output`.
        show: print the tables.
        align, trust_pairs: as for `evaluate`.

    Of several processes that torchrun started each scores its share of the clips, and the first writes.

    Returns the scores by the set's name. Raises UserError before anything is computed for whatever cannot
    be used: model, set, metric, output.
    """
    with joined():
        return _evaluate_models(
            models, sets, Path(output), metrics, workers, correct_level, overwrite, show, align, trust_pairs
        )


def _evaluate_models(
    models: Sequence[AnyModel],
    sets: Sequence[Path | str],
    output: Path,
    metrics: Sequence[str],
    workers: int | None,
    correct_level: bool,
    overwrite: bool,
    show: bool,
    align: bool,
    trust_pairs: bool,
) -> dict[str, SetScores]:
    refuse_existing(output, overwrite, marker=f"*/{FACTS}")
    folders = [model for model in models if isinstance(model, Path | str) and settings_of(model) is None]
    refuse_inside(output, map(Path, [*folders, *sets]))
    chosen, workers = metrics_named(metrics), worker_count(workers)
    pair_sets = [FixedSet(folder) for folder in sets]
    names = distinct_labels([pairs.folder for pairs in pair_sets], what="set")
    if ranks.count() > 1:
        asked = {"sets": len(sets), "metrics": list(metrics), "align": align, "trust_pairs": trust_pairs}
        refuse_differing(program_facts() | {"command": asked})
        refuse_differing({name: pairs.hash for name, pairs in zip(names, pair_sets, strict=True)})
    for pairs in pair_sets:
        check_all(pairs, align, workers, trust_pairs)
    systems = [NOISY_SYSTEM, *systems_of(models, correct_level, pair_sets[0])]
    refuse_differing({"models": {system.label: system.facts for system in systems}})
    results: dict[str, SetScores] = {}
    writes = ranks.is_first()
    with atomic_folder(output, overwrite, marker=f"*/{FACTS}") if writes else nullcontext() as temporary:
        for name, place_name, pairs in zip(names, file_names(names), pair_sets, strict=True):
            results[name] = score_set(name, pairs, systems, chosen, workers)
            if temporary is None:
                continue
            place = temporary / place_name
            place.mkdir()
            write_scores(place, results[name])
            if show:
                print_score_tables(results[name])
                for line in notes_on(pairs):
                    print(line)
    if show:
        print(f"Every clip and the summaries are in {output}.")
    return results


def is_current(
    scores: SetScores | None, pairs: FixedSet, metrics: Sequence[str], models: Sequence[AnyModel] = ()
) -> bool:
    """Whether scores hold every wanted metric, on the set as it is now, of the models as they are now."""
    if scores is None or not set(metrics) <= set(scores.metrics):
        return False
    if scores.facts.get("set", {}).get("hash") != pairs.hash:
        return False
    known = scores.facts.get("models", {}).values()
    return all(any(is_of(facts, model, pairs.sample_rate) for facts in known) for model in models)


def kept_scores(place: Path, models: Sequence[AnyModel], on: Path, metrics: Sequence[str]) -> SetScores:
    """The evaluation at `place`, made where there is none of the models and the set `on` as they are now."""
    if not place.exists() or not is_current(_of_one_set(place), FixedSet(on), metrics, models):
        evaluate_models(models, [on], place, metrics=metrics, overwrite=True)
    return _of_one_set(place)


def _of_one_set(place: Path) -> SetScores:
    (scores,) = load_scores(place).values()
    return scores
