"""By how much each objective pulls: its gradient against that of the student's own loss, at weight 1.

    python benchmarks/objective_balance.py STUDENT RECIPE...

STUDENT is a saved one that was trained alone; the ratio is the median over 16 batches of the recipe's
training set. The weights in the recipes of real/methods are 0.5 over it, to one digit, so that no method is
louder than another. Start it where the recipes are trained.
"""

import statistics
import sys
from pathlib import Path

import torch

from sedistill.common.settings import load_settings
from sedistill.training.build import build_task, build_train_batches
from sedistill.training.gradients import gradient_balance, gradients_of
from sedistill.training.inputs import prepare_run
from sedistill.training.recipe.schema import Recipe

BATCHES = 16
WANTED = 0.5


def ratio(path: str, student: str) -> float:
    """Gradient norm of the objectives over that of the enhancement loss, both at weight 1."""
    recipe = load_settings(Recipe, path, [f"student={student}", "se_weight=1", "kd_weight=1"])
    run = prepare_run(recipe)
    network = run.student.train()
    task = build_task(run, network)
    parameters = list(network.parameters())
    ratios = []
    for batch, _ in zip(build_train_batches(run), range(BATCHES), strict=False):
        losses = task.losses(batch)
        assert losses.se is not None
        assert losses.kd is not None
        se = gradients_of(losses.se, parameters, retain_graph=True)
        kd = gradients_of(losses.kd, parameters)
        ratios.append(float(gradient_balance(se, kd)["gradient/kd_over_se"]))
    return statistics.median(ratios)


def main(student: str, *paths: str) -> None:
    torch.set_num_threads(1)
    print(f"{'recipe':30} {'ratio':>9} {'weight':>9}")
    for path in paths:
        measured = ratio(path, student)
        print(f"{Path(path).stem:30} {measured:9.4g} {WANTED / measured:9.1g}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
