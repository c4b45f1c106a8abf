"""What a teacher can give to a student, from a sample of clips; and a recipe that begins with that."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sedistill.common.errors import UserError
from sedistill.common.paths import as_is
from sedistill.common.reading import is_taken, require_folder, require_utf8, shown
from sedistill.common.settings import check_settings
from sedistill.common.wording import listed
from sedistill.common.writing import refuse_existing, write_whole
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.pair_alignment import PREPARED_TRUSTED, SOME, check_some
from sedistill.data.set_notes import notes_on
from sedistill.distill.bin_losses import ComplexL2, MagnitudeL2
from sedistill.evaluation.metrics import METRICS
from sedistill.models.complexity import parameters
from sedistill.teachers.foreign import InStep
from sedistill.teachers.opening import open_teacher
from sedistill.teachers.source import TeacherSource
from sedistill.teachers.teacher_settings import TeacherFrom
from sedistill.training.inputs import build_student, is_saved_model
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run_summary import teacher_lines
from sedistill.training.training_data import refuse_other_rate
from sedistill.workflows.advising.choosing import POWER, Choice, choose
from sedistill.workflows.advising.nearness import Nearness, nearness_of
from sedistill.workflows.advising.pull import measure_pull
from sedistill.workflows.advising.report_text import advice_json, advice_text, recipe_text
from sedistill.workflows.advising.sample import scores_of, take_sample, with_measures
from sedistill.workflows.distilling.networks import in_recipe, student_named, teacher_named

CLIPS = 24
FINE_TUNING_RATE = 2e-4
"""Of a student that has learnt before: a fifth of what a new one gets."""


@dataclass(frozen=True)
class Advice:
    """What was found, and what one would begin with.

    Attributes:
        teacher: lines about it, (name, text): rate, delay, level, sign, bandwidth.
        student: its name and size in words.
        scores: means over the sample, by signal ("noisy", "student", "teacher") and metric.
        nearness: where the teacher is nearer to the clean speech than the noisy input, and than the student.
        choice: objective, gate, keep and weight with their reasons.
        recipe: what `sedistill train` takes, as plain data.
    """

    teacher: list[tuple[str, str]]
    student: str
    scores: dict[str, dict[str, float]]
    nearness: Nearness
    choice: Choice
    recipe: dict[str, Any]
    notes: list[str]

    def text(self) -> str:
        """For people, at 80 columns."""
        return advice_text(self)

    def json(self) -> str:
        """For programs."""
        return json.dumps(advice_json(self), indent=2, ensure_ascii=False)


def advise(
    teacher: Path | str | Mapping[str, Any],
    student: str | Mapping[str, Any],
    on: Path | str,
    *,
    train: Path | str | None = None,
    clips: int = CLIPS,
    output: Path | str | None = None,
    overwrite: bool = False,
) -> Advice:
    """Run a teacher, and a student that has learnt, on clips of a set; say which is better where.

    Args:
        teacher: whatever `open_teacher` takes.
        student: a preset's name or {"class": ...} for one that has learnt nothing yet, a saved model, or
            `ready-made:NAME`.
        on: a folder of pairs; the recipe validates on it.
        train: the set or corpus that the recipe learns from; None: the set `train` beside `on`, or else `on`.
        clips: of the set, taken evenly.
        output: a file for the recipe.

    Raises UserError for what cannot be read, for networks at another rate than the set, and for a teacher
    that cannot teach.
    """
    if output is not None:
        refuse_existing(Path(output), overwrite)
        for place in (teacher, student, on, train):
            if isinstance(place, Path | str):
                require_utf8(place, "a recipe")
    if clips < 1:
        raise UserError(f"clips = {clips}: it must be at least 1.")
    named = teacher_named(teacher)
    described = student_named(student) if isinstance(student, str) else dict(student)
    trained = is_saved_model(described)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_student(described)
    pairs = FixedSet(on)
    refuse_other_rate(pairs.folder, pairs.sample_rate, network.sample_rate, "--on")
    opened = open_teacher(named, pairs.sample_rate)
    check_some(pairs, way_on=PREPARED_TRUSTED)
    source = with_measures(opened, named, pairs)
    sample = take_sample(source, network if trained else None, pairs.evenly(clips))
    found = {
        kind: nearness_of(sample, kind(POWER), pairs.sample_rate, source.bandwidth)
        for kind in (ComplexL2, MagnitudeL2)
    }
    choice = choose(
        found[ComplexL2],
        found[MagnitudeL2],
        lambda objective: measure_pull(copy.deepcopy(network), trained, objective, sample, source.bandwidth),
    )
    learnt_from, note = _training_data(pairs, named, train)
    scores = scores_of(sample, pairs.sample_rate)
    told = Advice(
        teacher=teacher_facts(source),
        student=f"{_name_of(described)}, {parameters(network):,} parameters, "
        + ("as it is now" if trained else "which has learnt nothing yet"),
        scores=scores,
        nearness=found[MagnitudeL2 if choice.objective["loss"] == "l2" else ComplexL2],
        choice=choice,
        recipe=_recipe(described, trained, named, learnt_from, pairs, choice),
        notes=[one for one in (choice.warning, _below_noisy(scores), note, *notes_on(pairs, SOME)) if one],
    )
    check_settings(Recipe, told.recipe, "the advised recipe")
    if output is not None:
        write_whole(Path(output), recipe_text(told))
    return told


def teacher_facts(source: TeacherSource) -> list[tuple[str, str]]:
    """What was measured of it."""
    assert source.measured is not None
    sign = "as the clean speech" if source.measured.level.factor > 0 else "inverted; turned over"
    measured = {name.strip(): text for name, text in teacher_lines("teacher", source, "")[1:]}
    if not isinstance(source.teacher, InStep):
        measured["delay"] = "none: a saved model makes up for its own"
    return [("teacher", shown(source.name)), *measured.items(), ("sign", sign)]


def _below_noisy(scores: Mapping[str, Mapping[str, float]]) -> str:
    noisy, teacher = scores["noisy"], scores["teacher"]
    below = [METRICS[name].label for name in teacher if teacher[name] < noisy[name]]
    if not below:
        return ""
    return f"By {listed(below)} the teacher is below the noisy input: a student learns that, too."


def _name_of(student: str | dict[str, Any]) -> str:
    return shown(student if isinstance(student, str) else student.get("class") or student.get("preset", ""))


def _training_data(pairs: FixedSet, teacher: str | TeacherFrom, train: Path | str | None) -> tuple[Path, str]:
    """Where the recipe learns from, and what is to be said of that."""
    if train is not None:
        require_folder(Path(train), "give a set or a corpus")
        return Path(train), ""
    beside = pairs.folder.absolute().parent / "train"
    knows_these_alone = isinstance(teacher, TeacherFrom) and teacher.kind == "folder"
    if (beside / "noisy").is_dir() and beside != pairs.folder.absolute() and not knows_these_alone:
        return beside, ""
    return pairs.folder, (
        f"The recipe learns from {shown(pairs.folder)} and validates on it too; name what it shall learn "
        "from with --train."
    )


def _recipe(
    student: str | dict[str, Any],
    trained: bool,
    teacher: str | TeacherFrom,
    train: Path,
    pairs: FixedSet,
    choice: Choice,
) -> dict[str, Any]:
    """What differs from the defaults; steps, batches and the like follow from the size of the data."""
    if isinstance(student, str) and is_taken(Path(student)):
        student = as_is(Path(student).absolute())
    return {
        "name": "advised",
        "student": student,
        "teacher": in_recipe(teacher if isinstance(teacher, TeacherFrom) else Path(teacher)),
        "data": {"train": as_is(train.absolute()), "valid": as_is(pairs.folder.absolute())},
        "kd_level_db": None,
        "objectives": [choice.objective],
        **({"optimiser": {"learning_rate": FINE_TUNING_RATE}} if trained else {}),
    }
