"""docs/recipe.md is what the settings say, and every key says what it means."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sedistill.cli import app
from sedistill.common.errors import UserError
from sedistill.training.recipe.keys import keys_about, markdown, recipe_keys

ROOT = Path(__file__).parents[3]


def test_the_page_is_as_it_would_be_made_now() -> None:
    written = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    assert written == markdown(), "make it anew: python -m sedistill.training.recipe.keys"


def test_every_key_says_what_it_means() -> None:
    assert [key.path for key in recipe_keys() if key.meaning == "–"] == []


def test_types_defaults_and_units() -> None:
    keys = {key.path: key for key in recipe_keys()}
    assert keys["student"].default == "needed"
    assert keys["optimiser.ema_decay"].takes == "number, null"
    assert keys["data.mixing.level_db"].unit == "dB"
    assert keys["data.mixing.clip_seconds"].unit == "s"
    assert keys["hardware.compile"].default == "false"
    assert "plateau" in keys["optimiser.schedule"].takes
    assert any(path.startswith("objectives[l1, ") and path.endswith(".keep") for path in keys)


def test_a_word_finds_its_keys() -> None:
    assert [key.path for key in keys_about("ema_decay")] == ["optimiser.ema_decay"]
    with pytest.raises(UserError, match="no key of a recipe has 'xyzzy'"):
        keys_about("xyzzy")


def test_the_command_lists_them_without_a_recipe() -> None:
    told = CliRunner().invoke(app, ["train", "--keys", "warmup"])
    assert told.exit_code == 0
    assert "optimiser.warmup_steps" in told.output
