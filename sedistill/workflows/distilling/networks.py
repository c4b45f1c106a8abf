"""Which networks: the student, and who teaches it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sedistill.common.errors import UserError
from sedistill.common.extensions import names_a_part
from sedistill.common.paths import as_is
from sedistill.common.reading import is_taken, shown
from sedistill.common.yaml_files import parse_yaml
from sedistill.models.complexity import parameters
from sedistill.models.presets import PRESETS, build_model
from sedistill.teachers.opening import open_teacher, settings_of
from sedistill.teachers.teacher_settings import TeacherFrom
from sedistill.training.inputs import build_student
from sedistill.workflows.distilling.asked import LARGER

LARGER_BY = 2
"""A larger network has so many times the student's parameters, or more."""

Named = Path | TeacherFrom
"""A teacher: the folder of a saved model, a name (which is a path, too), or where it comes from otherwise."""


@dataclass(frozen=True)
class Networks:
    """What learns and who teaches.

    Attributes:
        student: as a recipe takes it: a preset's name, `class:` with settings, or the folder of a saved model
            to go on from.
        teacher: None where a larger network is trained first.
        larger: that network's preset; None where the teacher is there already.
    """

    student: str | dict[str, Any]
    sample_rate: int
    parameters: int
    teacher: Named | None
    larger: str | None

    @property
    def student_name(self) -> str:
        return shown(self.student if isinstance(self.student, str) else self.student["class"])


def choose_networks(student: str | dict[str, Any], teacher: str | TeacherFrom) -> Networks:
    """Look at what was named, before anything is done.

    student: as a recipe takes it. teacher: as `teacher_named` gives it, or `LARGER`.
    Raises UserError for unknown names, a saved teacher at another rate, one that cannot hear new mixtures,
    and where there is no larger network.
    """
    with torch.random.fork_rng(devices=[]):
        network = build_student(student)
    rate, count = network.sample_rate, parameters(network)
    if teacher == LARGER:
        return Networks(student, rate, count, None, larger_preset(type(network).__name__, count))
    named = teacher if isinstance(teacher, TeacherFrom) else Path(teacher)
    if isinstance(named, TeacherFrom) and named.kind == "folder":
        raise UserError(
            f"the folder {shown(str(named.folder))} knows its own files alone, but new mixtures are made "
            "here; `sedistill train` takes it, with the set whose noisy files it cleaned."
        )
    open_teacher(named, rate)  # refuses what cannot teach at this rate
    return Networks(student, rate, count, named, None)


def teacher_named(given: Path | str | Mapping[str, Any] | TeacherFrom) -> str | TeacherFrom:
    """A teacher by what was said of it, the same in whatever folder it is said. Raises UserError."""
    if given == LARGER:
        return LARGER
    settings = settings_of(given)
    if settings is not None:
        return settings.anchored
    return str(Path(str(given)).absolute()) if is_taken(Path(str(given))) else str(given)


def in_recipe(teacher: Named) -> str | dict[str, Any]:
    """A teacher as a recipe names it."""
    return teacher.given if isinstance(teacher, TeacherFrom) else as_is(teacher)


def name_of(teacher: Named) -> str:
    """A teacher in a sentence."""
    return shown(teacher.name if isinstance(teacher, TeacherFrom) else teacher)


def student_named(text: str) -> str | dict[str, Any]:
    """A student as a recipe takes it, from what the command line says of it. Raises UserError.

    A class of another package, by its path or by the name under which it is installed, may stand for itself.
    """
    if text.startswith("{"):
        described = parse_yaml(text, f"the student '{text}'", "quote it for the shell")
        if not isinstance(described, dict):
            raise UserError(f"the student '{text}' is no mapping; give class: and its settings.")
        return described
    return {"class": text} if text not in PRESETS and names_a_part("networks", text) else text


def larger_preset(network: str, count: int) -> str:
    """The smallest preset of the same class with twice the parameters or more. Raises UserError: none."""
    sizes = {}
    for name, preset in PRESETS.items():
        if preset.network == network:
            with torch.device("meta"):
                sizes[name] = parameters(build_model(name))
    larger = sorted((size, name) for name, size in sizes.items() if size >= LARGER_BY * count)
    if not larger:
        raise UserError(
            f"there is no larger preset of {network} than this student to teach it; name a saved model with "
            "--teacher."
        )
    return larger[0][1]
