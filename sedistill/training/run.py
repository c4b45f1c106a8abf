"""A run from its recipe to a saved student: read, announce, train, measure, save."""

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from torch import nn
from torch.utils.data import DataLoader, Dataset

import sedistill
from sedistill.data.batches import FixedDataset, MixtureDataset, fixed_loader, train_loader
from sedistill.data.corpus import Corpus
from sedistill.data.fixed_sets import FixedSet
from sedistill.devices import choose_device
from sedistill.errors import UserError
from sedistill.models.base import SpeechEnhancer
from sedistill.models.presets import build_model
from sedistill.models.saving import load_model, save_model
from sedistill.settings import load_settings
from sedistill.teachers import Teacher, TeacherOutputs, WithTeacher, level_warning, measure_level_factor
from sedistill.training.announcement import announce
from sedistill.training.checkpoints import load_checkpoint
from sedistill.training.enhancement_losses import ENHANCEMENT_LOSSES
from sedistill.training.loop import Loop, Progress
from sedistill.training.objectives import Objective, build_objective, objective_names
from sedistill.training.recipe import Recipe
from sedistill.training.tasks import Task
from sedistill.writing import atomic_path, named_disk_errors

POLARITY_CLIPS = 16  # the polarity of an untrained network shows in a few clips

# Settings that do not touch the result, so a run may resume with others.
FREE_TO_CHANGE = ("logging.", "data.workers", "hardware.threads")


def train(
    recipe_path: Path, overrides: Sequence[str] = (), output: Path | None = None, plan_only: bool = False
) -> Path:
    """Run a recipe and return the folder of the saved student.

    Started again with the same recipe, an interrupted run goes on where it stopped and a finished one is
    left alone. Raises UserError for whatever the user can mend.
    """
    recipe = load_settings(Recipe, recipe_path, overrides)
    folder = output or Path("runs") / recipe.name / f"seed-{recipe.seed}"
    refuse_another_recipe(recipe, folder)
    if (folder / "student" / "card.yaml").exists():
        print(f"{folder} is finished; its student is {folder / 'student'}.")
        return folder / "student"

    prepared = prepare_run(recipe)
    announce(recipe, prepared, folder)
    if plan_only:
        return folder / "student"

    write_config(recipe, folder)
    if recipe.upright and not is_saved_model(recipe.student):
        turn_upright(prepared)
    loop = build_loop(recipe, prepared, folder)
    progress = loop.run()
    return finish(recipe, prepared, loop, progress, folder)


@dataclass
class PreparedRun:
    """What a recipe names, opened and checked."""

    student: SpeechEnhancer
    teacher: Teacher | None
    objectives: dict[str, tuple[float, Objective]]
    train_data: Dataset
    train_kind: str
    clip_seconds: float
    valid_set: FixedSet
    data_hash: str
    train_set: FixedSet | None
    device: torch.device


def prepare_run(recipe: Recipe) -> PreparedRun:
    """Open data, build the student (initial weights decided by the seed alone) and load the teacher."""
    if recipe.hardware.threads:
        torch.set_num_threads(recipe.hardware.threads)
    device = choose_device(recipe.hardware.device)
    torch.manual_seed(recipe.seed)
    student = build_student(recipe.student)
    sample_rate = student.sample_rate
    objectives = build_objectives(recipe)
    teacher = None
    if any(objective.needs_teacher for _, objective in objectives.values()):
        if recipe.teacher is None:
            raise UserError(
                f"{recipe.name}: an objective needs a teacher but `teacher` is missing; name a saved model."
            )
        teacher = Teacher(recipe.teacher, sample_rate, recipe.teacher_use.correct_level)
    train_data, kind, clip_seconds, data_hash, train_set = open_training_data(recipe, sample_rate)
    valid_set = open_fixed_set(recipe.data.valid, sample_rate, "data.valid")
    return PreparedRun(
        student, teacher, objectives, train_data, kind, clip_seconds, valid_set, data_hash, train_set, device
    )


def build_objectives(recipe: Recipe) -> dict[str, tuple[float, Objective]]:
    """The objectives in force, by name, with their weights."""
    if not recipe.distils:
        return {}
    names = objective_names(recipe.objectives)
    return {
        name: (settings.weight, build_objective(settings))
        for name, settings in zip(names, recipe.objectives, strict=True)
        if settings.weight > 0
    }


def build_student(student: str | dict[str, Any]) -> SpeechEnhancer:
    """A new network from a preset or settings, or a saved model to go on from."""
    return load_model(str(student)) if is_saved_model(student) else build_model(student)


def is_saved_model(student: str | dict[str, Any]) -> bool:
    return isinstance(student, str) and (Path(student) / "card.yaml").exists()


def turn_upright(run: PreparedRun) -> None:
    """Invert a new student whose output leans against the clean speech of the first validation clips."""
    student = run.student.to(run.device).eval()
    level = measure_level_factor(student, run.valid_set, str(run.device), clips=POLARITY_CLIPS)
    if level.factor < 0:
        student.invert()
        print("the new student's output was inverted; turned upright.")


def open_training_data(recipe: Recipe, sample_rate: int) -> tuple[Dataset, str, float, str, FixedSet | None]:
    """Mixtures on the fly from a prepared corpus, or a fixed set: told apart by what the folder holds."""
    path, data = recipe.data.train, recipe.data
    if (path / "corpus.yaml").exists():
        corpus = Corpus.load(path)
        refuse_other_rate(path, corpus.sample_rate, sample_rate, "data.train")
        dataset = MixtureDataset(corpus, "train", data.mixing, recipe.seed, length=data.epoch_mixtures)
        refuse_too_few(len(dataset), recipe, path)
        return dataset, "mixtures made on the fly", data.mixing.clip_seconds or 0.0, corpus.hash, None
    fixed = open_fixed_set(path, sample_rate, "data.train")
    refuse_too_few(len(fixed), recipe, path)
    seconds = float(fixed.lengths.mean()) / sample_rate
    return FixedDataset(fixed), "a fixed set", seconds, fixed.hash, fixed


def open_fixed_set(path: Path, sample_rate: int, key: str) -> FixedSet:
    """The set at `path`, at the student's rate. Raises UserError."""
    if not path.exists():
        raise UserError(f"{key}: {path} does not exist; make it with `sedistill prepare` or `sedistill mix`.")
    if (path / "corpus.yaml").exists():
        raise UserError(
            f"{key}: {path} is a corpus; a fixed set is needed here: make one with `sedistill mix`."
        )
    fixed = FixedSet(path)
    refuse_other_rate(path, fixed.sample_rate, sample_rate, key)
    return fixed


def refuse_other_rate(path: Path, rate: int, wanted: int, key: str) -> None:
    if rate != wanted:
        raise UserError(
            f"{key}: {path} has {rate} Hz but the student works at {wanted} Hz; "
            f"prepare the data with --sample-rate {wanted}."
        )


def refuse_too_few(clips: int, recipe: Recipe, path: Path) -> None:
    if clips < recipe.optimiser.batch_size:
        raise UserError(
            f"data.train: {path} gives {clips} clips an epoch, fewer than one batch of "
            f"{recipe.optimiser.batch_size}; lower optimiser.batch_size or add data."
        )


def build_loop(recipe: Recipe, run: PreparedRun, folder: Path) -> Loop:
    """Everything connected, ready to run."""
    student = run.student.to(run.device)
    optimiser = torch.optim.Adam(student.parameters(), lr=recipe.optimiser.learning_rate, fused=True)
    valid = FixedDataset(run.valid_set)
    return Loop(
        task=build_task(recipe, run, student),
        optimiser=optimiser,
        train_batches=build_train_batches(recipe, run),
        valid_batches=fixed_loader(valid, recipe.optimiser.batch_size, workers=0),
        settings=recipe.optimiser,
        logging=recipe.logging,
        folder=folder,
        device=run.device,
        autocast=recipe.hardware.precision == "bf16-mixed",
        compiled_student=cast(nn.Module, torch.compile(student)) if recipe.hardware.compile else None,
    )


def build_task(recipe: Recipe, run: PreparedRun, student: SpeechEnhancer) -> Task:
    if run.teacher is not None:
        run.teacher.network.to(run.device)
    return Task(
        student=student,
        se_loss=ENHANCEMENT_LOSSES[student.se_loss],
        se_weight=recipe.se_weight,
        objectives=run.objectives,
        kd_weight=recipe.kd_weight,
        teacher=run.teacher,
        kd_level_db=recipe.kd_level_db,
    )


def build_train_batches(recipe: Recipe, run: PreparedRun) -> DataLoader:
    """The training batches; with a fixed set and a teacher they bring its cached outputs along."""
    dataset: Dataset = run.train_data
    if run.teacher is not None and run.train_set is not None and recipe.teacher_use.cache == "auto":
        place = recipe.teacher_use.cache_folder or run.train_set.folder / "teacher-outputs"
        outputs = TeacherOutputs(place, run.train_set, run.teacher).open(str(run.device))
        dataset = WithTeacher(FixedDataset(run.train_set), outputs, run.teacher.factor)
    return train_loader(dataset, recipe.optimiser.batch_size, recipe.seed, recipe.data.workers)


def finish(recipe: Recipe, run: PreparedRun, loop: Loop, progress: Progress, folder: Path) -> Path:
    """Take the best weights, measure the factor onto clean, and save the student with its card."""
    student = run.student
    student.load_state_dict(load_checkpoint(loop.best_path)["student"])
    student.eval()
    level = measure_level_factor(student, run.valid_set, str(run.device))
    warning = level_warning(level.factor)
    if warning:
        print(f"note: {warning}")
    card = {
        "output_gain": round(level.factor, 6),
        "licences": recipe.licences.model_dump(),
        "metrics": {
            "validation_loss": round(progress.best_loss, 4),
            "output_gain_5_to_95_percent": [round(level.low, 4), round(level.high, 4)],
        },
        "training": {
            "recipe": recipe.name,
            "seed": recipe.seed,
            "best_step": progress.best_step,
            "steps": progress.step,
            "minutes": round(progress.seconds / 60, 2),
            "data_hash": run.data_hash,
            "teacher_hash": run.teacher.hash if run.teacher else None,
        },
    }
    save_model(student.cpu(), folder / "student", card)
    print(
        f"finished: best validation loss {progress.best_loss:.3f} at step {progress.best_step} of "
        f"{progress.step}, {progress.seconds / 60:.1f} min of training; the student is {folder / 'student'}."
    )
    return folder / "student"


def refuse_another_recipe(recipe: Recipe, folder: Path) -> None:
    """A run's folder belongs to one recipe; another one in it would make neither reproducible."""
    path = folder / "config.yaml"
    if not path.exists():
        return
    written = yaml.safe_load(path.read_text(encoding="utf-8"))["recipe"]
    differing = [
        key
        for key in _differences(written, recipe.model_dump(mode="json"))
        if not key.startswith(FREE_TO_CHANGE)
    ]
    if differing:
        raise UserError(
            f"{folder} holds a run with other settings ({', '.join(differing[:4])}); "
            "give this run another place with --output, or another name or seed."
        )


def _differences(a: Any, b: Any, key: str = "") -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        names = sorted(a.keys() | b.keys())
        return [d for n in names for d in _differences(a.get(n), b.get(n), f"{key}.{n}".lstrip("."))]
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
    with named_disk_errors(folder), atomic_path(folder / "config.yaml") as temporary:
        text = yaml.safe_dump({"made_by": made_by, "recipe": recipe.model_dump(mode="json")}, sort_keys=False)
        temporary.write_text(text, encoding="utf-8")
