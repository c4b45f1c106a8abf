"""What is chosen, and why, from errors and gradients that are known."""

from typing import Any

import numpy as np
import pytest

from sedistill.training.recipe.objectives import ObjectiveSettings
from sedistill.workflows.advising.choosing import Choice, choose
from sedistill.workflows.advising.nearness import ClipErrors, Heard, Nearness
from sedistill.workflows.advising.pull import Pull

WAVE, PULL = np.zeros(1, np.float32), Pull(2.0, 0.3)


def near(teacher: list[float], noisy: list[float], student: list[float] | None = None) -> Nearness:
    """One clip of one frame, with these errors in its patches."""
    given = {"teacher": teacher, "noisy": noisy} | ({"student": student} if student else {})
    errors = {name: np.array(values)[:, None] for name, values in given.items()}
    return Nearness([ClipErrors(Heard(dict.fromkeys([*given, "clean"], WAVE), 5.0, ""), errors)], 31.25)


def chosen(whole: Nearness, magnitudes: Nearness | None = None, pull: Pull = PULL) -> Choice:
    return choose(whole, magnitudes or whole, lambda _: pull)


def test_magnitudes_alone_where_phases_are_wrong() -> None:
    objective = chosen(near([2.0], [1.0]), near([1.0], [2.0])).objective
    assert objective["loss"] == "l2"
    assert chosen(near([1.0], [2.0]), near([1.0], [2.0])).objective["loss"] == "complex_l2"


@pytest.mark.parametrize(
    ("teacher", "noisy", "student", "gate"),
    [
        ([1, 1, 1, 1], [2, 2, 2, 2], None, None),
        ([1, 1, 1, 3], [2, 2, 2, 2], None, "teacher_over_noisy"),
        ([1, 1, 1, 1], [2, 2, 2, 2], [2, 2, 2, 0.5], "teacher_over_student"),
        ([1, 1, 1, 3], [2, 2, 2, 2], [2, 2, 0.5, 0.5], "teacher_over_both"),
    ],
)
def test_the_gate_is_of_those_whom_the_teacher_is_behind(
    teacher: list[float], noisy: list[float], student: list[float] | None, gate: str | None
) -> None:
    choice = chosen(near(teacher, noisy, student))
    assert choice.objective.get("gate") == gate
    assert isinstance(choice.settings, ObjectiveSettings)
    if gate == "teacher_over_both":
        assert "noisy input in 25% and behind the student in 50%" in choice.reasons["gate"]


@pytest.mark.parametrize(
    ("leads", "keep"),
    [([1.0] * 10, None), ([10.0] * 5 + [0.01] * 5, 0.5), ([10.0] * 8 + [0.01] * 2, 0.8)],
)  # fmt: skip
def test_so_many_patches_as_hold_what_there_is_to_learn(leads: list[float], keep: float | None) -> None:
    noisy = [1 + lead for lead in leads]
    assert chosen(near([1.0] * len(leads), noisy)).objective.get("keep") == keep


@pytest.mark.parametrize(
    ("pull", "weight"), [(Pull(2.0, 0.1), 0.25), (Pull(2.0, -0.1), 0.12), (Pull(0.0, 0.0), 1.0)]
)
def test_the_weight_undoes_the_pull(pull: Pull, weight: float) -> None:
    choice = chosen(near([1.0], [2.0]), pull=pull)
    assert choice.objective["weight"] == pytest.approx(weight, abs=0.006)
    assert ("points away" in choice.reasons["weight"]) == (pull.cosine < 0)


def test_a_teacher_that_is_no_help_is_called_so() -> None:
    def warning(*errors: Any) -> str:
        return chosen(near(*errors)).warning

    assert "no nearer" in warning([2.0], [1.0])
    assert "ahead of this teacher on the whole" in warning([1.0], [2.0], [0.5])
    assert not warning([1.0], [2.0], [1.5])
