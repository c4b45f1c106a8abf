"""Evaluations of finished runs: each network once on every set, the noisy input once for all of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sedistill.common.devices import usable_cores
from sedistill.common.errors import UserError
from sedistill.common.writing import atomic_folder
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.clip_scoring import score_set
from sedistill.evaluation.command import is_current
from sedistill.evaluation.metrics import metrics_named
from sedistill.evaluation.score_files import write_scores
from sedistill.evaluation.scores import NOISY, SetScores, load_scores
from sedistill.evaluation.systems import NOISY_SYSTEM, systems_of
from sedistill.workflows.jobs import Run
from sedistill.workflows.reproducing.sources import SETS

EVALUATIONS = "evaluations"


def evaluate_run(output: Path, run: Run, wanted: Mapping[str, Sequence[str]]) -> None:
    """Score a finished run on sets (name -> metrics), where that is not done.

    The scores lie in evaluations/NAME/seed-N, as `sedistill evaluate` writes them, noisy among them.
    """
    _evaluate(output, evaluation_of(output, run), output / run.student, str(run), wanted)


def evaluate_model(output: Path, model: str, wanted: Mapping[str, Sequence[str]]) -> None:
    """The same of a ready-made model or packaged teacher, in evaluations/models/NAME."""
    _evaluate(output, model_evaluation(output, model), model, model, wanted)


def _evaluate(
    output: Path, place: Path, model: Path | str, title: str, wanted: Mapping[str, Sequence[str]]
) -> None:
    if not wanted or _are_current(load_evaluation(place), output, wanted, [model]):
        return
    noisy = evaluate_noisy(output, wanted)
    with atomic_folder(place, overwrite=True) as temporary:
        for name, metrics in wanted.items():
            pairs = FixedSet(output / SETS / name)
            system = systems_of([model], True, pairs)
            scores = score_set(
                f"{name}: {title}", pairs, system, metrics_named(list(metrics)), usable_cores()
            )
            rows = noisy[name].only(metrics).rows(NOISY)
            _write(temporary / name, SetScores(name, list(metrics), rows + scores.clips, scores.facts))


def evaluate_noisy(output: Path, wanted: Mapping[str, Sequence[str]]) -> dict[str, SetScores]:
    """The scores of the unprocessed input, computed where they are not there; metrics once known are kept."""
    place = output / EVALUATIONS / NOISY
    known = load_evaluation(place)
    if _are_current(known, output, wanted, []):
        return known
    together = {
        name: list(dict.fromkeys([*(known[name].metrics if name in known else []), *wanted.get(name, [])]))
        for name in {**known, **wanted}
    }
    with atomic_folder(place, overwrite=True) as temporary:
        for name, metrics in together.items():
            pairs = FixedSet(output / SETS / name)
            scores = score_set(name, pairs, [NOISY_SYSTEM], metrics_named(metrics), usable_cores())
            _write(temporary / name, scores)
    return load_evaluation(place)


def evaluation_of(output: Path, run: Run) -> Path:
    """Where the scores of a run lie."""
    return output / EVALUATIONS / run.place


def model_evaluation(output: Path, model: str) -> Path:
    """Where the scores of a model that is not trained here lie."""
    return output / EVALUATIONS / "models" / model.replace(":", "-")


def load_evaluation(place: Path) -> dict[str, SetScores]:
    """The scores at a place by set, none where there are none that can be read."""
    try:
        return load_scores(place)
    except UserError:
        return {}


def _are_current(
    known: Mapping[str, SetScores],
    output: Path,
    wanted: Mapping[str, Sequence[str]],
    models: Sequence[Path | str],
) -> bool:
    return all(
        is_current(known.get(name), FixedSet(output / SETS / name), metrics, models)
        for name, metrics in wanted.items()
    )


def _write(place: Path, scores: SetScores) -> None:
    place.mkdir(parents=True)
    write_scores(place, scores)
