"""What fits into the hours: from measured speeds to numbers of clips and steps, and what each stage takes.

Everything here is arithmetic on seconds by the clock; what is assumed rather than measured has a name.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sedistill.common.errors import UserError
from sedistill.workflows.disk_use import outputs_bytes, pair_bytes
from sedistill.workflows.distilling.recipes import ALONE, BATCH_SIZE, CLIP_SECONDS, DISTILLED, TEACHER
from sedistill.workflows.distilling.speed import Speeds

PASSES = 8
"""How often each training mixture is seen: in so few a small network does not overfit."""
FEWEST_STEPS = 200
"""With fewer a student has learnt next to nothing."""
ENOUGH_STEPS = 1000
"""With fewer a small network may be no better than the noisy input."""
FEWEST_CLIPS = 100
"""Where the disk has no room for more, nothing is begun."""
TEACHER_SHARE = 0.5
"""Of the time for training, where the teacher is trained first."""
VALID_SECONDS, TEST_SECONDS = 3.0, 4.0
VALID_CLIPS, TEST_CLIPS = (10, 60), (16, 150)
VALID_SHARE, TEST_SHARE = 0.03, 0.06
"""Of all the time: to score the teacher on the validation set, and everything on the test set; within these
numbers of clips."""
SLACK = 0.03
"""Of all the time, kept for what takes longer than measured."""
START_SECONDS, PAGE_SECONDS = 6.0, 12.0
"""To start the processes of a training, and to make the page. Assumed."""
DISK_SHARE = 0.25
"""So much of the free disk mixtures may take."""

PREPARE, MIX, TEACH, CHECK, LABEL, TRAIN, EVALUATE, PAGE = (
    "prepare", "mix", "teach", "check", "label", "train", "evaluate", "page",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """What is to be planned.

    Attributes:
        budget: seconds in all; `spent` of them are gone.
        recordings: seconds of the recordings to be checked.
        to_enhance: seconds of recordings without clean speech, which join the batches and are enhanced.
        runs: names of the students to be trained.
        trains_teacher: whether a larger network is trained first.
        cores: that may be used.
        together: whether students are trained at the same time.
        free_bytes: of the disk.
    """

    budget: float
    spent: float
    recordings: float
    to_enhance: float
    runs: Sequence[str]
    trains_teacher: bool
    cores: int
    together: bool
    sample_rate: int
    free_bytes: int

    @property
    def systems(self) -> int:
        """What is scored in the end: the students, the teacher and the noisy input."""
        return len(self.runs) + 2


@dataclass(frozen=True)
class Plan:
    """Numbers of clips and steps, the seconds of every stage, and bytes."""

    clips: Mapping[str, int]
    steps: Mapping[str, int]
    seconds: Mapping[str, float]
    disk_bytes: int

    @property
    def passes(self) -> float:
        """How often each training mixture is seen."""
        return self.steps[DISTILLED] * BATCH_SIZE / self.clips["train"]

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Costs:
    """Seconds of the parts of a task."""

    task: Task
    speeds: Speeds

    @property
    def scoring(self) -> float:
        """Of a clip and a system."""
        return self.speeds.scoring / self.task.cores

    @property
    def valid_clips(self) -> int:
        affordable = int(VALID_SHARE * self.task.budget / (2 * self.scoring))
        return min(max(affordable, VALID_CLIPS[0]), VALID_CLIPS[1])

    @property
    def test_clips(self) -> int:
        affordable = int(TEST_SHARE * self.task.budget / (self.task.systems * self.scoring))
        return min(max(affordable, TEST_CLIPS[0]), TEST_CLIPS[1])

    @property
    def held_out(self) -> float:
        """Seconds of sound to validate with and to test on."""
        return self.valid_clips * VALID_SECONDS + self.test_clips * TEST_SECONDS

    def of_runs(self, seconds: Mapping[str, float]) -> float:
        """Of all students: as long as the slowest takes, where they are trained together."""
        of_each = [seconds[name] for name in self.task.runs]
        return max(of_each) if self.task.together else sum(of_each)

    @property
    def step(self) -> float:
        return self.of_runs(self.speeds.steps)

    @property
    def validation(self) -> float:
        return self.of_runs(self.speeds.validating) * self.valid_clips * VALID_SECONDS

    def mixing(self, seconds: float) -> float:
        return seconds * self.speeds.mixing / self.task.cores

    @property
    def clip(self) -> float:
        """To mix a training clip and to keep the teacher's output for it."""
        return self.mixing(CLIP_SECONDS) + self.labelling

    @property
    def labelling(self) -> float:
        """The teacher's output for a training clip, and for its share of the crops of recordings."""
        crops = 1 / (BATCH_SIZE - 1) if self.task.to_enhance else 0.0
        return (1 + crops) * CLIP_SECONDS * self.speeds.teaching

    @property
    def before(self) -> dict[str, float]:
        """What comes before the training, whatever its length."""
        task = self.task
        return {
            PREPARE: task.spent + task.recordings * self.speeds.checking / task.cores,
            MIX: self.mixing(self.held_out),
            CHECK: 2 * self.valid_clips * self.scoring,
        }

    @property
    def after(self) -> dict[str, float]:
        """What comes after it."""
        task = self.task
        enhancing = task.to_enhance * sum(self.speeds.validating[name] for name in task.runs)
        return {
            EVALUATE: task.systems * self.test_clips * self.scoring,
            PAGE: PAGE_SECONDS + enhancing,
        }

    @property
    def starting(self) -> float:
        """The processes of the students' training."""
        return START_SECONDS * (1 if self.task.together else len(self.task.runs))

    def training(self, steps: int, clips: int) -> float:
        """Of the students: the start, the steps, and a validation at the end of each epoch."""
        epochs = math.ceil(steps / max(1, clips // BATCH_SIZE))
        return self.starting + steps * self.step + epochs * self.validation

    def teaching(self, steps: int) -> float:
        """Of the larger network."""
        validation = self.speeds.validating[TEACHER] * self.valid_clips * VALID_SECONDS
        return steps * self.speeds.steps[TEACHER] + PASSES * validation + START_SECONDS

    def steps_in(self, seconds: float, clips: int) -> int:
        """The most steps of the students, on so many clips, that take no longer; 0 where none do."""
        an_epoch = max(1, clips // BATCH_SIZE)
        left = seconds - self.starting
        whole = int(left // (an_epoch * self.step + self.validation))  # epochs
        rest = left - whole * (an_epoch * self.step + self.validation) - self.validation
        return max(0, whole * an_epoch + max(0, min(int(rest / self.step), an_epoch)))


def make_plan(task: Task, speeds: Speeds) -> Plan:
    """Share out the time. Raises UserError where it is too short, saying how much is needed."""
    plan = fitting(task, speeds)
    if plan is None:
        hours = shortest_hours(task, speeds)
        raise UserError(
            f"--hours {task.budget / 3600:.3g} is too short: with these recordings on this machine, "
            f"{FEWEST_STEPS} steps of training and everything around them take about {hours:g} hours; give "
            f"--hours {hours:g} or more."
        )
    return plan


def fitting(task: Task, speeds: Speeds) -> Plan | None:
    """The plan, or None where the time is too short for one."""
    costs = Costs(task, speeds)
    fixed = sum(costs.before.values()) + sum(costs.after.values())
    for_training = (1 - SLACK) * task.budget - fixed
    teacher_steps = 0
    if task.trains_teacher:
        for_teacher = TEACHER_SHARE * for_training
        for_training -= for_teacher
        teacher_steps = int((for_teacher - costs.teaching(0)) / speeds.steps[TEACHER])
    validations = PASSES * costs.validation
    a_step = costs.step + BATCH_SIZE / PASSES * costs.clip
    steps = int((for_training - costs.starting - validations) / a_step)
    clips = min(max(round(steps * BATCH_SIZE / PASSES), BATCH_SIZE), _clips_on_disk(task))
    steps = costs.steps_in(for_training - clips * costs.clip, clips)
    if steps < FEWEST_STEPS or (task.trains_teacher and teacher_steps < FEWEST_STEPS):
        return None
    return _plan(costs, clips, steps, teacher_steps)


def shortest_hours(task: Task, speeds: Speeds) -> float:
    """The least hours for which there is a plan, rounded up to two digits."""
    too_short = enough = task.budget
    while fitting(replace(task, budget=enough), speeds) is None:
        too_short, enough = enough, 2 * enough
    while enough - too_short > 0.005 * enough:
        middle = (too_short + enough) / 2
        if fitting(replace(task, budget=middle), speeds) is None:
            too_short = middle
        else:
            enough = middle
    hours = enough / 3600
    digits = 10.0 ** (1 - math.floor(math.log10(hours)))
    return math.ceil(hours * digits) / digits


def _plan(costs: Costs, clips: int, steps: int, teacher_steps: int) -> Plan:
    before, task = costs.before, costs.task
    of_runs = dict.fromkeys(task.runs, steps)
    teaching = {TEACH: costs.teaching(teacher_steps)} if task.trains_teacher else {}
    seconds = {
        PREPARE: before[PREPARE],
        MIX: before[MIX] + costs.mixing(clips * CLIP_SECONDS),
        **teaching,
        CHECK: before[CHECK],
        LABEL: clips * costs.labelling,
        TRAIN: costs.training(steps, clips),
        **costs.after,
    }
    numbers = {"train": clips, "valid": costs.valid_clips, "test": costs.test_clips}
    disk = clips * clip_bytes(task.sample_rate) + costs.held_out * pair_bytes(task.sample_rate)
    of_teacher = {TEACHER: teacher_steps} if task.trains_teacher else {}
    return Plan(numbers, {**of_teacher, **of_runs}, seconds, round(disk))


def decided_steps(task: Task, speeds: Speeds, clips: int, after: float) -> int:
    """The students' steps, once all that comes before is done: what fits into the time that is left.

    Args:
        task: `spent` is all that is gone by now.
        clips: to learn from.
        after: seconds of what comes after the training.

    No less than the fewest, even where that takes longer.
    """
    return max(FEWEST_STEPS, Costs(task, speeds).steps_in(time_for_training(task, after), clips))


def time_for_training(task: Task, after: float) -> float:
    """Seconds that are left for the students' training, where `after` are needed behind it."""
    return (1 - SLACK) * task.budget - task.spent - after


def clip_bytes(sample_rate: int) -> float:
    """A training clip: the pair and the teacher's output."""
    return CLIP_SECONDS * (pair_bytes(sample_rate) + outputs_bytes(sample_rate))


def _clips_on_disk(task: Task) -> int:
    clips = int(DISK_SHARE * task.free_bytes / clip_bytes(task.sample_rate))
    if clips < FEWEST_CLIPS:
        raise UserError(
            f"only {task.free_bytes / 1e6:.0f} MB of the disk are free, too little for mixtures to learn "
            "from; make room, or choose another place with --output."
        )
    return clips


def students(twin: bool) -> list[str]:
    """The runs of students."""
    return [DISTILLED, ALONE] if twin else [DISTILLED]
