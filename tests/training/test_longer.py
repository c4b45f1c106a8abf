"""A run that is given more steps goes on, where its schedule allows it; elsewhere it is said why not."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sedistill.common.errors import UserError
from sedistill.models.saving import read_card
from sedistill.training.run import train
from sedistill.training.run_folder.logs import read_metrics
from tests.training.runs import same, train_until_ctrl_c, weights

Write = Callable[..., Path]


@pytest.mark.parametrize("key", ["max_epochs", "max_steps"])
def test_it_ends_as_a_run_that_was_as_long_from_the_start(
    write_recipe: Write, world: Path, capsys: pytest.CaptureFixture, key: str
) -> None:
    """Three steps an epoch; two epochs, then four."""
    short, long = (2, 4) if key == "max_epochs" else (6, 12)
    recipe = write_recipe(optimiser={"max_epochs": 9})
    whole = train(recipe, [f"optimiser.{key}={long}"], output=world / "whole")
    first = weights(train(recipe, [f"optimiser.{key}={short}"], output=world / "parts"))
    capsys.readouterr()
    student = train(recipe, [f"optimiser.{key}={long}"], output=world / "parts")
    assert "the student of 6 steps is now" in capsys.readouterr().out
    assert same(weights(whole), weights(student))
    assert same(weights(world / "parts" / "student-6-steps"), first)
    assert read_card(student)["training"]["steps"] == 12
    assert read_metrics(world / "parts")["valid/se"] == read_metrics(world / "whole")["valid/se"]
    config = yaml.safe_load((world / "parts" / "config.yaml").read_text())
    assert config["recipe"]["optimiser"][key] == long
    assert {"made_by", "made_longer"} <= config.keys()
    train(recipe, [f"optimiser.{key}={long}"], output=world / "parts")
    assert "is finished" in capsys.readouterr().out


def test_a_limit_that_was_left_out_follows(write_recipe: Write, world: Path) -> None:
    path = write_recipe()
    recipe = yaml.safe_load(path.read_text())
    del recipe["optimiser"]["max_epochs"]
    path.write_text(yaml.safe_dump(recipe))
    train(path, ["optimiser.max_steps=3"], output=world / "out")
    student = train(path, ["optimiser.max_steps=12"], output=world / "out")
    assert read_card(student)["training"]["steps"] == 12


def test_there_may_be_more_room_for_the_outputs_of_more_epochs(write_recipe: Write, world: Path) -> None:
    recipe = write_recipe(
        teacher=str(world / "teacher"), objectives=[{"loss": "l2"}],
        data={"crop_seconds": 0.1, "repeat_epochs": 2}, teacher_use={"disk_limit_gb": 1e-4},
    )  # fmt: skip
    train(recipe, ["optimiser.max_epochs=1"], output=world / "out")
    longer = ["optimiser.max_epochs=2"]
    with pytest.raises(UserError, match=r"teacher_use.disk_limit_gb = 0.0001; raise it"):
        train(recipe, longer, output=world / "out")
    student = train(recipe, [*longer, "teacher_use.disk_limit_gb=1"], output=world / "out")
    assert read_card(student)["training"]["steps"] == 6


def test_it_may_be_interrupted_while_it_goes_on(write_recipe: Write, world: Path) -> None:
    whole = train(write_recipe(optimiser={"max_epochs": 4}), output=world / "whole")
    train(write_recipe(optimiser={"max_epochs": 2}), output=world / "parts")
    longer = write_recipe(optimiser={"max_epochs": 4})
    train_until_ctrl_c(longer, world / "parts", stop_at=8)
    assert not (world / "parts" / "student").exists()
    assert same(weights(whole), weights(train(longer, output=world / "parts")))


@pytest.mark.parametrize(
    ("optimiser", "more", "words"),
    [
        ({"schedule": "cosine"}, "max_epochs=4", "cannot be made longer: its learning rate goes down"),
        ({"schedule": "one_cycle"}, "max_epochs=4", r"\(schedule: one_cycle\)"),
        ({}, "max_epochs=1", "can be made longer, not shorter"),
        ({"learning_rate": 1e-12, "stop_after": 1}, "max_epochs=9", "had not improved for 1 epochs"),
    ],
)
def test_where_it_cannot_be_made_longer_nothing_changes(
    write_recipe: Write, world: Path, optimiser: dict, more: str, words: str
) -> None:
    recipe = write_recipe(optimiser={"max_epochs": 3, **optimiser})
    student = train(recipe, output=world / "out")
    before = weights(student)
    with pytest.raises(UserError, match=words) as fault:
        train(recipe, [f"optimiser.{more}"], output=world / "out")
    assert "shorter" in words or re.search(r"`student: .*/out/student`", str(fault.value))
    assert same(weights(student), before)


def test_kdrl_cannot_be_made_longer(write_recipe: Write, world: Path) -> None:
    changes = {"teacher": str(world / "teacher"), "kdrl": {"method": "fixed", "ratio": 0.5}}
    recipe = write_recipe(**changes)
    train(recipe, output=world / "out")
    with pytest.raises(UserError, match="KDRL's targets move"):
        train(recipe, ["optimiser.max_epochs=4"], output=world / "out")
