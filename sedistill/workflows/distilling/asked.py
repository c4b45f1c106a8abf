"""What a command was asked for, as its folder keeps it."""

from pathlib import Path
from typing import Any

from pydantic import Field, field_serializer

from sedistill.common.settings import Settings
from sedistill.teachers.teacher_settings import TeacherFrom

LARGER = "larger"
"""The teacher's name where a larger network is trained first."""
DEFAULT_TEACHER, DEFAULT_STUDENT = "fastenhancer-b", "fastenhancer-t"


class Asked(Settings):
    """The settings of `sedistill distil`; the sentences are those of its help."""

    clean: Path | None = Field(None, description="Folder of clean speech.")
    noise: Path | None = Field(None, description="Folder of noise.")
    noisy: Path | None = Field(
        None,
        description="Noisy recordings from where the student will be used, without clean speech: it learns "
        "from the teacher's output for them, and they are enhanced, to be heard on the page.",
    )
    start: Path | None = Field(
        None, description="An earlier result, whose student learns on from its recordings and the new ones."
    )
    teacher: str | TeacherFrom | None = Field(
        None,
        description=f"A ready-made model's name, the folder of a saved one, or any other teacher; {LARGER}: "
        "a larger network of the student's kind is trained first, within the hours.",
    )
    student: str | dict[str, Any] | None = Field(
        None, description="The network that is to be good: a preset's name, or class: with settings."
    )
    hours: float = Field(1.0, gt=0, le=10_000, description="By the clock, for everything from here on.")
    twin: bool = Field(True, description="Train the same student without the teacher too, to compare.")
    weak_teacher: bool = Field(
        False, description="Go on although the teacher's output is worse than the noisy input."
    )

    @field_serializer("teacher")
    def _as_given(self, teacher: str | TeacherFrom | None) -> Any:
        return teacher.given if isinstance(teacher, TeacherFrom) else teacher
