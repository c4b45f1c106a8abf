"""The folder of a result: where everything lies, what it was asked for, and how long each stage took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

import sedistill
from sedistill.common.errors import UserError
from sedistill.common.reading import is_taken, shown
from sedistill.common.settings import Record, read_record
from sedistill.common.writing import exclusive_lock, refuse_foreign_folder, refuse_if_taken, write_whole
from sedistill.common.yaml_files import yaml_text
from sedistill.models.saving import CARD
from sedistill.teachers.teacher_settings import TeacherFrom
from sedistill.workflows.distilling.asked import LARGER, Asked
from sedistill.workflows.distilling.recipes import SEED, TEACHER
from sedistill.workflows.distilling.speed import Speeds
from sedistill.workflows.jobs import Run

MARKER, LOCK, COMMAND = "distil.yaml", ".distil.lock", "sedistill distil"
CORPUS, SCORES, CHECKED, ENHANCED, STUDENT, RECIPES = (
    "corpus", "scores", "teacher-check", "enhanced", "student", "recipes",
)  # fmt: skip
"""What lies where in a result."""
FREE_TO_CHANGE = {"weak_teacher", "noisy"}
"""What may be asked otherwise when a result is gone on with."""


Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Decided(Record):
    """What the plan decided.

    Attributes:
        clips: of every split.
        steps: of every run, as planned; the students' own are in their recipes.
        planned: seconds of every stage.
        speeds: as measured.
        together: whether students are trained at the same time.
        threads: of each training of a student.
    """

    clips: dict[str, int]
    steps: dict[str, int]
    planned: dict[str, Seconds]
    speeds: Speeds
    together: bool
    threads: int


class _Marker(Record):
    """What distil.yaml has to hold."""

    sedistill: str
    asked: Asked
    decided: Decided | None
    seconds: dict[str, Seconds]


@dataclass
class ResultFolder:
    """A result, finished or not.

    decided: what the plan decided; None before there is one.
    seconds: by stage, over all attempts.
    began: when the stage under way did, by the monotonic clock.
    """

    folder: Path
    asked: Asked
    decided: Decided | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    began: float | None = None

    def place(self, name: str) -> Path:
        return self.folder / name

    def student(self, run: str) -> Path:
        """The saved network of a run."""
        return self.folder / Run(run, SEED).student

    @property
    def spent(self) -> float:
        """Seconds by the clock, in all stages that ended so far, over all attempts."""
        return sum(self.seconds.values())

    @property
    def spent_now(self) -> float:
        """The same with the stage that is under way."""
        return self.spent + (0.0 if self.began is None else time.monotonic() - self.began)

    def take_up(self) -> None:
        """Read what an earlier attempt left, if any did.

        Raises UserError where the folder holds something else, or was begun with something else, and where
        another command is at work in it.
        """
        refuse_foreign_folder(self.folder, MARKER)
        refuse_if_taken(self.place(LOCK), COMMAND)
        if not is_taken(self.place(MARKER)):
            return
        written = _marker(self.folder)
        self._refuse_other(written.asked)
        if written.sedistill != sedistill.__version__:
            raise UserError(
                f"{shown(self.folder)} was begun by version {written.sedistill}, and this is "
                f"{sedistill.__version__}; choose another place with --output."
            )
        self.decided, self.seconds = written.decided, dict(written.seconds)
        print(f"Going on in {shown(self.folder)}; what is finished is kept.")

    def _refuse_other(self, before: Asked) -> None:
        for key in Asked.model_fields:
            old, new = getattr(before, key), getattr(self.asked, key)
            if old != new and key not in FREE_TO_CHANGE:
                name = "--from" if key == "start" else f"--{key}"
                begun = f"with {name} {_told(old)}, not {_told(new)}"
                if key == "twin":
                    begun = "without --no-twin" if old else "with --no-twin"
                raise UserError(
                    f"{shown(self.folder)} was begun {begun}; say the same again to go on, or choose another "
                    "place with --output."
                )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other command is at work in the folder, which is made if need be, and keeps what is known."""
        with exclusive_lock(self.place(LOCK), COMMAND):
            self.save()
            yield

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count the seconds of a stage."""
        self.began = time.monotonic()
        try:
            yield
        finally:
            taken, self.began = time.monotonic() - self.began, None
            self.seconds[name] = round(self.seconds.get(name, 0.0) + taken, 2)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the seconds of a stage, and keep them even when it is interrupted."""
        try:
            with self.timed(name):
                yield
        finally:
            self.save()

    def save(self) -> None:
        """Write distil.yaml."""
        facts = {
            "sedistill": sedistill.__version__,
            "asked": self.asked.model_dump(mode="json"),
            "decided": self.decided and self.decided.model_dump(mode="json"),
            "seconds": self.seconds,
        }
        write_whole(self.place(MARKER), yaml_text(facts))


@dataclass(frozen=True)
class EarlierResult:
    """A finished result to go on from: its corpus, its student, and the teacher that it had."""

    corpus: Path
    student: Path
    teacher: str | TeacherFrom | None

    @classmethod
    def at(cls, folder: Path) -> "EarlierResult":
        """Raises UserError where there is none, or one that is not finished."""
        if not is_taken(folder / MARKER):
            raise UserError(
                f"{shown(folder)} is no result of `{COMMAND}` (it has no {MARKER}); name one to go on from."
            )
        asked = _marker(folder).asked
        if not is_taken(folder / STUDENT / CARD):
            raise UserError(f"{shown(folder)} has no student yet; finish it with the command that began it.")
        trained = str(folder / Run(TEACHER, SEED).student)
        teacher = trained if asked.teacher == LARGER else asked.teacher
        return cls(folder / CORPUS, folder / STUDENT, teacher)


def _marker(folder: Path) -> _Marker:
    return _Marker.model_validate(read_record(_Marker, folder / MARKER, "choose another place with --output"))


def _told(value: object) -> str:
    if isinstance(value, TeacherFrom):
        return shown(value.name)
    return "nothing" if value is None else shown(str(value))
