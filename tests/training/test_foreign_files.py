"""Files of a run that hold something else: one sentence that names file and remedy, in every command."""

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save

from sedistill.common.integrity import seal
from sedistill.data.fixed_sets import FixedSet
from sedistill.models.presets import build_model
from sedistill.models.saving import save_model
from sedistill.teachers.cached import OutputCache
from sedistill.teachers.opening import open_teacher
from sedistill.training.run import train
from tests.nonsense import Outcome, run_command
from tests.training.conftest import TINY_NETWORK, write_pairs
from tests.training.runs import train_until_ctrl_c


def _torch(value: Any, sealed: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue() + (seal(buffer.getbuffer()) if sealed else b"")


def _npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue() + seal(buffer.getbuffer())


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("holiday.txt", "sea")
    return buffer.getvalue()


EMPTY_OR_OTHER: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"hello: world\n",
    "another zip": _zip,
    "a sealed other zip": lambda: _zip() + seal(_zip()),
    "noise": lambda: np.random.default_rng(0).bytes(5000),
}
CHECKPOINTS: dict[str, Callable[[], bytes]] = {
    **EMPTY_OR_OTHER,
    "a dict of something else": lambda: _torch({"a": 1}),
    "an unsealed dict of something else": lambda: _torch({"a": torch.zeros(3)}, sealed=False),
    "a list": lambda: _torch([1, 2]),
    "weights of another network": lambda: _torch({"student": {"x": torch.zeros(2)}, "step": 3}),
    "text for a dict": lambda: _torch({"student": "x", "optimiser": "y", "progress": "z", "random": 1}),
}
RECORDS: dict[str, Callable[[], bytes]] = {
    **EMPTY_OR_OTHER,
    "other arrays": lambda: _npz(a=np.zeros(3)),
    "facts alone": lambda: _npz(facts='{"format_version": 1}'),
    "facts that are none": lambda: _npz(facts="[1]"),
    "another version": lambda: _npz(facts='{"format_version": 99}'),
}
WEIGHTS: dict[str, Callable[[], bytes]] = {
    **EMPTY_OR_OTHER,
    "other tensors": lambda: save({"a": torch.zeros(3)}),
    "no tensors": lambda: save({}),
    "a checkpoint": lambda: _torch({"a": 1}),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/, valid/, run.yaml, a run ended by Ctrl-C in half/, and a whole one in whole/."""
    folder = tmp_path_factory.mktemp("foreign")
    write_pairs(folder / "train", clips=8, seed=1)
    write_pairs(folder / "valid", clips=2, seed=2)
    recipe = {
        "name": "run",
        "student": TINY_NETWORK,
        "data": {"train": str(folder / "train"), "valid": str(folder / "valid")},
        "optimiser": {"batch_size": 4, "max_epochs": 2},
        "hardware": {"device": "cpu", "threads": 1},
        "patch_record": {"clips": 1, "every_steps": 1},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    train_until_ctrl_c(folder / "run.yaml", folder / "half", stop_at=3)
    train(folder / "run.yaml", output=folder / "whole")
    return folder


def assert_refused(outcome: Outcome, path: Path, words: str = "") -> None:
    assert outcome.trace == ""
    assert outcome.code == 2
    said = outcome.words.strip()
    assert str(path) in said
    assert words in said
    assert said.splitlines()[-1].endswith(".")
    assert "Traceback" not in said


@pytest.mark.parametrize("what", CHECKPOINTS)
def test_a_checkpoint_that_is_none_is_refused(place: Path, what: str) -> None:
    path = place / "half" / "checkpoints" / "last.ckpt"
    good = path.read_bytes()
    try:
        path.write_bytes(CHECKPOINTS[what]())
        outcome = run_command(["train", str(place / "run.yaml"), "-o", str(place / "half")])
    finally:
        path.write_bytes(good)
    assert_refused(outcome, path, "to train afresh")


@pytest.mark.parametrize("what", RECORDS)
def test_a_record_of_patches_that_is_none_is_refused(place: Path, tmp_path: Path, what: str) -> None:
    path = place / "whole" / "patches.npz"
    good = path.read_bytes()
    try:
        path.write_bytes(RECORDS[what]())
        outcome = run_command(["analyze", str(path.parent), "-o", str(tmp_path / "page")])
    finally:
        path.write_bytes(good)
    assert_refused(outcome, path, "train")
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("what", WEIGHTS)
def test_weights_that_are_none_are_refused(place: Path, tmp_path: Path, what: str) -> None:
    model = tmp_path / "model"
    shutil.copytree(place / "whole" / "student", model)
    path = model / "model.safetensors"
    path.write_bytes(WEIGHTS[what]())
    noisy, valid = str(place / "valid" / "noisy"), str(place / "valid")
    for arguments in (
        ["enhance", noisy, "--model", str(model), "-o", str(tmp_path / "out")],
        ["evaluate", str(model), "--on", valid, "-o", str(tmp_path / "scores")],
        ["train", str(place / "run.yaml"), f"teacher={model}", "objectives=[{loss: l2}]",
         "-o", str(tmp_path / "run")],
    ):  # fmt: skip
        assert_refused(run_command(arguments), path)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "scores").exists()


OUTPUTS = ["", "hello", "[1]", "clips: two", "clips: 2\nsamples: 1e3", "checksum: [1]", "a: 2024-99-99", "\0"]


@pytest.mark.parametrize("text", OUTPUTS)
def test_kept_outputs_that_say_something_else_are_computed_again(
    place: Path, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(build_model(TINY_NETWORK), tmp_path / "teacher")
    kept = OutputCache(tmp_path, FixedSet(place / "valid"), open_teacher(tmp_path / "teacher", 16_000))
    right = np.array(kept.open())
    (kept.folder / "outputs.yaml").write_text(text)
    assert np.array_equal(kept.open(), right)
    assert "computing them again" in capsys.readouterr().out


def test_outputs_of_another_length_are_computed_again(place: Path, tmp_path: Path) -> None:
    save_model(build_model(TINY_NETWORK), tmp_path / "teacher")
    kept = OutputCache(tmp_path, FixedSet(place / "valid"), open_teacher(tmp_path / "teacher", 16_000))
    right = np.array(kept.open())
    kept.path.write_bytes(b"PK")
    assert np.array_equal(kept.open(), right)
