"""What is decided before anything is done: how long everything takes here, how many clips and steps fit."""

from typing import Any

from sedistill.common.devices import choose_device, cuda_devices, usable_cores
from sedistill.common.reading import shown
from sedistill.common.report.printing import print_facts
from sedistill.teachers.opening import open_teacher
from sedistill.workflows.disk_use import free_bytes
from sedistill.workflows.distilling import stages
from sedistill.workflows.distilling.listening import warn_of_other_sounds
from sedistill.workflows.distilling.networks import Networks, name_of
from sedistill.workflows.distilling.plan import PASSES, Task, make_plan, students
from sedistill.workflows.distilling.recipes import (
    BATCH_SIZE,
    CLIP_SECONDS,
    TEACHER,
    recipes_to_time,
    teacher_recipe,
)
from sedistill.workflows.distilling.recordings import Recordings, look_through
from sedistill.workflows.distilling.result_folder import Decided, ResultFolder
from sedistill.workflows.distilling.speed import (
    Speeds,
    checking_seconds,
    mixing_seconds,
    step_seconds,
    teaching_seconds,
)
from sedistill.workflows.distilling.told import print_plan

FEWEST_FILES = 2


def decide(work: ResultFolder, networks: Networks) -> Decided:
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
    print_facts(_facts(work, networks, found).items())
    warn_of_other_sounds(found)
    runs = students(asked.twin)
    cores = usable_cores()
    gpus = len(cuda_devices())
    together = len(runs) > 1 and (gpus > 1 or (gpus == 0 and cores > 1))
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
        free_bytes=free_bytes(work.folder),
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
    teacher = f"{networks.larger}, which is trained first"
    if networks.teacher is not None:
        teacher = name_of(networks.teacher)
    start = {} if work.asked.start is None else {"goes on from": shown(work.asked.start)}
    return {
        **start,
        **{names[kind]: recordings.text for kind, recordings in found.items()},
        "student": f"{networks.student_name}, {networks.parameters:,} parameters",
        "teacher": teacher,
        "in": f"{shown(work.folder)}, within {work.asked.hours:g} h on {usable_cores()} cores",
    }


def _measure(
    networks: Networks, found: dict[str, Recordings], runs: list[str], together: bool, threads: int
) -> Speeds:
    """Do a little of everything that takes long."""
    rate = networks.sample_rate
    recipes = recipes_to_time(networks.student, PASSES, threads)
    groups = [runs] if together else [[name] for name in runs]
    measured = {
        name: times
        for group in groups
        for name, times in zip(
            group, step_seconds([recipes[name] for name in group], CLIP_SECONDS, threads), strict=True
        )
    }
    if networks.larger is not None:
        larger = recipe_of_teacher(networks.larger, PASSES)
        measured[TEACHER] = step_seconds([larger], CLIP_SECONDS, usable_cores())[0]
        teaching = measured[TEACHER][1]
    else:
        assert networks.teacher is not None
        device = str(choose_device("auto"))
        teaching = teaching_seconds(open_teacher(networks.teacher, rate), device, CLIP_SECONDS, rate)
    files = [(kind, info) for kind in found if kind != "noisy" for info in found[kind].typical]
    return Speeds(
        checking=checking_seconds(files, rate),
        mixing=mixing_seconds(rate),
        teaching=teaching,
        steps={name: step for name, (step, _) in measured.items()},
        validating={name: validating for name, (_, validating) in measured.items()},
    )


def recipe_of_teacher(network: str, steps: int) -> dict[str, Any]:
    """The larger network's recipe; an epoch is so long that the validations are as many as the students'."""
    mixing = stages.mixing_of("train").model_dump()
    epoch = max(BATCH_SIZE, round(steps * BATCH_SIZE / PASSES))
    return teacher_recipe(network, steps, usable_cores(), mixing, epoch)
