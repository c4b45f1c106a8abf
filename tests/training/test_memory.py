"""What makes a training fit into memory: pieces of a batch, blocks computed again, and float16."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sedistill.common.errors import UserError
from sedistill.models.presets import build_model
from sedistill.training.enhancement_losses import ENHANCEMENT_LOSSES
from sedistill.training.not_finite import NotFiniteError
from sedistill.training.pieces import pieces_of
from sedistill.training.recompute import recompute_activations
from sedistill.training.run import train
from sedistill.training.run_folder.logs import read_metrics
from sedistill.training.steps import PlainStep
from sedistill.training.tasks import Task
from tests.training.conftest import TINY_NETWORK
from tests.training.runs import assert_resumes_exactly, same, weights
from tests.training.test_methods import FEATURES

Write = Callable[..., Path]
NORMED = {"class": "FastEnhancer", "channels": 4, "convolutions": 1, "blocks": 2, "units": 4, "bands": 4}


def test_each_piece_has_its_share_of_clips_with_and_without_clean_speech() -> None:
    numbers = torch.arange(6)
    batch = {"index": numbers, "noisy": torch.rand(6, 5), "clean": torch.rand(4, 5)}
    first, second = pieces_of(batch, 2)
    assert first["index"].tolist() == [0, 1, 4]
    assert second["index"].tolist() == [2, 3, 5]
    assert torch.equal(second["clean"], batch["clean"][2:])
    assert torch.equal(second["noisy"], batch["noisy"][second["index"]])
    assert pieces_of(batch, 1) == [batch]


def test_what_pieces_cannot_do_is_refused(write_recipe: Write, world: Path) -> None:
    with pytest.raises(UserError, match=r"batch_size = 4: .* equally among 3 pieces \(hardware.accumulate\)"):
        train(write_recipe(hardware={"accumulate": 3}), output=world / "out")
    ranked = {
        "teacher": str(world / "teacher"),
        "objectives": [{"loss": "l2", "rank_over": "batch", "keep": 0.5}],
    }
    with pytest.raises(UserError, match=r"hardware.accumulate: the objective .* compares all clips"):
        train(write_recipe(hardware={"accumulate": 2}, **ranked), output=world / "out")
    assert not (world / "out").exists()


@pytest.mark.parametrize("method", ["features", "kdrl", "norms"])
def test_blocks_computed_again_change_no_bit(write_recipe: Write, world: Path, method: str) -> None:
    """Of tapped features, of three gradients, and of running means, which see each batch once."""
    kdrl = {"method": "C", "distance": "mse", "policy_input_length": 400}
    keys: dict[str, Any] = {
        "features": {"objectives": [FEATURES["attention"]]},
        "kdrl": {"kdrl": kdrl},
        "norms": {"student": NORMED, "optimiser": {"max_epochs": 1}},
    }[method]
    recipe = write_recipe(teacher=str(world / "teacher"), **keys)
    kept, again = (
        train(recipe, [f"hardware.recompute={value}"], output=world / value) for value in ("false", "true")
    )
    assert same(weights(kept), weights(again))


def test_blocks_computed_again_are_not_kept() -> None:
    def kept_bytes(recomputed: bool) -> int:
        torch.manual_seed(0)
        network = build_model({**TINY_NETWORK, "repeats": 8})
        if recomputed:
            recompute_activations(network)
        sizes = []

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            sizes.append(tensor.nbytes)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            network(torch.randn(2, 16_000)).sum().backward()
        return sum(sizes)

    assert kept_bytes(recomputed=True) < 0.5 * kept_bytes(recomputed=False)
    with pytest.raises(UserError, match="Linear has no blocks in a row"):
        recompute_activations(torch.nn.Linear(2, 2))


def test_float16_trains_and_resumes_exactly(
    write_recipe: Write, world: Path, distilled: dict[str, Any]
) -> None:
    recipe = write_recipe(hardware={"precision": "fp16-mixed", "accumulate": 2}, **distilled)
    student = assert_resumes_exactly(recipe, world, stop_at=4)
    curves = read_metrics(world / "whole")
    (_, first), *_, (_, last) = curves["gradient/skipped_share"]
    assert first > last == 0, "the factor begins too high for the first steps"
    full = train(recipe, ["hardware.precision=32-true", "hardware.accumulate=1"], output=world / "full")
    for name, value in weights(full).items():
        torch.testing.assert_close(weights(student)[name], value, atol=0.02, rtol=0.1)
    assert not same(weights(student), weights(full))


def float16_step(factor: float) -> tuple[PlainStep, dict[str, torch.Tensor]]:
    """A step whose loss is multiplied by a factor, and a batch for it."""
    torch.manual_seed(0)
    student = build_model(TINY_NETWORK)
    loss = ENHANCEMENT_LOSSES["si_snr"]
    scaled = lambda *signals: factor * loss(*signals)  # noqa: E731
    optimiser = torch.optim.Adam(student.parameters(), lr=1e-3, fused=True)
    precision = torch.autocast("cpu", torch.float16)
    clean = 0.1 * torch.randn(2, 1000)
    step = PlainStep(Task(student, scaled, 0.5, {}, 0.5, {}, None), student, optimiser, 5.0, precision)
    return step, {"clean": clean, "noisy": clean + 0.05 * torch.randn(2, 1000)}


def test_a_step_too_large_for_float16_is_left_out_and_the_next_is_taken() -> None:
    step, batch = float16_step(factor=100)
    before = {name: value.clone() for name, value in step.student.state_dict().items()}
    factor = step.scaler.get_scale()
    skipped = 0
    while (log := step(batch, measure_balance=False))["gradient/skipped_share"]:
        skipped += 1
        assert "gradient/norm" not in log
        assert same(before, step.student.state_dict())
        assert step.scaler.get_scale() == factor / 2**skipped
    assert skipped > 0
    assert math.isfinite(float(log["gradient/norm"]))
    assert not same(before, step.student.state_dict())
    taken, _ = float16_step(factor=1.0)
    taken.load_state_dict(step.state_dict())
    assert taken.scaler.get_scale() == step.scaler.get_scale()


def test_what_no_factor_mends_is_a_fault() -> None:
    step, batch = float16_step(factor=1e12)
    while step.scaler.get_scale() > 1:
        assert step(batch, measure_balance=False)["gradient/skipped_share"]
    with pytest.raises(NotFiniteError, match="the gradient"):
        step(batch, measure_balance=False)
