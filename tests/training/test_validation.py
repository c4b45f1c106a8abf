"""Which epoch's weights are kept: by the validation loss, or by a metric of the validation set."""

import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sedistill.common.errors import UserError
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.command import evaluate
from sedistill.models.presets import build_model
from sedistill.models.saving import read_card
from sedistill.training.run import train
from sedistill.training.run_folder.checkpoints import load_checkpoint
from sedistill.training.run_folder.logs import read_metrics
from sedistill.training.validation import Validation, ValidationMetric
from tests.training.conftest import TINY_NETWORK
from tests.training.runs import assert_resumes_exactly, same, weights

Write = Callable[..., Path]
BY_SI_SDR = {"best_by": "si_sdr", "max_epochs": 4}


def scripted(monkeypatch: pytest.MonkeyPatch, losses: list[float], metrics: list[float]) -> None:
    """Let validation say these, epoch by epoch."""

    of_epochs = iter(losses)

    def loss_of(self: Validation, pause: Any) -> float:
        return next(of_epochs)

    def metric_of(self: ValidationMetric, network: Any, interrupted: Any) -> float:
        return metrics.pop(0)

    monkeypatch.setattr(Validation, "_loss", loss_of)
    monkeypatch.setattr(ValidationMetric, "mean", metric_of)


def test_it_is_the_mean_that_evaluate_computes(world: Path) -> None:
    network = build_model(TINY_NETWORK).eval()
    criterion = ValidationMetric("si_sdr", FixedSet(world / "valid"), workers=2)
    mean = criterion.mean(network, lambda: False)
    scores = evaluate(network, world / "valid", ["si_sdr"], workers=1, correct_level=False)
    model = next(name for name in scores.models if name != "noisy")
    assert mean == pytest.approx(scores.mean(model, "si_sdr"), abs=1e-9)


def test_the_best_weights_are_those_of_the_highest_metric(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, losses=[3.0, 1.0, 2.0, 4.0], metrics=[1.0, 2.0, 5.0, 5.0])
    train(write_recipe(optimiser=BY_SI_SDR), output=world / "out")
    card = read_card(world / "out" / "student")
    assert card["metrics"]["validation_loss"] == 2.0, "of the weights that are kept"
    assert card["metrics"]["validation_si_sdr"] == 5.0
    assert card["training"]["best_step"] == 9, "of equal ones the first, 3 steps an epoch"
    assert [value for _, value in read_metrics(world / "out")["valid/si_sdr"]] == [1.0, 2.0, 5.0, 5.0]


def test_by_default_it_is_the_loss(write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, losses=[3.0, 1.0, 2.0, 4.0], metrics=[])
    train(write_recipe(optimiser={"max_epochs": 4}), output=world / "out")
    card = read_card(world / "out" / "student")
    assert (card["metrics"]["validation_loss"], card["training"]["best_step"]) == (1.0, 6)
    assert "valid/si_sdr" not in read_metrics(world / "out")


def test_plateau_and_early_stop_follow_the_metric(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss falls all the time, the metric from the second epoch on."""
    scripted(monkeypatch, losses=[5.0 - epoch for epoch in range(6)], metrics=[6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    optimiser = {"best_by": "si_sdr", "halve_after": 1, "stop_after": 2, "max_epochs": 6}
    train(write_recipe(optimiser=optimiser), output=world / "out")
    state = load_checkpoint(world / "out" / "checkpoints" / "last.ckpt")
    assert (state["progress"]["epoch"], state["progress"]["best_epoch"]) == (3, 0)
    assert state["peak_rate"] == pytest.approx(1e-3 / 4)


def test_a_run_resumes_with_the_best_that_it_had(write_recipe: Write, world: Path) -> None:
    assert_resumes_exactly(write_recipe(optimiser=BY_SI_SDR), world, stop_at=7)
    card, whole = (read_card(world / run / "student") for run in ("parts", "whole"))
    assert card["metrics"] == whole["metrics"]


def test_an_interruption_in_the_middle_of_scoring_is_heard_and_loses_nothing(
    write_recipe: Write, world: Path
) -> None:
    recipe = write_recipe(optimiser=BY_SI_SDR)
    whole = train(recipe, output=world / "whole")
    mean = ValidationMetric.mean

    def ctrl_c_then_mean(self: ValidationMetric, network: Any, interrupted: Callable[[], bool]) -> float:
        os.kill(os.getpid(), signal.SIGINT)
        return mean(self, network, interrupted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ValidationMetric, "mean", ctrl_c_then_mean)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, output=world / "parts")
    assert "valid/si_sdr" not in read_metrics(world / "parts")
    assert same(weights(whole), weights(train(recipe, output=world / "parts")))
    assert read_metrics(world / "parts")["valid/si_sdr"] == read_metrics(world / "whole")["valid/si_sdr"]


def test_a_metric_that_is_undefined_everywhere_is_told_before_the_training(
    write_recipe: Write, world: Path
) -> None:
    with pytest.raises(
        UserError, match=r"best_by: stoi is undefined on every clip of .*valid \(.+\); choose"
    ):
        train(write_recipe(optimiser={"best_by": "stoi"}), output=world / "out")  # clips of 0.15 s
    assert not (world / "out" / "metrics.csv").exists()


def test_an_epoch_without_a_score_is_not_the_best(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = ValidationMetric("si_sdr", FixedSet(world / "valid"), workers=1)
    network = build_model(TINY_NETWORK).eval()
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    assert math.isnan(silent.mean(network, lambda: False))
    scripted(monkeypatch, losses=[1.0, 2.0, 3.0], metrics=[math.nan, 4.0, math.nan])
    train(write_recipe(optimiser={**BY_SI_SDR, "max_epochs": 3}), output=world / "out")
    card = read_card(world / "out" / "student")
    assert (card["metrics"]["validation_si_sdr"], card["training"]["best_step"]) == (4.0, 6)
    scripted(monkeypatch, losses=[1.0], metrics=[math.nan])
    with pytest.raises(UserError, match="no epoch had a finite validation loss and si_sdr"):
        train(write_recipe(optimiser={**BY_SI_SDR, "max_epochs": 1}), output=world / "none")


def test_an_unknown_criterion_is_refused(write_recipe: Write) -> None:
    with pytest.raises(UserError, match="'pesq' is unknown; did you mean pesq_"):
        train(write_recipe(optimiser={"best_by": "pesq"}))


def test_a_criterion_that_does_not_look_at_noisy_speech_is_refused(write_recipe: Write) -> None:
    with pytest.raises(UserError, match="do_no_harm does not tell what becomes of noisy speech"):
        train(write_recipe(optimiser={"best_by": "do_no_harm"}))
