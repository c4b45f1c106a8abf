"""Batch norm learns from training batches alone: whoever looks on leaves its statistics as they are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sedistill.common.settings import load_settings
from sedistill.models.presets import build_model
from sedistill.models.saving import save_model
from sedistill.training.build import build_loop
from sedistill.training.inputs import PreparedRun, prepare_run
from sedistill.training.loop import Loop
from sedistill.training.optimiser import AveragedWeights
from sedistill.training.polarity import Polarity
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run import train
from tests.training.conftest import write_pairs
from tests.training.runs import assert_resumes_exactly

Write = Callable[..., Path]
SMALL = {"class": "FastEnhancer", "channels": 8, "convolutions": 1, "blocks": 1, "units": 8, "bands": 8}
FEATURES = {"loss": "attention", "pairs": [["blocks.0", "blocks.0"]]}


@pytest.fixture
def sounds(world: Path) -> dict[str, Any]:
    """Data and teacher for FastEnhancer, with features compared."""
    torch.manual_seed(3)
    save_model(build_model(SMALL), world / "fast-teacher")
    for name, clips in (("long-train", 8), ("long-valid", 3)):
        write_pairs(world / name, clips=clips, seed=clips, samples=4_096)
    return {
        "student": SMALL,
        "data": {"train": str(world / "long-train"), "valid": str(world / "long-valid")},
        "teacher": str(world / "fast-teacher"),
        "teacher_use": {"cache": "never"},
        "objectives": [{"loss": "l2"}, FEATURES],
    }


def statistics(network: torch.nn.Module) -> dict[str, Tensor]:
    found = {name: value.clone() for name, value in network.named_buffers() if "running" in name}
    assert found, "a network with batch norm"
    return found


def prepared(write_recipe: Write, world: Path, **changes: Any) -> tuple[PreparedRun, Loop]:
    run = prepare_run(load_settings(Recipe, write_recipe(**changes)))
    return run, build_loop(run, world / "out")


def looks(run: PreparedRun, loop: Loop) -> dict[str, Callable[[], object]]:
    batch = next(iter(loop.train_batches))
    polarity = loop.polarity
    assert isinstance(polarity, Polarity)
    return {
        "validation": lambda: loop.validation.measure(lambda: None, lambda: False),
        "the search for a bad clip": lambda: loop.step.terms(batch),
        "a look at the polarity": lambda: polarity._is_inverted(),
        "another rehearsal": lambda: build_loop(run, loop.folder),
    }


def test_whoever_looks_on_leaves_the_statistics_alone(
    write_recipe: Write, world: Path, sounds: dict[str, Any]
) -> None:
    fresh = statistics(build_model(SMALL))
    run, loop = prepared(write_recipe, world, **sounds)
    assert run.teacher is not None
    for name, value in statistics(run.student).items():
        assert torch.equal(value, fresh[name]), "the rehearsal"
    of_teacher = statistics(run.teacher.network)
    run.student.train()
    batch = next(iter(loop.train_batches))
    loop.step(batch, measure_balance=True)
    learnt = statistics(run.student)
    assert any(not torch.equal(value, fresh[name]) for name, value in learnt.items())
    for what, look in looks(run, loop).items():
        look()
        for name, value in statistics(run.student).items():
            assert torch.equal(value, learnt[name]), what
    for name, value in statistics(run.teacher.network).items():
        assert torch.equal(value, of_teacher[name]), "the teacher's"


def test_batches_of_one_clip_train(write_recipe: Write, world: Path, sounds: dict[str, Any]) -> None:
    sounds["optimiser"] = {"batch_size": 1, "max_epochs": 1}
    student = train(write_recipe(**sounds), output=world / "out")
    state = torch.cat([value.flatten() for value in statistics(build_model(SMALL)).values()])
    from sedistill.models.saving import load_model

    found = torch.cat([value.flatten() for value in statistics(load_model(student)).values()])
    assert bool(found.isfinite().all())
    assert not torch.equal(found, state)


@pytest.mark.parametrize("stop_at", [3])
def test_averaged_weights_resume_bit_for_bit(
    write_recipe: Write, world: Path, sounds: dict[str, Any], stop_at: int
) -> None:
    sounds["optimiser"] = {"batch_size": 4, "max_epochs": 2, "ema_decay": 0.9, "weight_decay": 0.01}
    assert_resumes_exactly(write_recipe(**sounds), world, stop_at)


def test_statistics_are_averaged_as_weights_are() -> None:
    """Against numbers by hand: after step n the mean keeps min(decay, (1 + n) / (10 + n)) of itself."""
    network = torch.nn.BatchNorm1d(1)
    averaged = AveragedWeights(network, decay=0.24)
    mean, variance = 0.0, 1.0
    random = np.random.default_rng(0)
    for step in range(1, 5):
        network(torch.tensor(random.normal(2, 3, (16, 1)), dtype=torch.float32))
        averaged.update()
        keep = min(0.24, (1 + step) / (10 + step))
        mean = keep * mean + (1 - keep) * float(network.running_mean)  # type: ignore[arg-type]
        variance = keep * variance + (1 - keep) * float(network.running_var)  # type: ignore[arg-type]
    own = statistics(network)
    with averaged.in_place():
        assert float(network.running_mean) == pytest.approx(mean, rel=1e-5)  # type: ignore[arg-type]
        assert float(network.running_var) == pytest.approx(variance, rel=1e-5)  # type: ignore[arg-type]
        assert int(network.num_batches_tracked) == 4  # type: ignore[arg-type]
    for name, value in statistics(network).items():
        assert torch.equal(value, own[name]), "its own again afterwards"
