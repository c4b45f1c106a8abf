"""NaN in a training: never learnt from, never saved, always named, and gone back from where that helps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch

from sedistill.common.errors import UserError
from sedistill.data.examples import FixedDataset
from sedistill.training import loop as loop_module
from sedistill.training.enhancement_losses import ENHANCEMENT_LOSSES
from sedistill.training.not_finite import NotFiniteError, refuse_state_not_finite
from sedistill.training.run import train
from sedistill.training.run_folder.checkpoints import load_checkpoint, save_checkpoint
from sedistill.training.run_folder.logs import read_metrics
from tests.training.runs import same, weights

Write = Callable[..., Path]
NAN = float("nan")
METHODS: dict[str, dict[str, Any]] = {
    "plain": {},
    "distilled": {"objectives": [{"loss": "dfkd", "keep": 0.8, "patches": "multi-scale"}]},
    "two-step": {"objectives": [{"loss": "l2"}], "two_step": {"kd_steps": 4}},
    "auxiliary": {
        "objectives": [
            {"loss": "layer_attention", "student_layers": ["encoder"], "teacher_layers": ["encoder"]}
        ]
    },
    "kdrl": {"kdrl": {"policy_input_length": 60}},
    "kdrl-own-moments": {"kdrl": {"policy_input_length": 60, "reference_optimiser": "own"}},
    "kdrl-fixed": {"kdrl": {"method": "fixed"}},
    "patch-record": {"patch_record": {"clips": 2, "every_steps": 2}},
}


def last(folder: Path) -> dict[str, Any]:
    return load_checkpoint(folder / "checkpoints" / "last.ckpt")


class SpoilingSteps:
    """Makes a sample of a batch's noisy speech NaN at some steps; each as often as it is listed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
        self.left, train_on = list(steps), loop_module.Loop._train_on

        def spoiling(loop: loop_module.Loop, batch: dict[str, torch.Tensor]) -> str:
            if loop.progress.step + 1 in self.left:
                self.left.remove(loop.progress.step + 1)
                batch["noisy"][1, 500] = NAN
            return train_on(loop, batch)

        monkeypatch.setattr(loop_module.Loop, "_train_on", spoiling)


@pytest.mark.parametrize("method", METHODS)
def test_what_goes_wrong_once_is_gone_back_from_and_leaves_no_trace(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    teacher = {} if method in ("plain", "patch-record") else {"teacher": str(world / "teacher")}
    recipe = write_recipe(**METHODS[method], **teacher)
    whole = train(recipe, output=world / "whole")
    SpoilingSteps(monkeypatch, 5)
    spoilt = train(recipe, output=world / "spoilt")
    assert same(weights(whole), weights(spoilt))
    curves, whole_curves = read_metrics(world / "spoilt"), read_metrics(world / "whole")
    for name in whole_curves.keys() - {"seconds", "memory_mb"}:
        assert curves[name] == whole_curves[name]
    if (world / "whole" / "ratios.csv").exists():
        assert (world / "spoilt" / "ratios.csv").read_text() == (world / "whole" / "ratios.csv").read_text()


def test_what_goes_wrong_twice_ends_with_the_clip_and_the_last_good_checkpoint(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe()
    whole = train(recipe, output=world / "whole")
    with monkeypatch.context() as patch:
        SpoilingSteps(patch, 5, 5)
        with pytest.raises(UserError, match=r"step 5: `noisy` of .*noisy/0\d\d\.flac is not finite") as error:
            train(recipe, output=world / "out")
    assert "step 3" in str(error.value)
    assert "\n" not in str(error.value)
    assert last(world / "out")["progress"]["step"] == 3
    refuse_state_not_finite(last(world / "out"))
    assert not (world / "out" / "student").exists()
    assert same(weights(whole), weights(train(recipe, output=world / "out")))


def test_it_goes_back_three_times_at_most(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SpoilingSteps(monkeypatch, 4, 5, 6, 7)
    with pytest.raises(UserError, match=r"step 7: .* is not finite"):
        train(write_recipe(), output=world / "out")
    assert last(world / "out")["progress"]["step"] == 6


def test_before_the_first_checkpoint_it_ends_at_once(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SpoilingSteps(monkeypatch, 2)
    with pytest.raises(UserError, match="stopped at step 2"):
        train(write_recipe(), output=world / "out")
    assert not (world / "out" / "checkpoints" / "last.ckpt").exists()


def test_a_term_is_named_with_its_clip(
    write_recipe: Write, world: Path, distilled: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    loud = float(np.abs(FixedDataset(world / "train")[3]["noisy"]).sum())

    def fails_on_one(estimate: torch.Tensor, clean: torch.Tensor, noisy: torch.Tensor) -> torch.Tensor:
        is_that = (noisy.abs().sum(dim=1) - loud).abs() < 1e-3
        return torch.where(is_that, NAN, (estimate - clean).square().mean(dim=1))

    monkeypatch.setitem(ENHANCEMENT_LOSSES, "si_snr", fails_on_one)
    with pytest.raises(UserError, match=r"step \d: se, first for .*003\.flac, is not finite"):
        train(write_recipe(**distilled), output=world / "out")


@pytest.mark.parametrize(
    ("step", "words"), [(5, "step 6: the student's weight encoder"), (6, "step 6: the validation loss")]
)
def test_weights_that_flew_away_are_named_and_never_saved(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch, step: int, words: str
) -> None:
    """A checkpoint is due after every step, and so right after they did."""
    look_on = loop_module.Loop._after_step

    def spoiling(loop: loop_module.Loop) -> None:
        look_on(loop)
        if loop.progress.step == step:
            with torch.no_grad():
                next(loop.network.parameters()).fill_(NAN)

    monkeypatch.setattr(loop_module.Loop, "_after_step", spoiling)
    for minutes in (1e-9, 1e4):
        recipe = write_recipe(logging={"checkpoint_minutes": minutes})
        with pytest.raises(UserError, match="student.encoder" if minutes < 1 else words):
            train(recipe, output=world / str(minutes))
        refuse_state_not_finite(last(world / str(minutes)))


@pytest.mark.parametrize("step", [0, 4])
def test_patches_of_nan_are_not_recorded(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    look_on = loop_module.Loop._after_step

    def spoiling(loop: loop_module.Loop) -> None:
        if loop.progress.step == step:
            with torch.no_grad():
                next(loop.network.parameters()).fill_(NAN)
        look_on(loop)

    monkeypatch.setattr(loop_module.Loop, "_after_step", spoiling)
    recipe = write_recipe(correct_sign=False, patch_record={"clips": 2, "every_steps": 2})
    with pytest.raises(UserError, match=rf"step {step}: the student's output for 000\.flac"):
        train(recipe, output=world / "out")


@pytest.mark.parametrize("every", [True, False])
def test_without_a_finite_validation_loss_there_is_no_student(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch, every: bool
) -> None:
    validate = loop_module.Loop._validate

    def spoilt(loop: loop_module.Loop) -> None:
        losses = loop.validation.clip_losses

        def broken(batch: Any) -> torch.Tensor:
            values = losses(batch)
            values[2] = NAN if every or loop.progress.step > 3 else values[2]
            return values

        with monkeypatch.context() as patch:
            patch.setattr(loop.validation, "clip_losses", broken)
            validate(loop)

    monkeypatch.setattr(loop_module.Loop, "_validate", spoilt)
    words = r"the validation loss, without which there is no student, first for .*valid/noisy/002\.flac"
    with pytest.raises(UserError, match=words):
        train(write_recipe(), output=world / "out")
    assert not (world / "out" / "student").exists()
    assert (world / "out" / "checkpoints" / "best.ckpt").exists() == (not every)


def test_a_checkpoint_of_a_training_that_failed_is_said(write_recipe: Write, world: Path) -> None:
    """As earlier versions saved them; finished with weights of NaN, and on the way."""
    recipe = write_recipe()
    student = train(recipe, output=world / "out")
    for path in (student / "card.yaml", student / "model.safetensors"):
        path.unlink()
    state = last(world / "out")
    name = next(iter(state["student"]))
    good = {key: value for key, value in state.items() if key != "random"}
    spoilt = {**good, "student": {**good["student"], name: torch.full_like(good["student"][name], NAN)}}
    save_checkpoint(world / "out" / "checkpoints" / "last.ckpt", spoilt)
    with pytest.raises(UserError, match=rf"last\.ckpt .*student\.{name} is not finite; delete it"):
        train(recipe, output=world / "out")
    never = {**good, "progress": {**good["progress"], "best_loss": float("inf")}}
    save_checkpoint(world / "out" / "checkpoints" / "last.ckpt", never)
    (world / "out" / "checkpoints" / "best.ckpt").unlink()
    with pytest.raises(UserError, match="none of its validation losses was finite"):
        train(recipe, output=world / "out")


@pytest.mark.parametrize("side", ["noisy", "clean"])
@pytest.mark.parametrize("split", ["train", "valid"])
@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_a_clip_of_floats_with_nan_is_named(
    write_recipe: Write, world: Path, split: str, side: str, value: float
) -> None:
    for half in ("noisy", "clean"):
        path = world / split / half / "001.flac"
        samples, rate = sf.read(path, dtype="float32")
        samples[700] = value if half == side else samples[700]
        sf.write(path.with_suffix(".wav"), samples, rate, subtype="FLOAT")
        path.unlink()
    with pytest.raises(UserError, match=rf"{split}/{side}/001\.wav holds {value} at sample 700"):
        train(write_recipe(), output=world / "out")
    assert not (world / "out" / "student").exists()


def test_every_part_of_a_state_is_looked_at() -> None:
    good = {"a": [torch.zeros(2), {"b": torch.ones(1)}], "best_loss": float("inf"), "name": "x"}
    refuse_state_not_finite(good)
    with pytest.raises(NotFiniteError, match=r"^a\.1\.b$"):
        refuse_state_not_finite({**good, "a": [torch.zeros(2), {"b": torch.tensor([1.0, NAN])}]})
