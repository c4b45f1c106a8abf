"""Which networks: the student, and who teaches it."""

from dataclasses import dataclass
from pathlib import Path

import torch

from sedistill.common.errors import UserError
from sedistill.common.reading import is_taken
from sedistill.models.complexity import parameters
from sedistill.models.presets import PRESETS, build_model
from sedistill.teachers.opening import open_teacher
from sedistill.training.inputs import build_student
from sedistill.workflows.distilling.asked import LARGER

LARGER_BY = 2
"""A larger network has so many times the student's parameters, or more."""


@dataclass(frozen=True)
class Networks:
    """What learns and who teaches.

    Attributes:
        student: a preset's name, or the folder of a saved model to go on from.
        teacher: the folder of a saved model, or the name of a ready-made one; None where a larger network is
            trained first.
        larger: that network's preset; None where the teacher is there already.
    """

    student: str
    sample_rate: int
    parameters: int
    teacher: Path | None
    larger: str | None


def choose_networks(student: str, teacher: str) -> Networks:
    """Look at what was named, before anything is done.

    student: a preset's name, or the folder of a saved model to go on from.
    teacher: a saved model, or `LARGER`.
    Raises UserError for unknown names, a teacher at another rate, and where there is no larger network.
    """
    with torch.random.fork_rng(devices=[]):
        network = build_student(student)
    rate, count = network.sample_rate, parameters(network)
    if teacher == LARGER:
        return Networks(student, rate, count, None, larger_preset(type(network).__name__, count))
    named = Path(teacher)
    folder = named.absolute() if is_taken(named) else named  # a ready-made one has no place
    open_teacher(folder, rate)  # refuses what cannot teach at this rate
    return Networks(student, rate, count, folder, None)


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
