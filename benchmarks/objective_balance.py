"""By how much each objective pulls: its gradient against that of the student's own loss, at weight 1.

    python benchmarks/objective_balance.py STUDENT RECIPE...

STUDENT is the folder of one that was trained alone (a name would mean fresh weights); the ratio is the median
over 16 batches of the recipe's training set. The weights in the recipes of real/methods are 0.5 over it, to
one digit, so that no method is louder than another. Start it where the recipes are trained.
"""

import sys
from itertools import islice
from pathlib import Path

import torch

from sedistill.common.reading import require_folder
from sedistill.common.settings import load_settings
from sedistill.training.build import build_task, build_train_batches
from sedistill.training.inputs import prepare_run
from sedistill.training.recipe.schema import Recipe
from sedistill.workflows.advising.pull import pull_of

BATCHES = 16
WANTED = 0.5


def ratio(path: str, student: str) -> float:
    """Gradient norm of the objectives over that of the enhancement loss, both at weight 1."""
    recipe = load_settings(Recipe, path, [f"student={student}", "se_weight=1", "kd_weight=1"])
    run = prepare_run(recipe)
    network = run.student.train()
    task = build_task(run, network)
    return pull_of(task, list(network.parameters()), islice(build_train_batches(run), BATCHES)).ratio


def main(student: str, *paths: str) -> None:
    torch.set_num_threads(1)
    require_folder(student, "give the folder of a saved student")
    print(f"{'recipe':30} {'ratio':>9} {'weight':>9}")
    for path in paths:
        measured = ratio(path, student)
        print(f"{Path(path).stem:30} {measured:9.4g} {WANTED / measured:9.1g}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
