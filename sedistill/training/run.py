"""A run from its recipe to a saved student: read, announce, train, measure, save."""

import math
import re
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError

import sedistill
from sedistill.devices import keeping_torch_state
from sedistill.errors import UserError
from sedistill.models.presets import full_settings
from sedistill.models.saving import read_card, save_model
from sedistill.reading import is_taken
from sedistill.report.figures import standing_alone
from sedistill.report.ratios import RatioFigure, ratios_svg
from sedistill.settings import Record, load_settings, read_record
from sedistill.teachers import level_warning, measure_level_factor
from sedistill.training.announcement import announce, word_for
from sedistill.training.assembly import build_loop
from sedistill.training.checkpoints import fitting, load_checkpoint
from sedistill.training.enhancement_losses import loss_text
from sedistill.training.identity import FACTS as IDENTITY
from sedistill.training.identity import hold_to_identity, refuse_another_identity, unchanged_since
from sedistill.training.loop import Loop, Progress
from sedistill.training.preparing import PreparedRun, prepare_run
from sedistill.training.ratio_log import read_ratios
from sedistill.training.recipe import LOSS, Recipe
from sedistill.writing import alone, atomic_path, refuse_foreign_folder, refuse_if_taken
from sedistill.yaml_files import yaml_text

LOCK, COMMAND = ".train.lock", "sedistill train"

# Settings that do not touch the result, so a run may resume with others.
FREE_TO_CHANGE = (
    "logging.",
    "data.workers",
    "data.trust_pairs",
    "hardware.threads",
    "teacher_use.cache_folder",
)
KNOWN_BY_HASH = re.compile(r"data\.(train|valid)|teacher|objectives\.\d+\.teachers\.\d+")
"""Paths of what a run's identity.yaml holds the hashes of."""


class _Config(Record):
    """What config.yaml has to hold."""

    recipe: dict[str, Any]


@keeping_torch_state()
def train(
    recipe_path: Path, overrides: Sequence[str] = (), output: Path | None = None, plan_only: bool = False
) -> Path:
    """Run a recipe and return the folder of the saved student.

    Started again with the same recipe, an interrupted run goes on where it stopped and a finished one is
    left alone. Raises UserError for whatever the user can mend, a second command in one folder among it.
    """
    recipe = load_settings(Recipe, recipe_path, overrides)
    folder = output or Path("runs") / recipe.name / f"seed-{recipe.seed}"
    refuse_foreign_folder(folder, "config.yaml", "identity.csv")
    if is_finished(recipe, folder):
        return folder / "student"
    if plan_only:
        announce(prepare_run(recipe), folder)
        return folder / "student"

    refuse_if_taken(folder / LOCK, COMMAND)
    prepared = prepare_run(recipe)
    refuse_another_identity(recipe, folder)  # before hours go into a teacher's outputs
    announce(prepared, folder)
    loop = build_loop(prepared, folder)  # what cannot work is refused up to here, before anything is written
    with alone(folder / LOCK, COMMAND):
        if not is_finished(recipe, folder):  # another command may have been here meanwhile
            loop.refuse_changed_data = unchanged_since(hold_to_identity(recipe, folder), recipe)
            write_config(recipe, folder)
            progress = loop.run()
            finish(prepared, loop, progress, folder)
    return folder / "student"


def is_finished(recipe: Recipe, folder: Path) -> bool:
    """Whether the run's student is saved, which is said. Raises UserError for another recipe's folder."""
    refuse_another_recipe(recipe, folder)
    finished = is_taken(folder / "student" / "card.yaml")
    if finished:
        read_card(folder / "student")  # refuses what cannot be read
        refuse_another_identity(recipe, folder)
        print(f"{folder} is finished; its student is {folder / 'student'}.")
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
            "teacher_hash": run.teacher.hash if run.teacher else None,
        },
    }
    if (folder / "ratios.csv").exists():
        draw_ratios(recipe, folder)
    save_model(student.cpu(), folder / "student", card)  # last: with it, the run counts as finished
    print(
        f"finished: best {_criterion_text(run, progress)} at step {progress.best_step} of "
        f"{progress.step}, {progress.seconds / 60:.1f} min of training; the {word_for(run)} is "
        f"{folder / 'student'}."
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
    figure = RatioFigure(f"{recipe.name}: the ratio of every clip", *read_ratios(folder / "ratios.csv"))
    try:
        svg = standing_alone(ratios_svg(figure))
    except ImportError:
        print("note: ratios.csv was not drawn; `pip install 'sedistill[report]'` brings what draws.")
        return
    with atomic_path(folder / "ratios.svg") as temporary:
        temporary.write_text(svg, encoding="utf-8")


def refuse_another_recipe(recipe: Recipe, folder: Path) -> None:
    """A run's folder belongs to one recipe; another one in it would make neither reproducible.

    What recipes mean is compared, not how they are spelt: a setting that came with a newer version has its
    default, and paths are free where the run knows its data and teachers by their hashes.
    """
    path = folder / "config.yaml"
    if not is_taken(path):
        return
    written = read_record(_Config, path, "give this run another place with --output")["recipe"]
    differing = [
        key for key in _differences(_meaning(written), _meaning_of(recipe)) if not _is_free(key, folder)
    ]
    if differing:
        raise UserError(
            f"{folder} holds a run with other settings ({', '.join(differing[:4])}); "
            "give this run another place with --output, or another name or seed."
        )


def _meaning(written: Any) -> Any:
    """A recipe as it was written down, with defaults for what it does not say.

    A default that was written out is none that was asked for: some settings exclude others, said or not.
    """
    try:
        return _meaning_of(Recipe.model_validate({k: v for k, v in written.items() if not _is_default(k, v)}))
    except ValidationError:  # of a version whose settings had other names
        return written


def _is_default(key: str, value: Any) -> bool:
    field = Recipe.model_fields.get(key)
    if field is None or field.is_required():
        return False
    default = field.get_default(call_default_factory=True)
    return bool(value == (default.model_dump(mode="json") if isinstance(default, BaseModel) else default))


def _meaning_of(recipe: Recipe) -> Any:
    described = recipe.model_dump(mode="json")
    with suppress(UserError):  # of a saved model there is only its place to compare
        described["student"] = full_settings(recipe.student)
    return described


def _is_free(key: str, folder: Path) -> bool:
    known_by_hash = is_taken(folder / IDENTITY) and KNOWN_BY_HASH.fullmatch(key)
    return key.startswith(FREE_TO_CHANGE) or bool(known_by_hash)


def _differences(a: Any, b: Any, key: str = "") -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        names = sorted(a.keys() | b.keys())
        return [d for n in names for d in _differences(a.get(n), b.get(n), f"{key}.{n}".lstrip("."))]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [d for n, both in enumerate(zip(a, b, strict=True)) for d in _differences(*both, f"{key}.{n}")]
    return [] if a == b else [key]


def write_config(recipe: Recipe, folder: Path) -> None:
    """config.yaml: the whole recipe with every default, and what made the run."""
    if (folder / "config.yaml").exists():
        return
    made_by = {
        "command": shlex.join(["sedistill", *sys.argv[1:]]),
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "sedistill": sedistill.__version__,
        "torch": str(torch.__version__),
    }
    with atomic_path(folder / "config.yaml") as temporary:
        text = yaml_text({"made_by": made_by, "recipe": recipe.model_dump(mode="json")})
        temporary.write_text(text, encoding="utf-8")
