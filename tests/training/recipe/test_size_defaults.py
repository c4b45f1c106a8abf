"""What a recipe leaves out is chosen by the hours of speech, once: a run goes on with what was chosen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from sedistill.common.settings import load_settings
from sedistill.data.fixed_sets import FixedSet
from sedistill.training.recipe.schema import Recipe
from sedistill.training.recipe.size_defaults import size_of, with_batches, with_limits
from sedistill.training.run import train
from sedistill.workflows.reproducing.shipped import RECIPES

Write = Callable[..., Path]


def recipe_with(**groups: Any) -> Recipe:
    groups["data"] = {"train": "corpus", "valid": "valid", **groups.get("data", {})}
    return Recipe.model_validate({"name": "x", "student": "convtasnet-tiny", **groups})


def sized(recipe: Recipe, hours: float, batches: int = 250, on_the_fly: bool = True) -> Recipe:
    recipe = with_batches(recipe, 3600 * hours, on_the_fly)
    return with_limits(recipe, 3600 * hours, batches)


@pytest.mark.parametrize(
    ("hours", "batches", "expected"),
    [
        (0.1, 250, (4, 1000, 40, 10_000, 40)),
        (1, 500, (8, 4000, 100, 30_000, 60)),
        (10, 562, (16, None, 200, None, 100)),
    ],
)
def test_the_rows_of_the_table(hours: float, batches: int, expected: tuple) -> None:
    recipe = sized(recipe_with(), hours, batches)
    data, optimiser = recipe.data, recipe.optimiser
    found = (optimiser.batch_size, data.epoch_mixtures, data.valid_clips)
    assert (*found, optimiser.max_steps, optimiser.max_epochs) == expected


def test_what_the_recipe_says_stays() -> None:
    said = {"data": {"epoch_mixtures": None, "valid_clips": None}, "optimiser": {"batch_size": 16}}
    recipe = sized(recipe_with(**said), 0.1)
    assert (recipe.data.epoch_mixtures, recipe.data.valid_clips) == (None, None)
    assert recipe.optimiser.batch_size == 16


@pytest.mark.parametrize(
    ("optimiser", "steps", "epochs"),
    [
        ({"max_steps": 501}, 501, 3),
        ({"max_epochs": 7}, None, 7),
        ({"max_steps": None}, None, 100),
        ({"max_steps": 9, "max_epochs": 7}, 9, 7),
    ],
)
def test_one_limit_that_is_given_decides(optimiser: dict, steps: int | None, epochs: int) -> None:
    found = sized(recipe_with(optimiser=optimiser), 0.1).optimiser
    assert (found.max_steps, found.max_epochs) == (steps, epochs)


def test_fixed_sets_are_gone_through_once() -> None:
    assert sized(recipe_with(), 0.1, batches=15, on_the_fly=False).data.epoch_mixtures is None


def test_hours_are_counted_from_below() -> None:
    assert [size_of(3600 * hours).batch_size for hours in (0, 0.999, 1, 9.99, 10, 1000)] == [
        4, 4, 8, 8, 16, 16,
    ]  # fmt: skip


def test_clips_are_taken_evenly(world: Path) -> None:
    whole = FixedSet(world / "train")
    part = whole.evenly(5)
    assert [part.name(index) for index in range(5)] == [f"{n:03d}.flac" for n in (0, 2, 4, 7, 9)]
    assert all(np.array_equal(part[i][0], whole[n][0]) for i, n in enumerate((0, 2, 4, 7, 9)))
    assert len(whole) == 12 and whole.evenly(12) is whole  # noqa: PT018
    assert part.hash != whole.hash
    assert part.seconds == pytest.approx(whole.seconds * 5 / 12)


def test_a_run_says_and_keeps_what_was_chosen(
    write_recipe: Write, world: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_recipe()
    recipe = yaml.safe_load(path.read_text())
    recipe["optimiser"] = {"max_steps": 4}
    path.write_text(yaml.safe_dump(recipe))
    train(path, output=world / "out")
    text = "".join(capsys.readouterr().out.split())
    assert "12files,2sofspeech:batchesof4,3stepsanepoch,validatedon4clips(0.0min)" in text
    written = yaml.safe_load((world / "out" / "config.yaml").read_text())["recipe"]
    assert written["optimiser"]["batch_size"] == 4
    assert written["optimiser"]["max_epochs"] == 2
    assert written["data"]["valid_clips"] == 40

    from sedistill.training.recipe import size_defaults

    other = size_defaults.Size(float("inf"), 2, 9, 77, 3)
    monkeypatch.setattr(size_defaults, "SIZES", (other,))
    train(path, output=world / "out")
    assert "is finished" in capsys.readouterr().out, "rules may change, a run does not"


def test_a_run_of_an_earlier_version_goes_on_with_its_defaults(
    write_recipe: Write, world: Path, capsys: pytest.CaptureFixture
) -> None:
    """Its config.yaml says what was a default, and knows nothing of valid_clips."""
    path = write_recipe(optimiser={"batch_size": 4, "max_epochs": 100, "max_steps": 6})
    train(path, output=world / "out")
    config = world / "out" / "config.yaml"
    written = yaml.safe_load(config.read_text())
    del written["recipe"]["data"]["valid_clips"]
    config.write_text(yaml.safe_dump(written))
    recipe = yaml.safe_load(path.read_text())
    recipe["optimiser"] = {"max_steps": 6}
    path.write_text(yaml.safe_dump(recipe))
    train(path, output=world / "out")
    assert "is finished" in capsys.readouterr().out


def test_recipes_of_papers_leave_nothing_to_the_size() -> None:
    for path in RECIPES.glob("*/base.yaml"):
        recipe = yaml.safe_load(path.read_text())
        assert "valid_clips" in recipe["data"], path
        assert "batch_size" in recipe["optimiser"], path
        assert {"max_steps", "max_epochs"} & recipe["optimiser"].keys(), path
        on_the_fly = recipe["data"]["train"].startswith("corp")
        assert "epoch_mixtures" in recipe["data"] or not on_the_fly, path


def test_the_recipe_is_read_as_before(write_recipe: Write) -> None:
    recipe = load_settings(Recipe, write_recipe())
    assert (recipe.optimiser.max_epochs, recipe.data.valid_clips) == (3, None)
