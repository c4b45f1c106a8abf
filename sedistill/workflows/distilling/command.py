"""The whole way in one command: plan, prepare, mix, teach, train, evaluate, a page."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sedistill.common.devices import usable_cores
from sedistill.common.errors import UserError
from sedistill.common.reading import require_folder, require_utf8, shown
from sedistill.common.settings import check_settings
from sedistill.common.writing import refuse_inside
from sedistill.evaluation.scores import SetScores
from sedistill.workflows.distilling import stages
from sedistill.workflows.distilling.asked import DEFAULT_STUDENT, DEFAULT_TEACHER, Asked
from sedistill.workflows.distilling.deciding import decide, recipe_of_teacher
from sedistill.workflows.distilling.networks import (
    Networks,
    choose_networks,
    student_named,
    teacher_named,
)
from sedistill.workflows.distilling.plan import (
    CHECK,
    EVALUATE,
    LABEL,
    MIX,
    PAGE,
    PREPARE,
    TEACH,
    TRAIN,
    students,
)
from sedistill.workflows.distilling.recipes import TEACHER
from sedistill.workflows.distilling.report import write_report
from sedistill.workflows.distilling.result_folder import MARKER, Decided, EarlierResult, ResultFolder
from sedistill.workflows.distilling.student_training import train_students
from sedistill.workflows.distilling.told import Way

PLANNING = "plan"


@dataclass(frozen=True)
class Distilled:
    """What came of it.

    Attributes:
        folder: everything.
        student: the saved student.
        report: the page.
        scores: on the test set, of the noisy input and the networks; their labels are by name in `labels`:
            noisy, alone, distilled, teacher.
    """

    folder: Path
    student: Path
    report: Path
    scores: SetScores = field(repr=False)
    labels: dict[str, str] = field(repr=False)

    def mean(self, system: str, metric: str) -> float:
        """The mean over the test set, such as `mean("distilled", "pesq_wb")`."""
        return self.scores.mean(self.labels[system], metric)


def distil(
    output: Path | str,
    *,
    clean: Path | str | None = None,
    noise: Path | str | None = None,
    noisy: Path | str | None = None,
    start: Path | str | None = None,
    teacher: Path | str | Mapping[str, Any] | None = None,
    student: str | Mapping[str, Any] | None = None,
    hours: float = 1.0,
    twin: bool = True,
    weak_teacher: bool = False,
    plan_only: bool = False,
) -> Distilled | None:
    """Train a student on a teacher's outputs, from folders of recordings to a page, within `hours`.

    Started again with the same arguments, what was interrupted goes on where it stopped, and what is finished
    is read back.

    Args:
        output: the folder to write; docs/distil.md says what is where in it.
        clean, noise: folders of audio files, of any rate.
        noisy: noisy recordings without clean speech, from where the student will be used: it learns from the
            teacher's output for them, and they are enhanced.
        start: an earlier result, whose student learns on from its recordings and the new ones together.
        teacher: a ready-made model's name, the folder of a saved model, any other teacher as `open_teacher`
            takes it but for a folder of cleaned files, or "larger": a larger network of the student's kind is
            trained first. None takes the ready-made fastenhancer-b, or that of `start`.
        student: a preset's name, or {"class": ...} with settings, also of another package; None takes
            fastenhancer-t.
        hours: by the clock, for everything.
        twin: train the same student without the teacher too.
        weak_teacher: go on although the teacher is worse than the noisy input on the validation set.
        plan_only: print what would be done and how long it takes, write nothing, and return None.

    Raises UserError for what cannot be read or does not fit together, for too few hours (saying how many are
    needed), for a teacher that is worse than the noisy input, and for an output that holds something else.
    """
    named = {"clean": clean, "noise": noise, "noisy": noisy, "start": start}
    given: dict[str, Any] = {name: None if value is None else str(value) for name, value in named.items()}
    given |= {
        "teacher": None if teacher is None else teacher_named(teacher),
        "student": student_named(student) if isinstance(student, str) else student,
        "hours": hours, "twin": twin, "weak_teacher": weak_teacher,
    }  # fmt: skip
    for name in given.values():
        if isinstance(name, str):
            require_utf8(name, MARKER)
    work = ResultFolder(Path(output), _absolute(check_settings(Asked, given, "distil")))
    _refuse_contradictions(work)
    if not plan_only:
        work.take_up()
    with work.timed(PLANNING):
        networks = _networks(work)
        decided = work.decided or decide(work, networks)
    if plan_only:
        return None
    with work.alone():
        return _go_on(work, networks, decided)


def _absolute(asked: Asked) -> Asked:
    """With paths that mean the same wherever the command is given again."""
    places = {name: getattr(asked, name) for name in ("clean", "noise", "noisy", "start")}
    return asked.model_copy(update={name: path and path.absolute() for name, path in places.items()})


def _refuse_contradictions(work: ResultFolder) -> None:
    asked = work.asked
    if asked.start is None and (asked.clean is None or asked.noise is None):
        raise UserError("give a folder of clean speech and one of noise (--clean SPEECH --noise NOISE).")
    if asked.start is not None and asked.clean is None and asked.noise is None:
        raise UserError("say what is new since the earlier result: --noise MORE, --clean MORE, or both.")
    if asked.start is not None and asked.student is not None:
        raise UserError(f"the student is that of {shown(asked.start)}; take out --student or --from.")
    read = [one for one in (asked.clean, asked.noise, asked.noisy, asked.start) if one is not None]
    for folder in read:
        require_folder(folder, "give a folder")
    refuse_inside(work.folder, read, replaced=False)


def _go_on(work: ResultFolder, networks: Networks, decided: Decided) -> Distilled:
    """Every stage in turn; one whose result is there already is passed by."""
    way, stage = Way(decided.planned, 3600 * work.asked.hours), partial(_stage, work)
    with stage(way, PREPARE):
        stages.prepare_corpus(work, networks.sample_rate)
    with stage(way, MIX):
        stages.mix_sets(work)
    teacher = networks.teacher or work.student(TEACHER)
    if networks.larger is not None:
        with stage(way, TEACH):
            stages.write_recipe(work, TEACHER, recipe_of_teacher(networks.larger, decided.steps[TEACHER]))
            stages.train_runs(work, [TEACHER], together=False, threads=usable_cores())
    with stage(way, CHECK):
        stages.check_teacher(work, teacher)
    with stage(way, LABEL):
        stages.keep_outputs(work, teacher)
    runs = students(work.asked.twin)
    with stage(way, TRAIN):
        train_students(work, networks)
        student = stages.save_student(work)
    with stage(way, EVALUATE):
        models = {name: work.student(name) for name in runs} | {TEACHER: teacher}
        scores = stages.evaluate_all(work, list(models.values()))
    with stage(way, PAGE):
        stages.enhance_recordings(work)
        labels = dict(zip(["noisy", *models], scores.models, strict=True))
        report = write_report(work, models, scores, labels)
    return Distilled(work.folder, student, report, scores, labels)


@contextmanager
def _stage(work: ResultFolder, way: Way, name: str) -> Iterator[None]:
    way.announce(name, work.seconds)
    with work.stage(name):
        yield


def _networks(work: ResultFolder) -> Networks:
    asked = work.asked
    if asked.start is None:
        return choose_networks(asked.student or DEFAULT_STUDENT, asked.teacher or DEFAULT_TEACHER)
    earlier = EarlierResult.at(asked.start)
    return choose_networks(str(earlier.student), asked.teacher or earlier.teacher or DEFAULT_TEACHER)
