"""A run goes on with the data and the teachers it was begun with, or not at all."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sedistill.common.errors import UserError
from sedistill.models.presets import build_model
from sedistill.models.saving import save_model
from sedistill.training.run import train
from sedistill.training.run_folder.identity import Identity
from tests.data.test_contents import swap
from tests.training.conftest import TINY_NETWORK, write_pairs
from tests.training.runs import same, train_until_ctrl_c, weights

Write = Callable[..., Path]
Harm = Callable[[Path], Any]


def retrain(folder: Path, gain: float = 0.8, **changes: int) -> None:
    torch.manual_seed(7)
    save_model(build_model({**TINY_NETWORK, "filters": 12, **changes}), folder, {"output_gain": gain})


def other_gain(folder: Path) -> None:
    card = yaml.safe_load((folder / "card.yaml").read_text())
    (folder / "card.yaml").write_text(yaml.safe_dump({**card, "output_gain": 0.9, "checksum": "edited"}))


HARMS = {
    "one clip": (lambda w: shutil.copyfile(w / "train/clean/004.flac", w / "train/clean/003.flac"),
                 r"data\.train/clean/003\.flac \(now what data\.train/clean/004\.flac was\)"),
    "two swapped": (lambda w: swap(w / "train/noisy/000.flac", w / "train/noisy/001.flac"),
                    r"data\.train/noisy/000\.flac \(now what data\.train/noisy/001\.flac was\)"),
    "another set": (lambda w: write_pairs(w / "train", clips=12, seed=5), r"data\.train/.* and \d+ more"),
    "one more": (lambda w: write_pairs(w / "train", clips=13, seed=1), r"data\.train/.* \(new\)"),
    "validation": (lambda w: write_pairs(w / "valid", clips=4, seed=9), r"data\.valid/"),
    "teacher": (lambda w: retrain(w / "teacher"), r"teacher .*/teacher \(its weights were \w+, are \w+"),
    "gain": (lambda w: other_gain(w / "teacher"), r"teacher .*output_gain was 0\.8, is 0\.9"),
}  # fmt: skip


@pytest.mark.parametrize("harm", HARMS)
def test_a_run_does_not_go_on_with_others(
    write_recipe: Write, world: Path, distilled: dict[str, Any], harm: str
) -> None:
    recipe = write_recipe(**distilled)
    train_until_ctrl_c(recipe, world / "out", stop_at=1)
    change, told = HARMS[harm]
    last = (world / "out/checkpoints/last.ckpt").read_bytes()
    change(world)
    with pytest.raises(UserError, match=rf"was begun with other data or teachers: {told}.*put back"):
        train(recipe, output=world / "out")
    assert (world / "out/checkpoints/last.ckpt").read_bytes() == last


def test_what_is_put_back_is_what_it_was_and_a_finished_run_is_held_to_it_too(
    write_recipe: Write, world: Path, distilled: dict[str, Any]
) -> None:
    recipe = write_recipe(**distilled)
    train_until_ctrl_c(recipe, world / "out", stop_at=2)
    for name in ("train", "valid", "teacher"):
        shutil.copytree(world / name, world / "copy" / name, copy_function=shutil.copyfile)  # new times
    write_pairs(world / "train", clips=12, seed=5)
    retrain(world / "teacher")
    for name in ("train", "valid", "teacher"):
        shutil.rmtree(world / name)
        (world / "copy" / name).rename(world / name)
    train(recipe, output=world / "out")
    train(recipe, output=world / "out")
    retrain(world / "teacher")
    with pytest.raises(UserError, match="its weights were"):
        train(recipe, output=world / "out")


def test_teachers_of_bands_are_known_too(write_recipe: Write, world: Path) -> None:
    for number in range(4):
        retrain(world / f"band-{number}", filters=12 + number)
    objectives = [{"loss": "subband", "teachers": [str(world / f"band-{i}") for i in range(4)]}]
    recipe = write_recipe(objectives=objectives)
    train_until_ctrl_c(recipe, world / "out", stop_at=2)
    retrain(world / "band-1", filters=15)
    with pytest.raises(UserError, match=r"objectives\.0\.teachers\.1 .*band-1 \(its weights"):
        train(recipe, output=world / "out")


def test_what_a_run_was_begun_with_is_written_to_be_read(
    write_recipe: Write, world: Path, distilled: dict[str, Any]
) -> None:
    train(write_recipe(**distilled), output=world / "out")
    written = yaml.safe_load((world / "out/identity.yaml").read_text())
    assert written["data"]["data.train"]["files"] == 24
    assert written["models"]["teacher"]["path"] == str(world / "teacher")
    lines = (world / "out/identity.csv").read_text().splitlines()
    assert len(lines) == 1 + 24 + 8
    assert lines[1].startswith("data.train/noisy/000.flac,")


def test_audio_that_changes_during_a_training_stops_it_before_anything_is_saved(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sedistill.training import loop

    recipe = write_recipe(logging={"checkpoint_minutes": 1e-6})
    whole = train(recipe, output=world / "whole")
    step = loop.Loop._train_on
    clip = world / "train/clean/005.flac"
    good = clip.read_bytes()

    def step_then_change(self: loop.Loop, batch: Any) -> str:
        note = step(self, batch)
        if self.progress.step == 4:
            write_pairs(world / "train", clips=12, seed=5)
        return note

    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "_train_on", step_then_change)
        with pytest.raises(UserError, match=r"changed while the training was running: data\.train/"):
            train(recipe, output=world / "out")
    write_pairs(world / "train", clips=12, seed=1)
    clip.write_bytes(good)
    assert same(weights(whole), weights(train(recipe, output=world / "out")))


def test_a_moved_world_goes_on_and_so_does_a_run_from_before(
    write_recipe: Write, world: Path, distilled: dict[str, Any], capsys: pytest.CaptureFixture
) -> None:
    recipe = write_recipe(**distilled)
    train_until_ctrl_c(recipe, world / "out", stop_at=2)
    for name in ("train", "valid", "teacher"):
        (world / name).rename(world / f"moved-{name}")
    moved = {"train": str(world / "moved-train"), "valid": str(world / "moved-valid")}
    recipe = write_recipe(**{**distilled, "teacher": str(world / "moved-teacher")}, data=moved)
    train_until_ctrl_c(recipe, world / "out", stop_at=4)
    for name in ("identity.yaml", "identity.csv"):
        (world / "out" / name).unlink()
    with pytest.raises(UserError, match=r"other settings \(data\.train"):  # without hashes paths count
        train(recipe, output=world / "out")
    for name in ("train", "valid", "teacher"):
        (world / f"moved-{name}").rename(world / name)
    train(write_recipe(**distilled), output=world / "out")
    assert "from before runs kept hashes" in capsys.readouterr().out
    assert Identity.read(world / "out") is not None


def test_recipes_are_compared_by_what_they_mean(write_recipe: Write, world: Path) -> None:
    train_until_ctrl_c(write_recipe(), world / "out", stop_at=2)
    config = world / "out/config.yaml"
    written = yaml.safe_load(config.read_text())
    del written["recipe"]["patch_record"], written["recipe"]["optimiser"]["warmup_steps"]
    written["recipe"]["optimiser"]["learning_rate"] = "0.001"
    config.write_text(yaml.safe_dump(written))
    spelt_out = {**TINY_NETWORK, "sample_rate": 16_000}
    with pytest.raises(UserError, match=r"other settings \(student\.filters\)"):
        train(write_recipe(student={**spelt_out, "filters": 9}), output=world / "out")
    train(write_recipe(student=spelt_out, optimiser={"clip_norm": 5}), output=world / "out")


def test_a_damaged_identity_is_named(write_recipe: Write, world: Path) -> None:
    recipe = write_recipe()
    train_until_ctrl_c(recipe, world / "out", stop_at=2)
    path = world / "out/identity.csv"
    path.write_text(path.read_text().replace("000.flac", "007.flac"))
    with pytest.raises(UserError, match=r"identity\.yaml or identity\.csv is damaged.*delete both"):
        train(recipe, output=world / "out")


def test_data_that_are_gone_do_not_keep_a_finished_run_from_being_finished(
    write_recipe: Write, world: Path, capsys: pytest.CaptureFixture
) -> None:
    recipe = write_recipe()
    student = train(recipe, output=world / "out")
    shutil.rmtree(world / "train")
    assert train(recipe, output=world / "out") == student
    assert "no longer there" in capsys.readouterr().out
