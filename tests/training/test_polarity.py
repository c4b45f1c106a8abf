"""A new student gets the sign of the speech, and a loss that is blind to polarity does not notice."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sedistill.audio.si_snr import negative_si_snr
from sedistill.common.settings import load_settings
from sedistill.data.fixed_sets import FixedSet
from sedistill.models.presets import build_model
from sedistill.teachers.level_factor import measure_level_factor
from sedistill.training import polarity
from sedistill.training.inputs import prepare_run
from sedistill.training.polarity import Polarity
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run import train
from tests.training.runs import assert_resumes_exactly, weights

Write = Callable[..., Path]
LAST = "decoder.synthesis.weight"


def first_factor(recipe: Path) -> float:
    """Best factor onto clean of the untrained student that a recipe builds."""
    run = prepare_run(load_settings(Recipe, recipe))
    return measure_level_factor(run.student.eval(), run.valid_set, "cpu").factor


@pytest.fixture
def seed(write_recipe: Write) -> int:
    """One whose student is born inverted."""
    return next(s for s in range(50) if first_factor(write_recipe(f"try{s}", seed=s)) < 0)


@pytest.mark.parametrize("look", [0, 4])
def test_a_student_that_is_turned_learns_the_same(
    look: int, seed: int, write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polarity, "LOOKS", (look,))
    corrected = train(write_recipe("corrected", seed=seed), output=world / "corrected")
    left = train(write_recipe("left", seed=seed, correct_sign=False), output=world / "left")
    # An SI-SNR loss does not see the polarity: the same run, with the last layer negated.
    turned, kept = weights(corrected), weights(left)
    assert [name for name, value in turned.items() if not torch.equal(value, kept[name])] == [LAST]
    assert torch.equal(turned[LAST], -kept[LAST])


def test_of_a_normed_output_layer_only_what_turns_it_is_turned(world: Path) -> None:
    torch.manual_seed(0)
    one = build_model({"class": "FastEnhancer", "channels": 4, "units": 4, "bands": 4, "blocks": 1})
    other = copy.deepcopy(one)
    noisy, clean = 0.1 * torch.randn(2, 2, 4_000)

    def steps(network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        for _ in range(3):
            optimiser.zero_grad()
            negative_si_snr(network(noisy), clean).mean().backward()
            optimiser.step()

    optimisers = [torch.optim.Adam(network.parameters(), lr=1e-2) for network in (one, other)]
    steps(one, optimisers[0])
    steps(other, optimisers[1])
    Polarity(one, optimisers[0], FixedSet(world / "valid"), torch.device("cpu"))._turn()
    steps(one, optimisers[0])
    steps(other, optimisers[1])
    for (name, turned), kept in zip(one.named_parameters(), other.parameters(), strict=True):
        sign = -1 if name in ("exit.scale", "exit.bias") else 1
        assert torch.equal(turned, sign * kept), name


@pytest.mark.parametrize("stop_at", [4, 5])
def test_a_run_interrupted_at_a_turn_goes_on_exactly(
    stop_at: int, seed: int, write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(polarity, "LOOKS", (4,))
    assert_resumes_exactly(write_recipe(seed=seed), world, stop_at)
    assert capsys.readouterr().out.count("step 4: the new student's output was inverted") == 2


def test_a_saved_model_is_left_as_it_is(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("looked at")

    monkeypatch.setattr(Polarity, "look", refuse)
    train(write_recipe(student=str(world / "teacher")), output=world / "on")


class Leaning(nn.Module):
    """Upright in training; with the running means of nothing, inverted."""

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(1)
        self.dropout = nn.Dropout(0.1)
        self.last = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.last.weight, sign)

    def forward(self, noisy: Tensor) -> Tensor:
        leaning = 2 * self.norm(self.dropout(noisy)[:, None])[:, 0] - 3 * noisy
        return self.last(leaning[..., None])[..., 0]

    def sign_parameters(self) -> list[nn.Parameter]:
        return [self.last.weight]

    @torch.no_grad()
    def invert(self) -> None:
        self.last.weight.neg_()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_polarity_is_that_of_training_not_of_running_means(sign: float, world: Path) -> None:
    student, clips = Leaning(sign), FixedSet(world / "valid")
    optimiser = torch.optim.Adam(student.parameters())
    watch = Polarity(student, optimiser, clips, torch.device("cpu"))  # type: ignore[arg-type]
    buffers, drawn = copy.deepcopy(dict(student.named_buffers())), torch.get_rng_state()
    watch.look(0)
    assert student.last.weight.item() == 1
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, buffers[name]) for name, value in student.named_buffers())
    assert measure_level_factor(student.eval(), clips, "cpu").factor < 0


def test_looks_are_few(world: Path) -> None:
    student = Leaning(-1.0)
    optimiser = torch.optim.Adam(student.parameters())
    watch = Polarity(student, optimiser, FixedSet(world / "valid"), torch.device("cpu"))  # type: ignore[arg-type]
    for step in (1, 24, 26, 201):
        watch.look(step)
    assert student.last.weight.item() == -1
    watch.look(25)
    assert student.last.weight.item() == 1
