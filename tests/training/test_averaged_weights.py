"""The running mean of the weights together with every other way to train."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sedistill.common.settings import load_settings
from sedistill.training.build import build_loop
from sedistill.training.inputs import prepare_run
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run import train
from tests.training.runs import assert_resumes_exactly, same, weights

Write = Callable[..., Path]

MEAN = {"batch_size": 4, "max_epochs": 3, "ema_decay": 0.9}
TWO_STEP = {"objectives": [{"loss": "l2"}], "two_step": {"kd_steps": 4}}


@pytest.mark.parametrize("method", [{"kdrl": {"distance": "si_snr"}}, TWO_STEP], ids=["kdrl", "two_step"])
def test_the_mean_is_saved_and_resumes_exactly(
    write_recipe: Write, world: Path, method: dict[str, Any]
) -> None:
    teacher = str(world / "teacher")
    without = train(write_recipe("without", teacher=teacher, **method), output=world / "without")
    recipe = write_recipe(teacher=teacher, optimiser=MEAN, **method)
    with_mean = assert_resumes_exactly(recipe, world, stop_at=5)
    assert not same(weights(without), weights(with_mean))
    last = [torch.load(place / "checkpoints/last.ckpt") for place in (world / "without", world / "whole")]
    assert same(last[0]["student"], last[1]["student"]), "the mean changes nothing of the training"


def test_a_new_stage_begins_a_mean_of_its_own(write_recipe: Write, world: Path) -> None:
    recipe = write_recipe(teacher=str(world / "teacher"), optimiser=MEAN, **TWO_STEP)
    loop = build_loop(prepare_run(load_settings(Recipe, recipe)), world / "out")
    assert loop.averaged is not None
    steps, train_on = [], loop._train_on

    def noted(batch: Any) -> str:
        note = train_on(batch)
        steps.append(loop.averaged.steps)
        return note

    loop._train_on = noted  # type: ignore[method-assign]
    loop.run()
    assert steps == [0, 1, 2, 3, 0, 1, 2, 3, 4]  # before each step is taken into the mean
