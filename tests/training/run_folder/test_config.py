"""A run's config.yaml: every key with what it means, and read as before it had comments."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sedistill.common.errors import UserError
from sedistill.common.settings import check_settings
from sedistill.common.yaml_files import commented_yaml, parse_yaml
from sedistill.training.recipe.keys import recipe_keys
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run import train

Write = Callable[..., Path]


def test_every_key_has_its_meaning_above_it(write_recipe: Write, world: Path) -> None:
    objectives = [{"loss": "l2", "target": "clean"}, {"loss": "kl", "target": "clean", "weight": 2.0}]
    train(write_recipe(objectives=objectives), output=world / "out")
    text = (world / "out/config.yaml").read_text()
    lines = text.splitlines()
    config = yaml.safe_load(text)
    assert [one["weight"] for one in config["recipe"]["objectives"]] == [1.0, 2.0]
    check_settings(Recipe, config["recipe"], "config.yaml")
    rate = next(number for number, line in enumerate(lines) if line.strip().startswith("learning_rate:"))
    assert lines[rate - 1].strip() == "# The highest of the schedule."
    words = " ".join(line.strip().removeprefix("# ") for line in lines if line.strip().startswith("#"))
    told = [key for key in recipe_keys() if is_in(config["recipe"], key.path)]
    assert len(told) > 50
    assert [key.path for key in told if key.meaning not in words] == []


def is_in(group: Any, path: str) -> bool:
    """Whether the key is there: groups that are null have none."""
    first, _, rest = path.partition(".")
    return isinstance(group, dict) and first in group and (not rest or is_in(group[first], rest))


def test_one_without_comments_goes_on(write_recipe: Write, world: Path) -> None:
    """As earlier versions wrote it."""
    recipe = write_recipe()
    train(recipe, output=world / "out")
    path = world / "out/config.yaml"
    config = yaml.safe_load(path.read_text())
    made_by = {"command": "sedistill train", "started": config["started"], "sedistill": "0.0.1"}
    path.write_text(yaml.safe_dump({"made_by": made_by, "recipe": config["recipe"]}))
    assert train(recipe, output=world / "out") == world / "out/student"
    train(recipe, ["optimiser.max_epochs=4"], output=world / "out")
    assert yaml.safe_load(path.read_text())["made_by"]["sedistill"] == "0.0.1"
    with pytest.raises(UserError, match="other settings"):
        train(recipe, ["seed=1"], output=world / "out")


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1, "b": {"c": [1, 2], "d": {"e": None}}, "f": []},
        {"list": [{"a": "x: y", "b": {"c": "#1"}}, {"a": [], "b": {}}, {"a": None}], "g": {}},
        {"yes": "no", "1": "2", "long": "word " * 60, "text": "a\nb\n", "é": "\u2028"},
    ],
)
def test_what_is_read_back_is_what_was_written(value: dict[str, Any]) -> None:
    comments = dict.fromkeys(["a", "b", "b.c", "b.d.e", "list", "list.0.a", "list.1.b", "é"], "word " * 40)
    text = commented_yaml(value, comments)
    assert parse_yaml(text, "here") == value
    assert text.count("# word") >= 2
