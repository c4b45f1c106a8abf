"""Has `reproduce evidence/...` go on from what is kept: python docs/take_up_evidence.py OUT

The kept students, their scores and the teacher's go where that command looks for them in OUT, whether
it was run before or not; what lies there already stays. `docs/keep_evidence.py` is the way back.
"""

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from keep_evidence import EVIDENCE, SCORES

from sedistill.common.writing import atomic_folder
from sedistill.evaluation.score_files import write_scores
from sedistill.evaluation.scores import NOISY, SetScores, load_scores
from sedistill.workflows.reproducing.evaluations import EVALUATIONS, model_evaluation

TEACHER = "deepfilternet"


def take_up(out: Path) -> None:
    """Every kept student into an output folder, with its scores."""
    kept = load_scores(SCORES)
    for student in sorted(card.parent for card in EVIDENCE.glob("*/*/seed-*/card.yaml")):
        name = Path("evidence") / student.relative_to(EVIDENCE)
        if not (place := out / "runs" / name / "student").exists():
            with atomic_folder(place) as whole:  # half a student would be taken for a finished one
                shutil.copytree(student, whole, dirs_exist_ok=True)
            print(f"took up {name}")
        recipe, seed = name.parent.as_posix(), int(name.name.removeprefix("seed-"))
        write_anew(out / EVALUATIONS / name, [of_student(scores, recipe, seed) for scores in kept.values()])
    write_anew(model_evaluation(out, TEACHER), load_scores(EVIDENCE / "teacher").values())


def of_student(scores: SetScores, recipe: str, seed: int) -> SetScores:
    """Noisy's rows and those of one student, with what is known of that alone."""
    (label,) = (
        label
        for label, facts in scores.facts["models"].items()
        if (facts["recipe"], facts["seed"]) == (recipe, seed)
    )
    facts = {**scores.facts, "models": {label: scores.facts["models"][label]}}
    return SetScores(scores.name, scores.metrics, scores.rows(NOISY) + scores.rows(label), facts)


def write_anew(place: Path, evaluation: Iterable[SetScores]) -> None:
    for scores in evaluation:
        if not (place / scores.name).exists():
            with atomic_folder(place / scores.name) as folder:
                write_scores(folder, scores)


if __name__ == "__main__":
    take_up(Path(sys.argv[1]))
