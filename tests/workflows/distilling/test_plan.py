"""The plan, against numbers worked out by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.workflows.distilling.plan import (
    CHECK,
    EVALUATE,
    LABEL,
    MIX,
    PAGE,
    PREPARE,
    SLACK,
    TEACH,
    TRAIN,
    Costs,
    Task,
    decided_steps,
    fitting,
    make_plan,
    shortest_hours,
)  # fmt: skip
from sedistill.workflows.distilling.speed import Speeds
from sedistill.workflows.distilling.student_training import slower_than_assumed

SPEEDS = Speeds(
    checking=0.01, mixing=0.02, teaching=0.05, steps={"distilled": 0.5, "alone": 0.4},
    validating={"distilled": 0.01, "alone": 0.005}, scoring=0.2,
)  # fmt: skip
TASK = Task(
    budget=1000.0, spent=10.0, recordings=100.0, to_enhance=0.0, runs=["distilled", "alone"],
    trains_teacher=False, cores=2, together=True, sample_rate=16_000, free_bytes=10**12,
)  # fmt: skip


def test_the_time_is_shared_out_as_by_hand() -> None:
    plan = make_plan(TASK, SPEEDS)
    # 3 % of 1000 s for two systems at 0.1 s a clip would be 150 clips, 6 % for four systems 150
    # before: 10 + 1/2, mixing 780 s of sound at 0.01 s, 120 scores at 0.1 s; after: 600 scores, the page 12 s
    # left of 970 s: 867.7 s; a step is 0.5 s and half a clip at 0.02 + 0.1 s; 8 validations of 180 s of sound
    # 847.3 s / 0.56 s = 1513 steps, so 756 clips, 189 batches: 8 epochs are 1512 steps and 770.4 s
    assert plan.clips == {"train": 756, "valid": 60, "test": 150}
    assert plan.steps == {"distilled": 1512, "alone": 1512}
    assert plan.passes == 8.0
    assert plan.seconds == pytest.approx(
        {PREPARE: 10.5, MIX: 7.8 + 15.12, CHECK: 12.0, LABEL: 75.6, TRAIN: 6 + 756 + 14.4, EVALUATE: 60.0,
         PAGE: 12.0}
    )  # fmt: skip
    # a pair is 2 x 32,000 bytes a second, 0.6 of it; the teacher's output 32,000
    assert plan.disk_bytes == (756 * 2 * (38_400 + 64_000) + (180 + 600) * 38_400)


def test_one_after_another_takes_the_sum() -> None:
    costs = Costs(replace(TASK, together=False), SPEEDS)
    assert costs.step == pytest.approx(0.9)
    assert costs.validation == pytest.approx(0.015 * 60 * 3)
    assert costs.training(200, 400) == pytest.approx(2 * 6 + 200 * 0.9 + 2 * 2.7)


def test_a_teacher_takes_half_of_the_training() -> None:
    speeds = SPEEDS.model_copy(
        update={"steps": SPEEDS.steps | {"teacher": 1.0}, "validating": SPEEDS.validating | {"teacher": 0.02}}
    )
    plan = make_plan(replace(TASK, trains_teacher=True), speeds)
    # half of 867.7 s, less the start of 6 s and 8 validations of 3.6 s
    assert plan.steps["teacher"] == int((867.7 / 2 - 6 - 28.8) / 1.0) == 399
    assert plan.seconds[TEACH] == pytest.approx(399 + 34.8)
    assert plan.seconds[TRAIN] + plan.seconds[LABEL] < 867.7 / 2


def test_a_full_disk_makes_fewer_mixtures_and_more_passes() -> None:
    clip = 2 * (38_400 + 64_000)
    plan = make_plan(replace(TASK, free_bytes=4 * 100 * clip), SPEEDS)  # a quarter of it may be taken
    assert plan.clips["train"] == 100
    assert plan.passes > 50
    with pytest.raises(UserError, match="only 81 MB of the disk are free"):
        make_plan(replace(TASK, free_bytes=4 * 99 * clip + 3), SPEEDS)


def test_recordings_to_enhance_cost_time() -> None:
    costs = Costs(replace(TASK, to_enhance=3600.0), SPEEDS)
    assert costs.after[PAGE] == pytest.approx(12 + 3600 * 0.015)


def test_too_short_a_time_is_refused_with_what_is_needed() -> None:
    with pytest.raises(
        UserError, match=r"--hours 0.02 is too short.* give --hours 0\.0\d+ or more"
    ) as refused:
        make_plan(replace(TASK, budget=72.0), SPEEDS)
    hours = shortest_hours(replace(TASK, budget=72.0), SPEEDS)
    assert f"give --hours {hours:g} or" in str(refused.value)
    make_plan(replace(TASK, budget=3600 * hours), SPEEDS)
    assert fitting(replace(TASK, budget=3600 * hours * 0.88), SPEEDS) is None


@given(
    step=st.floats(0.01, 3), validating=st.floats(0.0001, 0.1), teaching=st.floats(0.0001, 0.2),
    hours=st.floats(0.01, 30), together=st.booleans(), trains=st.booleans(), free=st.integers(10**8, 10**12),
)  # fmt: skip
def test_a_plan_keeps_to_its_time(
    step: float, validating: float, teaching: float, hours: float, together: bool, trains: bool, free: int
) -> None:
    speeds = Speeds(
        checking=0.01, mixing=0.02, teaching=teaching,
        steps={"distilled": step, "alone": 0.9 * step, "teacher": 3 * step},
        validating=dict.fromkeys(["distilled", "alone", "teacher"], validating),
    )  # fmt: skip
    task = replace(TASK, budget=3600 * hours, together=together, trains_teacher=trains, free_bytes=free)
    plan = fitting(task, speeds)
    if plan is not None:
        used = plan.total / task.budget
        assert used <= 1 - SLACK + 1e-9
        an_epoch = (plan.clips["train"] // 4) * step * 2 + 60 * 3 * 2 * validating
        assert used > 0.9 or an_epoch > 0.05 * task.budget


def test_steps_are_decided_from_what_is_left() -> None:
    # 970 s less 400 s and 72 s: 498 s; less 6 s; epochs of 100 steps take 51.8 s: 9 take 466.2 s, and then
    # 25.8 s hold the last validation and 48 steps
    task = replace(TASK, spent=400.0)
    assert decided_steps(task, SPEEDS, clips=400, after=72.0) == 948
    assert Costs(task, SPEEDS).training(948, 400) <= 498
    assert decided_steps(replace(task, spent=999.0), SPEEDS, clips=400, after=72.0) == 200


def test_what_was_assumed_of_scoring_is_corrected() -> None:
    assert slower_than_assumed(took=36.0, planned=12.0) == 3.0
    assert slower_than_assumed(took=6.0, planned=12.0) == 1.0  # a set that was there already took no time
    assert slower_than_assumed(took=999.0, planned=12.0) == 10.0  # one that was interrupted took it twice
