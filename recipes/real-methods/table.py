"""The table of the short runs of every method, from runs and evaluations, as Markdown.

    python recipes/real-methods/table.py runs/real-methods evaluations

`runs/real-methods` holds NAME/seed-N as `sedistill train` left them, `evaluations` FAMILY/seed-N as
`sedistill evaluate` did, FAMILY being conv-tasnet, manner or wave-u-net.
"""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from sedistill.evaluation.scores import NOISY, SetScores, load_scores
from sedistill.models.saving import read_card
from sedistill.training.run_folder.logs import read_metrics

METRICS = {"pesq_wb": 3, "stoi": 4, "si_sdr": 2}  # digits shown
Seeds = dict[int, dict[str, SetScores]]


def main(runs: Path, evaluations: Path) -> None:
    for family in ("conv-tasnet", "manner", "wave-u-net"):
        seeds = {
            int(p.name.removeprefix("seed-")): load_scores(p) for p in (evaluations / family).glob("seed-*")
        }
        if seeds:
            print(f"\n**{family}**, seeds {', '.join(str(seed) for seed in sorted(seeds))}\n")
            print(family_table(runs, seeds))


def family_table(runs: Path, seeds: Seeds) -> str:
    """One line a system: noisy, teacher, students; scores of every set, seconds a step, memory."""
    first = seeds[min(seeds)]
    names = {model: student_name(facts) for model, facts in systems(first).items()}
    head = ["", *(f"{metric} ({name})" for name in first for metric in METRICS), "s a step", "MB"]
    rows = [
        [
            name,
            *(mean(seeds, place, metric, name) for place in first for metric in METRICS),
            *costs(runs, name, seeds),
        ]
        for name in ["noisy", *names.values()]
    ]
    return table(head, rows)


def systems(sets: dict[str, SetScores]) -> dict[str, dict]:
    return next(iter(sets.values())).facts["models"]


def student_name(facts: dict) -> str:
    """ "teacher", or the recipe's last name."""
    name = Path(facts["folder"]).parts[-3]
    return "teacher" if "teacher" in name or name == "wave-u-net" else name


def mean(seeds: Seeds, place: str, metric: str, name: str) -> str:
    """Mean over seeds of the mean over clips, with the deviation over seeds from two on."""
    values = []
    for sets in seeds.values():
        labels = [label for label, facts in systems(sets).items() if student_name(facts) == name]
        label = NOISY if name == "noisy" else labels[0]
        values.append(sets[place].statistic(label, metric).mean)
    digits = METRICS[metric]
    spread = (
        f" ± {statistics.stdev(values):.{digits}f}"
        if len(values) > 1 and name not in ("noisy", "teacher")
        else ""
    )
    return f"{statistics.mean(values):.{digits}f}{spread}"


def costs(runs: Path, name: str, seeds: Seeds) -> list[str]:
    """Seconds a step, the least over seeds (the machine was shared), and the peak memory in MB."""
    folders = [runs / name / f"seed-{seed}" for seed in seeds]
    if not all((folder / "student").exists() for folder in folders):
        return ["", ""]
    training = [read_card(folder / "student")["training"] for folder in folders]
    seconds = min(60 * one["minutes"] / one["steps"] for one in training)
    memory = [value for folder in folders for _, value in read_metrics(folder).get("memory_mb", [])]
    return [f"{seconds:.2f}", f"{max(memory):.0f}" if memory else ""]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:3]))
