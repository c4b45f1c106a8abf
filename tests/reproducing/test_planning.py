"""What a table costs, before it is made."""

from pathlib import Path

import pytest

from sedistill.reproducing import measuring
from sedistill.reproducing.measuring import Stopwatch
from sedistill.reproducing.planning import Plan, RunCost, epoch_of, hours_text, make_plan
from sedistill.reproducing.reproduce import reproduce
from sedistill.reproducing.runs import Run, Work, plan_work
from sedistill.reproducing.sources import Sources
from sedistill.reproducing.table import load_table
from sedistill.settings import check_settings
from sedistill.training.recipe import Recipe


@pytest.fixture
def small(paper: Path, tmp_path: Path) -> tuple[Work, dict[str, Recipe], Sources]:
    table = load_table(paper / "table1")
    work = plan_work(paper / "table1", table, table.scales["small"], seeds=2)
    recipes = {name: check_settings(Recipe, recipe, name) for name, recipe in work.recipes.items()}
    return work, recipes, Sources(tmp_path, tmp_path / "out", table.scales["small"])


def test_every_network_and_objective_is_measured_once(
    small: tuple[Work, dict[str, Recipe], Sources], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def at_size(seconds_of: object, batch: int, clip_seconds: float) -> float:
        measured.append((batch, clip_seconds))
        return 0.5

    monkeypatch.setattr(measuring, "_at_size", at_size)
    work, recipes, sources = small
    plan = make_plan(work, recipes, sources, ["train", "valid", "test"], jobs=2, threads=1)
    assert measured == [(4, 0.5), (4, 0.5)], "one network, one objective; the teacher's outputs are kept"
    by_run = {str(cost.run): cost for cost in plan.costs}
    assert by_run["tiny/table1/teacher, seed 0"].steps == 4
    assert by_run["tiny/table1/alone, seed 1"].hours == pytest.approx(2 * 0.5 / 3600)
    assert by_run["tiny/table1/l2, seed 0"].hours == pytest.approx(2 * 1.0 / 3600)
    assert plan.training_hours == pytest.approx((4 * 0.5 + 4 * 0.5 + 4 * 1.0) / 3600)
    sets = 2 * (8 + 2 + 3) * 0.5 * 16_000 * 2 * 0.6
    assert sets < plan.disk_bytes < sets + 1e6


def test_hours_by_the_clock_are_shared_by_jobs() -> None:
    costs = [RunCost(Run("a", 0), 3600, 2.0, False), RunCost(Run("b", 0), 3600, 2.0, True)]
    plan = Plan(costs, scoring_hours=0.5, disk_bytes=1, jobs=4, threads=1)
    assert plan.training_hours == 2.0
    assert plan.hours == 1.0
    assert [hours_text(hours) for hours in (0.03321, 4.688, 91400.4)] == ["0.0332", "4.69", "91,400"]


def test_an_epoch_on_the_fly_covers_the_published_hours(
    paper: Path, small: tuple[Work, dict[str, Recipe], Sources]
) -> None:
    recipe = check_settings(
        Recipe,
        {"name": "x", "student": "gtcrn", "data": {"train": "corpora/speech", "valid": "sets/valid"}},
        "x",
    )
    assert epoch_of(recipe, small[2]) == (900, 4.0)
    assert epoch_of(small[1]["tiny/table1/alone"], small[2]) == (8, 0.5)


def test_a_large_step_is_scaled_from_a_short_one() -> None:
    calls = []

    def seconds_of(clips: int, length: float) -> float:
        calls.append((clips, length))
        return 0.1 * clips * length

    assert measuring._at_size(seconds_of, 4, 2.0) == pytest.approx(0.8)
    assert calls == [(1, 1.0), (4, 2.0)]
    assert measuring._at_size(seconds_of, 16, 4.0) == pytest.approx(6.4)
    assert calls[2:] == [(1, 1.0)]


def test_a_step_is_really_measured(small: tuple[Work, dict[str, Recipe], Sources]) -> None:
    recipe = small[1]["tiny/table1/l2"]
    stopwatch = Stopwatch(threads=1)
    alone = stopwatch.step_seconds(small[1]["tiny/table1/alone"], recipe.student, None, 0, 0.5, live=False)
    live = stopwatch.step_seconds(recipe, recipe.student, recipe.student, 0, 0.5, live=True)
    assert 0 < alone < live < 60


def test_a_plan_is_printed_and_nothing_written(
    paper: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table1 = paper / "table1"
    assert reproduce(table1, recordings, tmp_path / "out", scale="small", plan_only=True) is None
    said = capsys.readouterr().out
    assert said.startswith("tiny/table1 at small scale, 1 seed, in ")
    assert "3 of 3 runs to train" in said
    assert "Disk: about" in said
    assert not (tmp_path / "out").exists()
