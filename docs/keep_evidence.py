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
from sedistill.evaluation.score_files import SUMMARY, SUMMARY_TEXT, write_scores
from sedistill.evaluation.scores import NOISY, SetScores, load_scores
from sedistill.training.patch_record.record import NAME as RECORD

EVIDENCE = Path(__file__).parent / "results" / "evidence"
SCORES = EVIDENCE / "scores"


def keep(out: Path) -> None:
    """Every student of an output folder that has scores and is not kept yet."""
    for evaluation in sorted((out / "evaluations" / "evidence").glob("*/*/seed-*")):
        name = evaluation.relative_to(out / "evaluations" / "evidence")
        if (EVIDENCE / name).exists():
            continue
        run = out / "runs" / "evidence" / name
        shares = shares_of_patches(run) if (run / RECORD).exists() else None
        kept = load_scores(SCORES)
        for scores in load_scores(evaluation).values():
            if str(name) in kept[scores.name].models:
                continue  # by a call that ended before the student was copied
            write_scores(SCORES / scores.name, joined(kept[scores.name], scores, str(name)))
            for summary in (SUMMARY, SUMMARY_TEXT):  # long, and made again by `sedistill compare`
                (SCORES / scores.name / summary).unlink()
        shutil.copytree(run / "student", EVIDENCE / name)
        if shares is not None:
            add_patches(EVIDENCE / "patches.csv", str(name), shares)
        card = EVIDENCE / name / "card.yaml"  # which names the recipe by the whole path on this machine
        card.write_text(card.read_text("utf-8").replace(f"{out.resolve()}/", ""), encoding="utf-8")
        print(f"kept {name}")


def add_patches(table: Path, student: str, shares: list[float]) -> None:
    """A line of the table of what became of patches, which is begun where there is none."""
    is_new = not table.exists()
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
