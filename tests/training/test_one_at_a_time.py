"""Two trainings in one folder would write over each other: the second is refused and touches nothing."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from filelock import FileLock

from sedistill.common.errors import UserError
from sedistill.common.writing.locking import exclusive_lock
from sedistill.training import run as run_module
from sedistill.training.run import LOCK, train
from tests.training.runs import begin_training, same, train_until_ctrl_c, wait_for, weights

Write = Callable[..., Path]


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file but the lock, which some releases of filelock empty again."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != LOCK)
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def test_a_second_command_is_refused_and_a_killed_one_leaves_no_lock(
    write_recipe: Write, world: Path, typed: Callable[..., CompletedProcess[str]]
) -> None:
    recipe = write_recipe(optimiser={"max_epochs": 4000})
    first = begin_training(recipe, world / "out")
    try:
        wait_for(world / "out" / "metrics.csv")
        ended = typed("train", recipe, "-o", world / "out")
    finally:
        first.kill()
        first.join()
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert f"another `sedistill train` is at work in {world / 'out'}" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (world / "out" / "student").exists(), "the first was over before it could be killed"
    with exclusive_lock(world / "out" / LOCK, "test"):
        pass


def test_nothing_is_touched(write_recipe: Write, world: Path) -> None:
    recipe = write_recipe()
    train_until_ctrl_c(recipe, world / "out", 4)
    before = contents(world / "out")
    with FileLock(world / "out" / LOCK), pytest.raises(UserError, match="is at work in"):
        train(recipe, output=world / "out")
    assert contents(world / "out") == before
    train(recipe, output=world / "out")  # which shows too that Ctrl-C let go


def test_of_two_that_begin_together_one_is_refused(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, build, held = write_recipe(), run_module.build_loop, FileLock(world / "out" / LOCK)

    def build_while_another_begins(*arguments):  # type: ignore[no-untyped-def]
        (world / "out").mkdir()
        held.acquire()
        return build(*arguments)

    monkeypatch.setattr(run_module, "build_loop", build_while_another_begins)
    with pytest.raises(UserError, match="is at work in"):
        train(recipe, output=world / "out")
    held.release()
    assert [path.name for path in (world / "out").iterdir()] == [LOCK]


def test_what_another_finished_meanwhile_is_left_alone(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    recipe, build = write_recipe(), run_module.build_loop

    def build_while_another_trains(*arguments):  # type: ignore[no-untyped-def]
        loop = build(*arguments)
        with monkeypatch.context() as patch:
            patch.setattr(run_module, "build_loop", build)
            train(recipe, output=world / "out")
        seen.update(contents(world / "out"))
        return loop

    seen: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr(run_module, "build_loop", build_while_another_trains)
    student = train(recipe, output=world / "out")
    assert seen
    assert contents(world / "out") == seen
    assert capsys.readouterr().out.count("is finished") == 1
    assert same(weights(student), weights(train(recipe, output=world / "out")))


def test_a_plan_is_told_while_another_trains(write_recipe: Write, world: Path) -> None:
    (world / "out").mkdir()
    with FileLock(world / "out" / LOCK):
        train(write_recipe(), output=world / "out", plan_only=True)
