"""Recipes with nonsense in them: read, or refused in one sentence; never anything else."""

import random
from pathlib import Path
from typing import Any

import pytest

from sedistill.common.errors import UserError
from sedistill.common.settings import load_settings
from sedistill.models.presets import build_model
from sedistill.training.recipe.schema import Recipe
from tests.nonsense import damaged, known_keys, recipe_text, spoiled

GOOD: dict[str, Any] = {
    "name": "r",
    "student": "convtasnet-tiny",
    "data": {"train": "a", "valid": "b"},
    "objectives": [{"loss": "l2"}],
    "optimiser": {"batch_size": 2},
}


@pytest.mark.parametrize("seed", range(3))
def test_a_nonsense_recipe_is_read_or_refused_in_a_sentence(tmp_path: Path, seed: int) -> None:
    draw, known, path, refused = random.Random(seed), known_keys(Recipe), tmp_path / "bad.yaml", []
    for _ in range(60):
        text = recipe_text(spoiled(GOOD, known, draw))
        path.write_bytes(damaged(text, draw) if draw.random() < 0.3 else text.encode("utf-8", "replace"))
        try:
            load_settings(Recipe, path)
        except UserError as error:
            refused.append(str(error))
    assert len(refused) > 30
    assert all("\n" not in words and "bad.yaml" in words for words in refused)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("batch-size=4", "did you mean optimiser.batch_size"),
        ("optimiser.batch-size=4", "did you mean batch_size"),
        ("optimiser.batch_size=", "gives no value"),
        ("=4", "is not an override"),
        ("a..b=1", "is not an override"),
        ("teacher=mod\udce9", r"mod\\xe9 is no name in UTF-8 and cannot stand in a file of settings"),
        ("objectives.0.loss=x", "objectives.0.loss = x is unknown"),
        ("objectives.9.loss=x", "9 must be a position from 0 to 0"),
        ("objectives.loss=x", "loss must be a position"),
        ("objectives.²=1", "must be a position"),
        ("data=3", "data = 3: it must be a group of settings"),
        ("name=../../x", "is no name for a folder"),
        ("optimiser.batch_size=true", "must not be true or false"),
        ("se_weight=.inf", "se_weight = inf: it must be a number"),
        ("optimiser.max_steps=1000000000000", "less than or equal to 1000000000"),
        ("data.workers=5000", "less than or equal to 128"),
        ("data.train=$NOT_SET_HERE/x", "NOT_SET_HERE is not set"),
        ("seed=2024-99-99", "is not a date"),
    ],
)
def test_an_override_that_cannot_be_meant(tmp_path: Path, override: str, words: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(recipe_text(GOOD), encoding="utf-8")
    with pytest.raises(UserError, match=words):
        load_settings(Recipe, path, [override])


def test_a_base_that_leads_back_or_is_no_path(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    for base, words in (("r.yaml", "leads back"), ("3", "must be the path"), ("[a]", "must be the path"),
                        (".", "is a folder"), ("none.yaml", "does not exist")):  # fmt: skip
        path.write_text(f"base: {base}\n", encoding="utf-8")
        with pytest.raises(UserError, match=words):
            load_settings(Recipe, path)


def test_a_network_too_large_to_build_is_refused_at_once() -> None:
    for change in (
        {"filters": 10**12},
        {"blocks": 30},
        {"hidden": 60_000, "filters": 60_000, "bottleneck": 60_000},
    ):
        with pytest.raises(UserError, match=r"from 1 to|make it smaller"):
            build_model({"class": "ConvTasNet", **change})
