"""The teacher that a recipe names, or several: measured, and what they say together."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from sedistill.common.errors import UserError
from sedistill.common.integrity import facts_checksum
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.set_files import TEACHER_OUTPUTS
from sedistill.distill.several import Several
from sedistill.teachers.opening import measure_on, settings_of
from sedistill.teachers.source import TeacherSource
from sedistill.training.recipe.schema import Recipe
from sedistill.training.training_data import TrainingData


def measured_teacher(
    recipe: Recipe, spec: Any, teacher: TeacherSource, data: TrainingData, valid_set: FixedSet
) -> TeacherSource:
    """A teacher from elsewhere with its delay, level and bandwidth; a saved model as it is.

    They are measured on the validation set, or, where it knows nothing but the training set, on that.
    """
    settings = settings_of(spec)
    if settings is None:
        return teacher
    use, on = recipe.teacher_use, valid_set
    if not teacher.answers_live:
        if not data.epochs or use.cache == "never":
            raise UserError(
                f"{recipe.name}: the teacher {teacher.name} is for clips that come again, so that its "
                "outputs are kept; mix a set with `sedistill mix`, or set data.repeat_epochs, and leave out "
                "teacher_use.cache."
            )
        if data.fixed_set is None and not teacher.hears_any_sound:
            raise UserError(
                f"{recipe.name}: the teacher {teacher.name} knows the files of a fixed training set alone, "
                "not mixtures and crops; leave out data.crop_seconds, or choose another teacher."
            )
        on = data.fixed_set or valid_set
    place = use.cache_folder or on.folder / TEACHER_OUTPUTS
    return measure_on(teacher, settings, on, use.correct_level, place)


def several_of(recipe: Recipe, sample_rate: int) -> Several | None:
    """What a recipe's several teachers say together; None where it names one, or none. Raises UserError."""
    if not recipe.teachers:
        return None
    try:
        return Several(recipe.several, tuple(recipe.several_edges_hz), sample_rate)
    except UserError as fault:
        raise UserError(f"{recipe.name}: several_edges_hz: {fault}") from None


def bandwidth(several: Several | None, teachers: Mapping[str, TeacherSource]) -> float:
    """Of half the data's rate, the share that the teachers can know together.

    The best reaches as far as any, the mean no further than all, bands as far as the teacher of the highest.
    Raises UserError where one of a lower band does not reach to its end.
    """
    shares = [teacher.bandwidth for teacher in teachers.values()]
    if several is None or several.rule == "best":
        return max(shares, default=1.0)
    if several.rule == "mean":
        return min(shares, default=1.0)
    nyquist = several.sample_rate / 2
    for teacher, edge in zip(teachers.values(), several.edges_hz, strict=False):
        reach = teacher.bandwidth * nyquist
        if reach < edge:
            raise UserError(
                f"the teacher {teacher.name} knows nothing above {reach:.0f} Hz, but its band goes to "
                f"{edge:g} Hz; lower that edge, or name another teacher."
            )
    return shares[-1] if shares else 1.0


def teacher_facts(several: Several | None, teachers: Mapping[str, TeacherSource]) -> dict[str, Any]:
    """What a student's card says of who taught it."""
    if several is not None:
        facts = {name: {"hash": one.hash, **one.facts()} for name, one in teachers.items()}
        together = {"several": several.rule, "several_edges_hz": list(several.edges_hz)}
        return {"teacher_hash": facts_checksum({**facts, **together}), **facts, **together}
    teacher = next(iter(teachers.values()), None)
    measured = {"teacher": teacher.facts()} if teacher and teacher.measured else {}
    return {"teacher_hash": teacher.hash if teacher else None, **measured}


def several_text(several: Several, names: Sequence[str]) -> str:
    """Who is heard where, in words."""
    if several.rule == "mean":
        return f"the mean of {', '.join(names)}"
    if several.rule == "best":
        return f"whoever of {', '.join(names)} is nearest to the clean speech"
    edges = [0.0, *several.edges_hz, several.sample_rate / 2]
    parts = [
        f"{name} {low:g} to {high:g} Hz" for name, (low, high) in zip(names, pairwise(edges), strict=True)
    ]
    return ", ".join(parts)
