"""The students' training: as many steps as there is time for, counted again where that turns out wrong."""

import math

from sedistill.common.devices import usable_cores
from sedistill.common.paths import as_is
from sedistill.workflows.distilling import stages
from sedistill.workflows.distilling.by_hand import write_commands
from sedistill.workflows.distilling.networks import Networks, in_recipe
from sedistill.workflows.distilling.plan import (
    CHECK,
    EVALUATE,
    FEWEST_STEPS,
    PAGE,
    Task,
    decided_steps,
    students,
    time_for_training,
)
from sedistill.workflows.distilling.recipes import (
    ALONE,
    DISTILLED,
    SEED,
    TEACHER,
    alone_recipe,
    student_recipe,
)
from sedistill.workflows.distilling.result_folder import RECIPES, Decided, ResultFolder
from sedistill.workflows.distilling.watched_trainings import TooSlow
from sedistill.workflows.jobs import Run

MOST_SLOWER = 10.0
MOST_RECOUNTS = 2


def train_students(work: ResultFolder, networks: Networks) -> None:
    """Train them with as many steps as there is time for, counted anew where it became slower."""
    runs = students(work.asked.twin)
    for _ in range(MOST_RECOUNTS):
        try:
            _train(work, runs, write_recipes(work, networks))
            return
        except TooSlow as slow:
            print(f"\nThe training takes {slow.factor:.1f} times as long as was measured, and begins anew.")
            stages.forget_runs(work, runs)
            work.decided = slowed(work.decided, slow.factor)
    write_recipes(work, networks)
    _train(work, runs, math.inf)


def _train(work: ResultFolder, runs: list[str], allowed: float) -> None:
    assert work.decided is not None
    stages.train_runs(work, runs, work.decided.together, work.decided.threads, allowed)


def slowed(decided: Decided | None, factor: float) -> Decided:
    """What was decided, with training steps and validations that take `factor` times as long."""
    assert decided is not None
    speeds = decided.speeds
    slower = {
        name: {run: factor * seconds for run, seconds in getattr(speeds, name).items()}
        for name in ("steps", "validating")
    }
    return decided.model_copy(update={"speeds": speeds.model_copy(update=slower)})


def write_recipes(work: ResultFolder, networks: Networks) -> float:
    """The students' recipes, with as many steps as there is time for; and the commands that use them.

    Returns the seconds that there are for these steps; infinity where the recipes are there already, or where
    there can be no fewer steps.
    """
    if work.place(f"{RECIPES}/{DISTILLED}.yaml").exists():
        return math.inf
    decided, asked = work.decided, work.asked
    assert decided is not None
    task = Task(
        budget=3600 * asked.hours, spent=work.spent_now, recordings=0.0, to_enhance=0.0,
        runs=students(asked.twin), trains_teacher=networks.larger is not None, cores=usable_cores(),
        together=decided.together, sample_rate=networks.sample_rate, free_bytes=0,
    )  # fmt: skip
    slower = slower_than_assumed(work.seconds.get(CHECK, 0.0), decided.planned[CHECK])
    after = slower * (decided.planned[EVALUATE] + decided.planned[PAGE])
    steps = decided_steps(task, decided.speeds, decided.clips["train"], after)
    print(f"{steps:,} steps fit into the time that is left ({decided.steps[DISTILLED]:,} were planned).")
    teacher = in_recipe(networks.teacher or Run(TEACHER, SEED).student)
    student = networks.student if asked.start is None else as_is(str(networks.student))
    noisy = None if asked.noisy is None else as_is(str(asked.noisy))
    recipe = student_recipe(student, teacher, steps, decided.threads, asked.start is not None, noisy)
    write_commands(work, networks)
    if asked.twin:
        stages.write_recipe(work, ALONE, alone_recipe(noisy))
    stages.write_recipe(work, DISTILLED, recipe)
    return math.inf if steps == FEWEST_STEPS else time_for_training(task, after)


def slower_than_assumed(took: float, planned: float) -> float:
    """By how much scoring takes longer here than assumed, from the one that has been done: 1 to 10."""
    return min(max(took / planned, 1.0), MOST_SLOWER)
