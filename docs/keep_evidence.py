"""Keeps finished students of `reproduce evidence/...`: python docs/keep_evidence.py OUT

Each student of OUT goes into docs/results/evidence by its recipe and seed, with its clips' scores and what
became of its patches, so that it is never trained again. What is kept already stays as it is.
"""

import csv
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from sedistill.analyzing.categories import CATEGORIES
from sedistill.analyzing.command import THRESHOLD
from sedistill.analyzing.trends import Sorting, read_runs
from sedistill.common.writing import atomic_folder
from sedistill.evaluation.score_files import SUMMARY, SUMMARY_TEXT, write_scores
from sedistill.evaluation.scores import NOISY, SetScores, load_scores
from sedistill.training.patch_record.record import NAME as RECORD

EVIDENCE = Path(__file__).parent / "results" / "evidence"
SCORES = EVIDENCE / "scores"


def keep(out: Path) -> None:
    """Every student of an output folder that has scores and is not kept yet."""
    evaluations = sorted((out / "evaluations" / "evidence").glob("*/*/seed-*"))
    if not evaluations:
        raise FileNotFoundError(f"{out} has no evaluations of evidence/...; name the output of reproduce")
    for evaluation in evaluations:
        name = evaluation.relative_to(out / "evaluations" / "evidence")
        if (EVIDENCE / name).exists():
            continue
        run = out / "runs" / "evidence" / name
        shares = shares_of_patches(run) if (run / RECORD).exists() else None
        kept, new = load_scores(SCORES), load_scores(evaluation)
        if new.keys() != kept.keys():
            raise ValueError(f"{evaluation} has scores on {sorted(new)}, not on {sorted(kept)} as those kept")
        together = [  # all of them before any is written; not those of a call that was ended half way
            joined(kept[scores.name], scores, str(name))
            for scores in new.values()
            if str(name) not in kept[scores.name].models
        ]
        # The student's folder says that it is kept: it appears last, and whole.
        with atomic_folder(EVIDENCE / name) as student:
            shutil.copytree(run / "student", student, dirs_exist_ok=True)
            card = student / "card.yaml"  # which names the recipe by the whole path on this machine
            card.write_text(card.read_text("utf-8").replace(f"{out.resolve()}/", ""), encoding="utf-8")
            for scores in together:
                write_scores_alone(SCORES / scores.name, scores)
            if shares is not None:
                add_patches(EVIDENCE / "patches.csv", str(name), shares)
        print(f"kept {name}")


def write_scores_alone(place: Path, scores: SetScores) -> None:
    """Without the summaries, which are long, and made again by `sedistill compare`."""
    with atomic_folder(place, overwrite=True) as folder:
        write_scores(folder, scores)
        for summary in (SUMMARY, SUMMARY_TEXT):
            (folder / summary).unlink()


def add_patches(table: Path, student: str, shares: list[float]) -> None:
    """A line of the table of what became of patches, which is begun where there is none; once a student."""
    is_new = not table.exists()
    if not is_new and f"\n{student}," in table.read_text("utf-8"):
        return
    with table.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(["student", *CATEGORIES])
        writer.writerow([student, *shares])


def joined(kept: SetScores, new: SetScores, label: str) -> SetScores:
    """The kept scores with those of the one student in `new`, called `label`. ValueError for other sets."""
    if kept.facts["set"]["hash"] != new.facts["set"]["hash"]:
        raise ValueError(f"{kept.name} is another set than the one whose scores are kept")
    (model,) = (model for model in new.models if model != NOISY)
    clips = [replace(row, model=label) for row in new.only(kept.metrics).rows(model)]
    models = {**kept.facts["models"], label: {**new.facts["models"][model], "folder": label}}
    facts = {key: value for key, value in kept.facts.items() if key != "made_by"}  # by several commands
    return SetScores(kept.name, kept.metrics, kept.clips + clips, {**facts, "models": models})


def shares_of_patches(run: Path) -> list[float]:
    """Per cent of the patches that a run recorded, by their category."""
    (trends,) = read_runs([run], Sorting(-THRESHOLD, THRESHOLD))
    return (100 * trends.shares()).tolist()


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
