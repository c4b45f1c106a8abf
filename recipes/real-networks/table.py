"""The table of the short runs of every network, from runs and their evaluation, as Markdown.

python recipes/real-networks/table.py evaluations/networks
"""

import sys
from pathlib import Path

from sedistill.evaluation.scores import NOISY, load_scores
from sedistill.models.complexity import macs_per_second, parameters
from sedistill.models.saving import load_model
from sedistill.training.run_folder.logs import read_metrics

METRICS = {"pesq_wb": 3, "stoi": 4, "si_sdr": 2}  # digits shown


def main(evaluation: Path) -> None:
    sets = load_scores(evaluation)
    labels = next(iter(sets.values())).facts["models"]
    head = [
        "",
        "parameters",
        "M MAC/s",
        "validation loss, first and best epoch",
        *(f"{m} ({s})" for s in sets for m in METRICS),
        "s a step",
    ]
    print(
        line(head), line(["---"] * len(head)), line(["noisy", "", "", "", *scores(sets, NOISY), ""]), sep="\n"
    )
    for label, facts in labels.items():
        print(line(network_row(facts, scores(sets, label))))


def network_row(facts: dict, values: list[str]) -> list[str]:
    folder = Path(facts["folder"])
    network = load_model(folder)
    training = network.card["training"]
    losses = [loss for _, loss in read_metrics(folder.parent)["valid/se"]]
    return [
        folder.parts[-3], f"{parameters(network):,}", f"{macs_per_second(network) / 1e6:,.0f}",
        f"{losses[0]:.3g}, {min(losses):.3g}", *values, f"{60 * training['minutes'] / training['steps']:.2f}",
    ]  # fmt: skip


def scores(sets: dict, label: str) -> list[str]:
    return [
        f"{one.statistic(label, m).mean:.{digits}f}" for one in sets.values() for m, digits in METRICS.items()
    ]


def line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
