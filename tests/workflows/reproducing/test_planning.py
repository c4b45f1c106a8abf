"""What a table costs, before it is made."""

from pathlib import Path

import pytest
import torch

from sedistill.common.errors import UserError
from sedistill.common.settings import check_settings
from sedistill.data.preparation import prepare
from sedistill.training.recipe.schema import Recipe
from sedistill.workflows.jobs import Run
from sedistill.workflows.reproducing import step_time, timing
from sedistill.workflows.reproducing.command import reproduce
from sedistill.workflows.reproducing.planning import Plan, RunCost, epoch_of, make_plan, range_text
from sedistill.workflows.reproducing.runs import Work, plan_work
from sedistill.workflows.reproducing.shipped import RECIPES
from sedistill.workflows.reproducing.sources import Sources
from sedistill.workflows.reproducing.step_time import Stopwatch
from sedistill.workflows.reproducing.table import load_table
from sedistill.workflows.reproducing.timing import Timing


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

    def at_size(seconds_of: object, batch: int, clip_seconds: float) -> Timing:
        measured.append((batch, clip_seconds))
        return Timing(0.5, 0.4, 0.9)

    monkeypatch.setattr(step_time, "_at_size", at_size)
    work, recipes, sources = small
    plan = make_plan(work, recipes, sources, ["train", "valid", "test"], jobs=2, threads=1)
    assert measured == [(4, 0.5), (4, 0.5)], "one network, one objective; the teacher's outputs are kept"
    by_run = {str(cost.run): cost for cost in plan.costs}
    assert by_run["tiny/table1/teacher, seed 0"].steps == 4
    assert by_run["tiny/table1/alone, seed 1"].hours.median == pytest.approx(2 * 0.5 / 3600)
    assert by_run["tiny/table1/l2, seed 0"].hours.median == pytest.approx(2 * 1.0 / 3600)
    assert plan.training_hours.median == pytest.approx((4 * 0.5 + 4 * 0.5 + 4 * 1.0) / 3600)
    assert plan.training_hours.high / plan.training_hours.low == pytest.approx(0.9 / 0.4)
    alone = recipes["tiny/table1/alone"]
    by_metric = alone.model_copy(update={"optimiser": alone.optimiser.model_copy(update={"best_by": "stoi"})})
    scored = make_plan(work, {**recipes, "tiny/table1/alone": by_metric}, sources, [], jobs=2, threads=1)
    more = scored.training_hours.median - plan.training_hours.median
    assert more == pytest.approx(2 * 1 * 2 * 0.4 / 3600), "two seeds, one epoch, two clips to validate on"
    sets = 2 * (8 + 2 + 3) * 0.5 * 16_000 * 2 * 0.6
    assert sets < plan.disk_bytes < sets + 1e6


def test_a_training_takes_the_threads_of_its_recipe_and_no_more_than_its_share(
    small: tuple[Work, dict[str, Recipe], Sources], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small[1]["tiny/table1/alone"]
    one = recipe.model_copy(update={"hardware": recipe.hardware.model_copy(update={"threads": 1})})
    assert [step_time.threads_for(each, 2) for each in (recipe, one)] == [2, 1]
    many = recipe.model_copy(update={"hardware": recipe.hardware.model_copy(update={"threads": 8})})
    assert step_time.threads_for(many, 2) == 2

    threads = []

    def at_size(seconds_of: object, batch: int, clip_seconds: float) -> Timing:
        threads.append(torch.get_num_threads())
        return Timing(0.5, 0.4, 0.9)

    monkeypatch.setattr(step_time, "_at_size", at_size)
    stopwatch = Stopwatch(threads=2)
    for each in (recipe, one, one):
        stopwatch.step_seconds(each, each.student, None, 0, 0.5, live=False)
    assert threads == [2, 1], "known from the third on"


def test_a_step_has_the_recipe_s_own_loss(
    small: tuple[Work, dict[str, Recipe], Sources], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, losses = small[1]["tiny/table1/alone"], []
    monkeypatch.setattr(step_time, "_at_size", lambda *_: Timing(1.0, 1.0, 1.0))
    monkeypatch.setattr(step_time, "enhancement_loss", str)
    monkeypatch.setattr(step_time, "with_pesq", lambda *loss: losses.append(loss))
    stopwatch = Stopwatch(threads=1)
    for se_loss, pesq_weight in ((None, 0), ("gtcrn", 0), ("gtcrn", 0), ("gtcrn", 0.5)):
        one = recipe.model_copy(update={"se_loss": se_loss, "pesq_weight": pesq_weight})
        stopwatch.step_seconds(one, one.student, None, 0, 0.5, live=False)
    assert losses == [("si_snr", 0), ("gtcrn", 0), ("gtcrn", 0.5)]


def test_hours_by_the_clock_are_shared_by_jobs() -> None:
    step = Timing(2.0, 1.0, 3.0)
    costs = [RunCost(Run("a", 0), 3600, step, False), RunCost(Run("b", 0), 3600, step, True)]
    plan = Plan(costs, scoring_hours=0.5, disk_bytes=1, jobs=4, threads=1)
    scored = RunCost(Run("c", 0), 3600, step, False, scoring_hours=0.5)
    assert scored.hours == Timing(2.5, 1.5, 3.5)
    assert plan.training_hours == Timing(2.0, 1.0, 3.0)
    assert plan.hours == Timing(1.0, 0.75, 1.25)
    assert range_text(Timing(4.688, 0.03321, 91400.4)) == "4.69 (0.0332 to 91,400)"


def test_the_range_is_that_of_the_steps_that_were_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: of 0.1, 0.2, ... 1.1 s the median is 0.6, and 80 % lie from 0.2 to 1.0 s."""
    assert Timing.of([number / 10 for number in range(1, 12)]) == pytest.approx(Timing(0.6, 0.2, 1.0))
    now, took = [0.0], iter([50.0, *(number / 10 for number in range(11, 0, -1))])

    def step() -> None:
        now[0] += next(took)

    monkeypatch.setattr(timing, "enough", lambda taken, waited: len(taken) == 11)
    for clock in ("process_time", "perf_counter"):
        monkeypatch.setattr(timing.time, clock, lambda: now[0])
    measured = timing.time_steps(step, torch.device("cpu"))
    assert (measured.median, measured.low, measured.high) == pytest.approx((0.6, 0.2, 1.0)), (
        "the first step, which warms up, does not count"
    )


def test_steps_are_timed_for_long_enough() -> None:
    assert not timing.enough([], 99.0)
    assert not timing.enough([0.01] * 7, 1.9)
    assert timing.enough([0.01] * 7, 2.0)
    assert not timing.enough([1.0] * 3, 3.0)
    assert timing.enough([7.0] * 3, 21.0)
    assert timing.enough([0.001] * 60, 0.1)


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

    def seconds_of(clips: int, length: float) -> Timing:
        calls.append((clips, length))
        return Timing(0.1, 0.05, 0.2) * (clips * length)

    assert step_time._at_size(seconds_of, 4, 2.0).median == pytest.approx(0.8)
    assert calls == [(1, 1.0), (4, 2.0)]
    assert step_time._at_size(seconds_of, 16, 4.0).high == pytest.approx(12.8)
    assert calls[2:] == [(1, 1.0)]


def test_a_step_is_really_measured(
    small: tuple[Work, dict[str, Recipe], Sources], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "LONG_ENOUGH_SECONDS", 0.0)
    recipe = small[1]["tiny/table1/l2"]
    stopwatch = Stopwatch(threads=1)
    alone = stopwatch.step_seconds(small[1]["tiny/table1/alone"], recipe.student, None, 0, 0.5, live=False)
    live = stopwatch.step_seconds(recipe, recipe.student, recipe.student, 0, 0.5, live=True)
    assert 0 < alone.median < live.median < 60
    assert alone.low <= alone.median <= alone.high


def test_a_plan_is_printed_and_nothing_written(
    paper: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(timing, "LONG_ENOUGH_SECONDS", 0.0)
    table1 = paper / "table1"
    assert reproduce(table1, recordings, tmp_path / "out", scale="small", plan_only=True) is None
    said = capsys.readouterr().out
    assert said.startswith("tiny/table1 at small scale, 1 seed, in ")
    assert "3 of 3 runs to train" in said
    assert "Disk: about" in said
    assert not (tmp_path / "out").exists()


def lacking(folder: Path, row: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the plan of a row of a table at full scale ends, without the measurements."""
    monkeypatch.setattr(step_time, "_at_size", lambda *_: Timing(1.0, 1.0, 1.0))
    with pytest.raises(UserError) as raised:
        reproduce(folder, data, tmp_path / "out", only=[row], plan_only=True)
    return str(raised.value)


def test_a_plan_says_everything_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    for side in ("clean", "noisy"):
        for speaker in ("p282", "p226", "p287"):
            place = data / "voicebank-demand-28" / f"{side}_trainset_28spk_wav" / f"{speaker}_001.wav"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"listed, not opened")
    table1 = lacking(RECIPES / "mv-at" / "table1", "s-1.5gf-baseline", data, tmp_path, monkeypatch)
    assert "lacks what mv-at/table1 needs at full scale: voicebank-demand-28 (layout" in table1
    assert "has no part for test. Put or link it there" in table1
    assert "to train" in capsys.readouterr().out, "the plan is there all the same"
    table2 = lacking(RECIPES / "mv-at" / "table2", "s-1.5gf-baseline", data, tmp_path, monkeypatch)
    assert "mv-at/table2 needs at full scale: dns2020 (layout dns2020, 500 h) is not there. Put" in table2
    kdrl = lacking(RECIPES / "kdrl" / "table15", "conv-tasnet", data, tmp_path, monkeypatch)
    assert "voicebank-demand-56 (layout voicebank-demand-56, 18.5 h) is not there" in kdrl
    assert "timit" not in kdrl, "which this table does not need"


def test_a_plan_is_content_with_a_prepared_corpus(
    paper: Path, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_time, "_at_size", lambda *_: Timing(1.0, 1.0, 1.0))
    prepare(tmp_path / "data" / "speech", clean=recordings / "clean", noise=recordings / "noise")
    assert reproduce(paper / "table1", tmp_path / "data", tmp_path / "out", "small", plan_only=True) is None
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"lacks what tiny/table1 needs at small scale: speech .*clean"):
        reproduce(paper / "table1", tmp_path / "empty", tmp_path / "out", "small", plan_only=True)
