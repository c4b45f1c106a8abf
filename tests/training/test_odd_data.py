"""Legal settings and data at the edge: a run ends with a student that is finite, or with one sentence."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from sedistill.common.errors import UserError
from sedistill.data.preparation import prepare
from sedistill.models.saving import load_model
from sedistill.training.run import train
from sedistill.training.run_folder.logs import read_metrics
from tests.data.sounds import pairs
from tests.training.conftest import write_pairs
from tests.training.runs import weights

Write = Callable[..., Path]


def rewrite(world: Path, change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> None:
    """Change (noisy, clean) of every training clip."""
    for noisy in sorted((world / "train" / "noisy").iterdir()):
        clean = world / "train" / "clean" / noisy.name
        sides, rate = [sf.read(path)[0] for path in (noisy, clean)], 16_000
        for path, samples in zip((noisy, clean), change(*sides), strict=True):
            sf.write(path, samples, rate)


def keep_clips(world: Path, count: int) -> None:
    for side in ("noisy", "clean"):
        for path in sorted((world / "train" / side).iterdir())[count:]:
            path.unlink()


SOUNDS: dict[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "silence": lambda noisy, clean: (0 * noisy, 0 * clean),
    "silent speech": lambda noisy, clean: (noisy, 0 * clean),
    "no noise": lambda noisy, clean: (clean, clean),
    "silent mixture": lambda noisy, clean: (0 * noisy, clean),
}
METHODS: dict[str, dict[str, Any]] = {
    "dfkd": {"objectives": [{"loss": "dfkd", "keep": 0.5, "patches": "multi-scale"}]},
    "kl": {"objectives": [{"loss": "kl", "distribution": "normalized"}, {"loss": "kl_generalized"}]},
    "output": {"objectives": [{"loss": "clean_and_noise"}, {"loss": "si_snr"}], "se_loss": "manner"},
    "features": {"objectives": [{"loss": "gram", "pairs": [["encoder", "encoder"]]}], "se_loss": "gtcrn"},
    "kdrl": {"kdrl": {"policy_input_length": 60}},
    "pesq": {"pesq_weight": 0.3},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sound", SOUNDS)
def test_silence_is_learnt_from_without_nan(
    write_recipe: Write, world: Path, sound: str, method: str
) -> None:
    rewrite(world, SOUNDS[sound])
    recipe = write_recipe(teacher=str(world / "teacher"), optimiser={"max_epochs": 1}, **METHODS[method])
    student = train(recipe, output=world / "out")
    assert all(bool(value.isfinite().all()) for value in weights(student).values())
    assert np.isfinite(load_model(student).card["metrics"]["validation_loss"])


SETTINGS: dict[str, dict[str, Any]] = {
    "a high rate": {"optimiser": {"learning_rate": 1.0, "clip_norm": 1000.0}},
    "no gradient to speak of": {"optimiser": {"clip_norm": 1e-6}},
    "one clip a batch": {"optimiser": {"batch_size": 1, "max_steps": 3}},
    "the whole set a batch": {"optimiser": {"batch_size": 12}},
    "more steps than epochs": {"optimiser": {"max_steps": 10_000, "max_epochs": 1}},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_odd_settings_end_with_a_student_that_is_finite(
    write_recipe: Write, world: Path, setting: str
) -> None:
    student = train(write_recipe(**SETTINGS[setting]), output=world / "out")
    assert all(bool(value.isfinite().all()) for value in weights(student).values())


def test_a_set_of_one_clip(write_recipe: Write, world: Path) -> None:
    keep_clips(world, 1)
    assert train(write_recipe(optimiser={"batch_size": 1, "max_epochs": 2}), output=world / "out").exists()
    with pytest.raises(UserError, match=r"lower optimiser\.batch_size"):
        train(write_recipe("two", optimiser={"batch_size": 2}), output=world / "two")


def test_clips_of_unequal_lengths_are_refused_by_the_plan_too(write_recipe: Write, world: Path) -> None:
    write_pairs(world / "train", clips=2, seed=3, samples=1_600)
    with pytest.raises(UserError, match=r"last from 0\.10 to 0\.15 s .* cut by data\.crop_seconds"):
        train(write_recipe(), output=world / "run", plan_only=True)
    data = {"train": str(world / "train"), "valid": str(world / "valid"), "crop_seconds": 0.1}
    train(write_recipe(data=data), output=world / "run", plan_only=True)


def test_a_batch_of_one_in_a_network_with_batch_norm(write_recipe: Write, world: Path) -> None:
    """The statistics are over frames as well, so one clip is enough."""
    recipe = write_recipe(
        student={"class": "MANNER", "channels": 3, "depth": 2, "chunk": 4},
        optimiser={"batch_size": 1, "max_steps": 2},
    )
    student = train(recipe, output=world / "out")
    assert all(bool(value.isfinite().all()) for value in weights(student).values())


def test_no_epochs_are_refused(write_recipe: Write, world: Path) -> None:
    with pytest.raises(UserError, match=r"optimiser\.max_epochs = 0"):
        train(write_recipe(optimiser={"max_epochs": 0}), output=world / "out")


@pytest.mark.parametrize("crops", [{}, {"crop_seconds": 0.1}])
def test_what_says_how_to_mix_a_fixed_set_is_told(
    write_recipe: Write, world: Path, capsys: pytest.CaptureFixture[str], crops: dict[str, float]
) -> None:
    """Whoever asks for another SNR has to hear that it changes nothing."""
    data = {"epoch_mixtures": 8, "mixing": {"snr_db_low": 3.0}, **crops}
    train(write_recipe(data=data), output=world / "run", plan_only=True)
    said = capsys.readouterr().out
    for key in ("mixing", "epoch_mixtures"):
        assert f"note: data.{key} changes nothing: {world / 'train'} is a fixed set, mixed before." in said
    train(write_recipe(data=crops), output=world / "run", plan_only=True)
    assert "changes nothing" not in capsys.readouterr().out


def test_what_says_how_to_mix_ready_pairs_is_told(
    write_recipe: Write, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean, noisy = pairs(world / "sounds", count=12)
    prepare(world / "pairs", clean=clean, noisy=noisy, workers=1)
    data = {"train": str(world / "pairs"), "mixing": {"clip_seconds": 0.2}}
    recipe = write_recipe(data=data)
    for override, is_told in (("seed=1", False), ("data.mixing.snr_db_low=3", True)):
        train(recipe, [override], output=world / "run", plan_only=True)
        assert ("of data.mixing clip_seconds alone counts" in capsys.readouterr().out) == is_told


@pytest.mark.parametrize(("warmup", "all_of_it"), [(7, False), (8, True), (300, True)])
def test_a_rise_that_never_ends_is_told(
    write_recipe: Write, world: Path, capsys: pytest.CaptureFixture[str], warmup: int, all_of_it: bool
) -> None:
    train(
        write_recipe(optimiser={"warmup_steps": warmup, "max_steps": 8}), output=world / "run", plan_only=True
    )
    said = capsys.readouterr().out
    assert (f"note: warmup_steps = {warmup} is all of the 8 steps" in said) == all_of_it
    assert f"after {warmup} steps of rise" in " ".join(said.split())


def test_a_rise_that_takes_the_whole_of_one_of_two_stages_is_told(
    write_recipe: Write, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In each stage the rate begins afresh."""
    kd = {"teacher": str(world / "teacher"), "objectives": [{"loss": "l2"}], "two_step": {"kd_steps": 3}}
    recipe = write_recipe(optimiser={"warmup_steps": 4, "max_steps": 8}, **kd)
    train(recipe, output=world / "run", plan_only=True)
    said = capsys.readouterr().out
    assert "note: warmup_steps = 4 is all of the 3 steps of stage 1; the rate" in said
    assert "stage 2;" not in said


def test_strays_and_offsets_of_a_set_are_told(
    write_recipe: Write, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(world, lambda noisy, clean: (0.5 * noisy + 0.1, 0.5 * clean + 0.1))
    (world / "train/clean/more.m4a").write_bytes(b"x")
    for name in ("train", "valid"):
        (world / name / "clean/sizes.csv").write_bytes(b"x")
    train(write_recipe(), ["optimiser.max_epochs=1"], output=world / "out")
    printed = capsys.readouterr().out
    assert "clean/more.m4a: .m4a is not read" in printed
    for name in ("train", "valid"):
        assert f"{world / name}: 1 file is no audio: .csv 1." in printed
    assert f"of full scale, {world / 'train/clean'}" in printed


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_folder_that_is_not_utf8_has_no_tensorboard(
    write_recipe: Write, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = world / os.fsdecode(b"r\xfcn")
    train(write_recipe(), ["optimiser.max_epochs=1"], output=run)
    assert "TensorBoard writes to no name" in capsys.readouterr().out
    assert {"se", "valid/se"} <= set(read_metrics(run))
