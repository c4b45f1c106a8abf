"""The whole way in one command: plan, prepare, mix, teach, train, evaluate, a page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sedistill.devices import choose_device, usable_cores
from sedistill.distilling import stages
from sedistill.distilling.asked import DEFAULT_STUDENT, DEFAULT_TEACHER, Asked
from sedistill.distilling.commands import write_commands
from sedistill.distilling.folder import RECIPES, Decided, EarlierResult, ResultFolder
from sedistill.distilling.networks import Networks, choose_networks
from sedistill.distilling.plan import (
    CHECK,
    EVALUATE,
    LABEL,
    MIX,
    PAGE,
    PASSES,
    PREPARE,
    TEACH,
    TRAIN,
    Task,
    decided_steps,
    make_plan,
    students,
)  # fmt: skip
from sedistill.distilling.recipes import (
    ALONE,
    BATCH_SIZE,
    CLIP_SECONDS,
    DISTILLED,
    SEED,
    TEACHER,
    alone_recipe,
    student_recipe,
    teacher_recipe,
)  # fmt: skip
from sedistill.distilling.recordings import Recordings, look_through
from sedistill.distilling.report import write_report
from sedistill.distilling.speed import (
    Speeds,
    checking_seconds,
    mixing_seconds,
    step_seconds,
    teaching_seconds,
)  # fmt: skip
from sedistill.distilling.told import Way, print_facts, print_plan
from sedistill.errors import UserError
from sedistill.evaluation.scores import SetScores
from sedistill.paths import as_is
from sedistill.reading import require_folder, shown
from sedistill.settings import check_settings
from sedistill.teachers import Teacher
from sedistill.training.jobs import Run
from sedistill.writing import refuse_inside

FEWEST_FILES = 2
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
    teacher: Path | str | None = None,
    student: str | None = None,
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
        clean, noise: folders of audio files, of any format and rate.
        noisy: noisy recordings without clean speech; they are enhanced, and nothing is learnt from them.
        start: an earlier result, whose student learns on from its recordings and the new ones together.
        teacher: a ready-made model's name, the folder of a saved model, or "larger": a larger network of the
            student's kind is trained first. None takes the ready-made fastenhancer-b, or that of `start`.
        student: the preset of the student; None takes fastenhancer-t.
        hours: by the clock, for everything.
        twin: train the same student without the teacher too.
        weak_teacher: go on although the teacher is worse than the noisy input on the validation set.
        plan_only: print what would be done and how long it takes, write nothing, and return None.

    Raises UserError for what cannot be read or does not fit together, for too few hours (saying how many are
    needed), for a teacher that is worse than the noisy input, and for an output that holds something else.
    """
    named = {"clean": clean, "noise": noise, "noisy": noisy, "start": start, "teacher": teacher}
    given: dict[str, Any] = {name: None if value is None else str(value) for name, value in named.items()}
    given |= {"student": student, "hours": hours, "twin": twin, "weak_teacher": weak_teacher}
    work = ResultFolder(Path(output), _absolute(check_settings(Asked, given, "distil")))
    _refuse_contradictions(work)
    if not plan_only:
        work.take_up()
    with work.timed(PLANNING):
        networks = _networks(work)
        decided = work.decided or _decide(work, networks)
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
            stages.write_recipe(work, TEACHER, _teacher_recipe(networks.larger, decided.steps[TEACHER]))
            stages.train_runs(work, [TEACHER], together=False, threads=usable_cores())
    with stage(way, CHECK):
        stages.check_teacher(work, teacher)
    with stage(way, LABEL):
        stages.keep_outputs(work, teacher)
    runs = students(work.asked.twin)
    with stage(way, TRAIN):
        _write_recipes(work, networks)
        stages.train_runs(work, runs, decided.together, decided.threads)
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


def _decide(work: ResultFolder, networks: Networks) -> Decided:
    """Look at the recordings, measure, plan, and say it all."""
    asked = work.asked
    found = {
        kind: look_through(folder, what, FEWEST_FILES if asked.start is None else 1)
        for kind, what, folder in (
            ("clean", "clean speech", asked.clean), ("noise", "noise", asked.noise),
            ("noisy", "noisy recordings", asked.noisy),
        )
        if folder is not None
    }  # fmt: skip
    print_facts(_facts(work, networks, found))
    runs = students(asked.twin)
    cores = usable_cores()
    together = len(runs) > 1 and cores > 1 and choose_device("auto").type == "cpu"
    threads = max(1, cores // len(runs)) if together else cores
    print("Measuring how fast this machine is ...", flush=True)
    speeds = _measure(networks, found, runs, together, threads)
    task = Task(
        budget=3600 * asked.hours,
        spent=work.spent_now,
        recordings=sum(found[kind].seconds for kind in found if kind != "noisy"),
        to_enhance=found["noisy"].seconds if "noisy" in found else 0.0,
        runs=runs,
        trains_teacher=networks.larger is not None,
        cores=cores,
        together=together,
        sample_rate=networks.sample_rate,
        free_bytes=shutil.disk_usage(_existing(work.folder)).free,
    )
    plan = make_plan(task, speeds)
    print_plan(task, speeds, plan, work.folder)
    work.decided = Decided(
        clips=dict(plan.clips), steps=dict(plan.steps), planned=dict(plan.seconds), speeds=speeds,
        together=together, threads=threads,
    )  # fmt: skip
    return work.decided


def _facts(work: ResultFolder, networks: Networks, found: dict[str, Recordings]) -> dict[str, str]:
    names = {"clean": "speech", "noise": "noise", "noisy": "to enhance"}
    teacher = (
        f"{networks.larger}, which is trained first" if networks.larger else shown(str(networks.teacher))
    )
    start = {} if work.asked.start is None else {"goes on from": shown(work.asked.start)}
    return {
        **start,
        **{names[kind]: recordings.text for kind, recordings in found.items()},
        "student": f"{shown(networks.student)}, {networks.parameters:,} parameters",
        "teacher": teacher,
        "in": f"{shown(work.folder)}, within {work.asked.hours:g} h on {usable_cores()} cores",
    }


def _measure(
    networks: Networks, found: dict[str, Recordings], runs: list[str], together: bool, threads: int
) -> Speeds:
    """Do a little of everything that takes long."""
    rate = networks.sample_rate
    recipe = student_recipe(networks.student, "none", PASSES, threads)
    recipes = {DISTILLED: recipe, ALONE: recipe | {"name": ALONE, "teacher": None, "objectives": []}}
    groups = [runs] if together else [[name] for name in runs]
    measured = {
        name: times
        for group in groups
        for name, times in zip(
            group, step_seconds([recipes[name] for name in group], CLIP_SECONDS, threads), strict=True
        )
    }
    if networks.larger is not None:
        larger = _teacher_recipe(networks.larger, PASSES)
        measured[TEACHER] = step_seconds([larger], CLIP_SECONDS, usable_cores())[0]
        teaching = measured[TEACHER][1]
    else:
        assert networks.teacher is not None
        device = str(choose_device("auto"))
        teaching = teaching_seconds(Teacher(networks.teacher, rate), device, CLIP_SECONDS, rate)
    files = [(kind, info) for kind in found if kind != "noisy" for info in found[kind].typical]
    return Speeds(
        checking=checking_seconds(files, rate),
        mixing=mixing_seconds(rate),
        teaching=teaching,
        steps={name: step for name, (step, _) in measured.items()},
        validating={name: validating for name, (_, validating) in measured.items()},
    )


def _teacher_recipe(network: str, steps: int) -> dict[str, Any]:
    mixing = stages.mixing_of("train").model_dump()
    epoch = max(BATCH_SIZE, round(steps * BATCH_SIZE / PASSES))
    return teacher_recipe(network, steps, usable_cores(), mixing, epoch)


def _write_recipes(work: ResultFolder, networks: Networks) -> None:
    """The students' recipes, with as many steps as there is time for; and the commands that use them."""
    if work.place(f"{RECIPES}/{DISTILLED}.yaml").exists():
        return
    decided, asked = work.decided, work.asked
    assert decided is not None
    task = Task(
        budget=3600 * asked.hours, spent=work.spent_now, recordings=0.0, to_enhance=0.0,
        runs=students(asked.twin), trains_teacher=networks.larger is not None, cores=usable_cores(),
        together=decided.together, sample_rate=networks.sample_rate, free_bytes=0,
    )  # fmt: skip
    after = decided.planned[EVALUATE] + decided.planned[PAGE]
    steps = decided_steps(task, decided.speeds, decided.clips["train"], after)
    print(f"{steps:,} steps fit into the time that is left ({decided.steps[DISTILLED]:,} were planned).")
    teacher = str(networks.teacher or Run(TEACHER, SEED).student)
    student = networks.student if asked.start is None else as_is(networks.student)
    recipe = student_recipe(student, as_is(teacher), steps, decided.threads, asked.start is not None)
    write_commands(work, networks)
    if asked.twin:
        stages.write_recipe(work, ALONE, alone_recipe())
    stages.write_recipe(work, DISTILLED, recipe)


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
