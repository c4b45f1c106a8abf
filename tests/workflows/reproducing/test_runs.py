"""From rows to trainings: teachers first and once, recipes as a scale changes them, rows by name."""

from pathlib import Path

import pytest
import yaml

from sedistill.common.errors import UserError
from sedistill.workflows.jobs import Run
from sedistill.workflows.reproducing.report_text import noisy_first
from sedistill.workflows.reproducing.runs import merged, needs, plan_work, resolved
from sedistill.workflows.reproducing.table import load_table

from .conftest import NETWORK


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def test_teachers_come_first_and_once(paper: Path) -> None:
    table = load_table(paper / "table1")
    work = plan_work(paper / "table1", table, table.scales["small"], seeds=2)
    assert [str(run) for run in work.runs] == [
        "tiny/table1/teacher, seed 0",
        "tiny/table1/alone, seed 0",
        "tiny/table1/alone, seed 1",
        "tiny/table1/l2, seed 0",
        "tiny/table1/l2, seed 1",
    ]
    teacher, alone, _, quoted = table.rows
    assert work.runs_of(teacher) == [Run("tiny/table1/teacher", 0)], "a teacher has one seed"
    assert work.runs_of(alone) == [Run("tiny/table1/alone", 0), Run("tiny/table1/alone", 1)]
    assert work.runs_of(quoted) == []


def test_only_some_rows_and_what_they_need(paper: Path) -> None:
    table = noisy_first(load_table(paper / "table1"))
    work = plan_work(paper / "table1", table, table.scales["small"], seeds=1, only=["l2"])
    assert [row.key for row in work.chosen] == ["noisy", "l2"]
    assert [run.name for run in work.runs] == ["tiny/table1/teacher", "tiny/table1/l2"]
    with pytest.raises(UserError, match="there is no row alon; did you mean alone"):
        plan_work(paper / "table1", table, table.scales["small"], seeds=1, only=["alon"])
    with pytest.raises(UserError, match="seeds = 0"):
        plan_work(paper / "table1", table, table.scales["small"], seeds=0)


def test_a_scale_changes_recipes_from_the_general_to_the_special(paper: Path) -> None:
    scale = load_table(paper / "table1").scales["small"]
    teacher, alone = (resolved(f"tiny/table1/{name}", paper, scale) for name in ("teacher", "alone"))
    assert alone["student"] == teacher["student"] == NETWORK, "a network takes the place of the preset"
    assert alone["data"] == {"train": "sets/train", "valid": "sets/valid"}
    assert (alone["optimiser"]["max_steps"], teacher["optimiser"]["max_steps"]) == (2, 4)
    assert teacher["optimiser"]["batch_size"] == 4
    full = resolved("tiny/table1/alone", paper, load_table(paper / "table1").scales["full"])
    assert full["student"] == "gtcrn"


def test_groups_are_merged_and_lists_replaced() -> None:
    under = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merged(under, {"a": {"c": [3]}, "d": {"e": 2}}) == {"a": {"b": 1, "c": [3]}, "d": {"e": 2}}
    assert under == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_every_kind_of_need_is_found() -> None:
    recipe = {
        "teacher": "runs/a/teacher/seed-0/student",
        "student": "runs/b/seed-3/student",
        "objectives": [{"teachers": ["runs/c/seed-0/student", "elsewhere/student"]}, {"loss": "l2"}],
    }
    assert needs(recipe) == [Run("a/teacher", 0), Run("b", 3), Run("c", 0)]
    assert needs({"student": "gtcrn", "teacher": None}) == []


def test_recipes_that_wait_for_each_other_are_refused(paper: Path) -> None:
    rewrite(paper / "table1" / "teacher.yaml", teacher="runs/tiny/table1/l2/seed-0/student")
    table = load_table(paper / "table1")
    with pytest.raises(UserError, match="wait for each other"):
        plan_work(paper / "table1", table, table.scales["small"], seeds=1)


def test_a_recipe_is_named_as_its_file(paper: Path) -> None:
    rewrite(paper / "table1" / "alone.yaml", name="alone")
    table = load_table(paper / "table1")
    with pytest.raises(UserError, match="its name is alone; name it tiny/table1/alone"):
        plan_work(paper / "table1", table, table.scales["small"], seeds=1)
