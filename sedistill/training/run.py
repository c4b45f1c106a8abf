"""A run from its recipe to a saved student: read, announce, train, measure, save."""

import math
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path

from sedistill.common import ranks
from sedistill.common.agreement import program_facts, refuse_differing
from sedistill.common.argument_checks import check_list
from sedistill.common.devices import keeping_torch_state
from sedistill.common.errors import UserError
from sedistill.common.reading import is_taken, shown
from sedistill.common.report.figures import standing_alone
from sedistill.common.report.ratios import RatioFigure, ratios_svg
from sedistill.common.settings import load_settings
from sedistill.common.torchrun import joined, starts_processes
from sedistill.common.writing import exclusive_lock, refuse_foreign_folder, refuse_if_taken, write_whole
from sedistill.data.fixed_sets import FixedSet
from sedistill.models.saving import CARD, read_card, save_model
from sedistill.teachers.level_factor import level_warning, measure_level_factor
from sedistill.teachers.source import TeacherSource
from sedistill.training.build import build_loop
from sedistill.training.enhancement_losses import loss_text
from sedistill.training.inputs import PreparedRun, prepare_run
from sedistill.training.kdrl.ratio_log import RATIOS, read_ratios
from sedistill.training.loop import Loop
from sedistill.training.processes.alike import run_facts
from sedistill.training.processes.started import train_in_processes
from sedistill.training.recipe.optimiser_settings import LOSS
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run_folder.checkpoints import fitting, load_checkpoint
from sedistill.training.run_folder.config import CONFIG, as_begun, make_longer, makes_longer, write_config
from sedistill.training.run_folder.identity import (
    FILES,
    hold_to_identity,
    refuse_another_identity,
    unchanged_since,
)
from sedistill.training.run_folder.run_state import Progress
from sedistill.training.run_summary import print_summary, word_for
from sedistill.training.steps import PlainStep
from sedistill.training.tasks import Task
from sedistill.training.teaching.chosen_teachers import NAME as CHOSEN
from sedistill.training.teaching.chosen_teachers import chosen_text, count_chosen, write_chosen
from sedistill.training.teaching.own_teachers import teacher_facts
from sedistill.training.teaching.weak_teacher import weak_teacher_warning

LOCK, COMMAND = ".train.lock", "sedistill train"


@keeping_torch_state()
def train(
    recipe_path: Path | str,
    overrides: Sequence[str] = (),
    output: Path | str | None = None,
    plan_only: bool = False,
) -> Path:
    """Run a recipe and return the folder of the saved student.

    Of several processes, which torchrun or `hardware.devices` starts, each takes its share of every batch,
    and the first writes. Where the latter fail, they have told why, and this raises SystemExit.
    Started again with the same recipe, an interrupted run goes on where it stopped and a finished one is
    left alone; one with a plateau goes on when it is given more steps. Raises UserError for
    whatever the user can mend, a second command in one folder among it.
    """
    check_list("overrides", overrides)
    with joined():
        recipe = load_settings(Recipe, recipe_path, overrides)
        folder = Path(output or Path("runs") / recipe.name / f"seed-{recipe.seed}")
        if not starts_processes(recipe.hardware.devices):
            return _train(recipe, folder, plan_only)
    words = [str(recipe_path), *overrides, "--output", str(folder), *(["--plan"] if plan_only else [])]
    train_in_processes(recipe.hardware.devices, recipe.hardware.device, words)
    return folder / "student"


def _train(recipe: Recipe, folder: Path, plan_only: bool) -> Path:
    refuse_foreign_folder(folder, CONFIG, FILES)
    recipe = as_begun(recipe, folder)
    refuse_differing({"recipe": recipe.model_dump(mode="json"), **program_facts()})
    if ranks.from_first(lambda: is_finished(recipe, folder)):
        return folder / "student"
    if plan_only:
        print_summary(prepare_run(recipe), folder)
        return folder / "student"

    ranks.from_first(lambda: refuse_if_taken(folder / LOCK, COMMAND))
    prepared = prepare_run(recipe)
    refuse_differing(run_facts(prepared))
    ranks.from_first(lambda: announce(prepared, folder))
    loop = build_loop(prepared, folder)  # what cannot work is refused up to here, before anything is written
    with exclusive_lock(folder / LOCK, COMMAND) if ranks.is_first() else nullcontext():
        if ranks.from_first(lambda: begin(prepared, loop, folder)):
            progress = loop.run()
            ranks.from_first(lambda: finish(prepared, loop, progress, folder))
    return folder / "student"


def announce(run: PreparedRun, folder: Path) -> None:
    """Say what will happen. Raises UserError where the run in the folder is of other data or teachers."""
    refuse_another_identity(run.recipe, folder)  # before hours go into a teacher's outputs
    print_summary(run, folder)
    warn_of_weak_teacher(run)


def begin(run: PreparedRun, loop: Loop, folder: Path) -> bool:
    """Write down what is trained with what; False where another command has finished the run meanwhile."""
    recipe = run.recipe
    if is_finished(recipe, folder):
        return False
    identity = hold_to_identity(recipe, folder)
    loop.refuse_changed_data = unchanged_since(identity, recipe)
    if makes_longer(recipe, folder):
        make_longer(recipe, folder)
    write_config(recipe, folder, identity.hashes)
    if isinstance(loop.step, PlainStep):
        tell_chosen_teachers(run, loop.step.task, folder)
    return True


def tell_chosen_teachers(run: PreparedRun, task: Task, folder: Path) -> None:
    """Measure, once, which of several teachers is nearest to the clean speech; print and keep it."""
    if run.several is None or run.several.rule != "best" or is_taken(folder / CHOSEN):
        return
    rows = count_chosen(task, run.own_teachers, clips_known_to(run, run.own_teachers.values()), run.device)
    for line in chosen_text(rows):
        print(line, flush=True)
    write_chosen(folder, rows)


def clips_known_to(run: PreparedRun, teachers: Iterable[TeacherSource]) -> FixedSet:
    """The validation set; where one of these teachers knows nothing but the training set, that."""
    live = all(teacher.answers_live for teacher in teachers)
    return run.valid_set if live else run.data.fixed_set or run.valid_set


def warn_of_weak_teacher(run: PreparedRun) -> None:
    """Print a warning where one of the run's own teachers is worse than the noisy input."""
    for teacher in run.own_teachers.values():
        if warning := weak_teacher_warning(teacher, clips_known_to(run, [teacher]), run.device):
            print(f"Warning: {warning}", flush=True)


def is_finished(recipe: Recipe, folder: Path) -> bool:
    """Whether the run's student is saved, which is said. Raises UserError for another recipe's folder."""
    if makes_longer(recipe, folder):
        return False
    finished = is_taken(folder / "student" / CARD)
    if finished:
        read_card(folder / "student")  # refuses what cannot be read
        refuse_another_identity(recipe, folder)
        print(f"{shown(folder)} is finished; its student is {shown(folder / 'student')}.")
    return finished


def finish(run: PreparedRun, loop: Loop, progress: Progress, folder: Path) -> None:
    """Take the best weights, measure the factor onto clean, and save the student with its card."""
    recipe, student = run.recipe, run.student
    if not math.isfinite(progress.best_loss):
        by = recipe.optimiser.best_by
        why = "none of its validation losses was finite"
        if by != LOSS:
            why = f"no epoch had a finite validation loss and {by}"
        raise UserError(
            f"{folder} has no student: {why}; train it again under another name with a lower "
            "optimiser.learning_rate."
        )
    best = load_checkpoint(loop.best_path)
    with fitting(loop.best_path):
        student.load_state_dict(best["student"])
    student.eval()
    level = measure_level_factor(student, run.valid_set, str(run.device))
    warning = level_warning(level.factor)
    if warning:
        print(f"note: {warning}")
    card = {
        "output_gain": float(f"{level.factor:.6g}"),
        "licences": recipe.licences.model_dump(),
        "metrics": {
            "validation_loss": float(f"{progress.best_loss:.6g}"),
            **_validation_metric(recipe, progress),
            "output_gain_5_to_95_percent": [round(level.low, 4), round(level.high, 4)],
        },
        "training": {
            "recipe": recipe.name,
            "seed": recipe.seed,
            "loss": run.se_loss_name,
            "best_step": progress.best_step,
            "steps": progress.step,
            "minutes": round(progress.seconds / 60, 2),
            "data_hash": run.data.hash,
            **teacher_facts(run.several, run.own_teachers),
        },
    }
    if (folder / RATIOS).exists():
        draw_ratios(recipe, folder)
    save_model(student.cpu(), folder / "student", card)  # last: with it, the run counts as finished
    print(
        f"finished: best {_criterion_text(run, progress)} at step {progress.best_step} of "
        f"{progress.step}, {progress.seconds / 60:.1f} min of training; the {word_for(run)} is "
        f"{shown(folder / 'student')}."
    )


def _validation_metric(recipe: Recipe, progress: Progress) -> dict[str, float]:
    """What decided which weights are the best, where it was not the loss; for the card."""
    if progress.best_metric is None:
        return {}
    return {f"validation_{recipe.optimiser.best_by}": float(f"{progress.best_metric:.6g}")}


def _criterion_text(run: PreparedRun, progress: Progress) -> str:
    if progress.best_metric is None:
        return f"validation loss {loss_text(run.se_loss_name, progress.best_loss)}"
    return f"validation {run.recipe.optimiser.best_by} {progress.best_metric:#.4g}"


def draw_ratios(recipe: Recipe, folder: Path) -> None:
    """KDRL's ratios over training as a figure, where the extra that draws is installed."""
    figure = RatioFigure(f"{recipe.name}: the ratio of every clip", *read_ratios(folder / RATIOS))
    try:
        svg = standing_alone(ratios_svg(figure))
    except ImportError:
        print(f"note: {RATIOS} was not drawn; `pip install 'sedistill[report]'` brings what draws.")
        return
    write_whole(folder / "ratios.svg", svg)
