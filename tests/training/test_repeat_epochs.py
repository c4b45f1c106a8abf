"""Mixtures and crops of some epochs over and over, so that a teacher is asked for each of them once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sedistill.common.errors import UserError
from sedistill.data import examples as examples_module
from sedistill.data.mixing import MixingSettings
from sedistill.data.preparation import prepare
from sedistill.teachers import labelling
from sedistill.teachers.cached import OutputCache
from sedistill.teachers.opening import open_teacher
from sedistill.teachers.source import TeacherSource
from sedistill.training.run import train
from tests.data.sounds import speech_and_noise
from tests.training.runs import assert_resumes_exactly, weights

Write = Callable[..., Path]
CROPS = {"crop_seconds": 0.1, "repeat_epochs": 2}


@pytest.fixture
def taught(world: Path) -> dict[str, Any]:
    return {"teacher": str(world / "teacher"), "objectives": [{"loss": "l2", "keep": 0.5}]}


def test_outputs_of_crops_are_kept_and_train_like_a_live_teacher(
    world: Path, write_recipe: Write, taught: dict[str, Any]
) -> None:
    kept = assert_resumes_exactly(write_recipe(data=CROPS, **taught), world, stop_at=4)
    assert len(list((world / "train" / "teacher-outputs").iterdir())) == 2
    live = write_recipe("live", data=CROPS, teacher_use={"cache": "never"}, **taught)
    for name, value in weights(train(live, output=world / "live")).items():
        torch.testing.assert_close(weights(kept)[name], value, atol=1e-5, rtol=0)


def test_outputs_of_mixtures_are_kept(
    world: Path, write_recipe: Write, taught: dict[str, Any], capsys: pytest.CaptureFixture
) -> None:
    clean, noise = speech_and_noise(world / "sounds", speakers=3, classes=3, files=1)
    prepare(world / "corpus", clean=clean, noise=noise, workers=1)
    mixing = MixingSettings(clip_seconds=0.2).model_dump()
    data = {"train": str(world / "corpus"), "mixing": mixing, "epoch_mixtures": 8, "repeat_epochs": 5}
    few = write_recipe(data=data, optimiser={"max_epochs": 2}, **taught)
    train(few, output=world / "few")
    told = " ".join(capsys.readouterr().out.split())
    assert "those of 5 epochs again and again" in told
    assert "16 clips, 0 MB" in told, "two epochs do not see the mixtures of five"
    place = world / "corpus" / "teacher-outputs"
    before = {path: path.read_bytes() for path in place.glob("*/outputs.f32")}
    assert len(before) == 2
    train(few, ["optimiser.max_epochs=6"], output=world / "more")
    assert len(list(place.iterdir())) == 5
    assert all(path.read_bytes() == content for path, content in before.items())


def test_outputs_that_are_kept_inside_the_set_are_none_of_its_strays(
    world: Path, write_recipe: Write, taught: dict[str, Any], capsys: pytest.CaptureFixture
) -> None:
    inside = {"teacher_use": {"cache_folder": str(world / "train" / "of-teachers")}}
    recipe = write_recipe(optimiser={"max_epochs": 1}, **taught, **inside)
    train(recipe, output=world / "run")
    assert list((world / "train" / "of-teachers").glob("*/outputs.f32"))
    (world / "train" / "more.csv").write_bytes(b"x")
    capsys.readouterr()
    train(recipe, output=world / "again")
    assert "1 file is no audio: .csv 1." in capsys.readouterr().out


def test_nothing_is_computed_that_does_not_fit(
    world: Path, write_recipe: Write, taught: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe(data=CROPS, teacher_use={"disk_limit_gb": 1e-4}, **taught)
    with pytest.raises(UserError, match=r"more than teacher_use.disk_limit_gb = 0.0001; raise it, or lower"):
        train(recipe, output=world / "run")
    assert not (world / "train" / "teacher-outputs").exists()
    monkeypatch.setattr(labelling.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 100}))
    with pytest.raises(UserError, match=r"has 0\.00 GB free; make room"):
        train(recipe, ["teacher_use.disk_limit_gb=2e-4"], output=world / "run")
    assert not (world / "run").exists()


def test_repetition_is_for_what_changes(world: Path, write_recipe: Write, taught: dict[str, Any]) -> None:
    with pytest.raises(
        UserError, match=r"data.repeat_epochs is for .*, the same in every epoch; take it out"
    ):
        train(write_recipe(data={"repeat_epochs": 2}, **taught), output=world / "run")


def test_other_crops_than_the_teacher_heard_are_refused(
    world: Path, write_recipe: Write, taught: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another version of a library may cut or mix them; rounding is no difference."""
    cut = examples_module.crop_in_memory
    recipe = write_recipe(data=CROPS, **taught)
    train(recipe, output=world / "first")
    for change in (1e-4, -1e-4):

        def nearly(*given: Any, change: float = change) -> Any:
            noisy, clean = cut(*given)
            return noisy * np.float32(1 + change), clean

        monkeypatch.setattr(examples_module, "crop_in_memory", nearly)
        train(recipe, output=world / f"nearly{change}")
    monkeypatch.setattr(examples_module, "crop_in_memory", lambda *given: tuple(-x for x in cut(*given)))
    with pytest.raises(UserError, match="are for other mixtures than this version makes; delete that folder"):
        train(recipe, output=world / "other")


def test_size_and_time_are_told_before(
    world: Path, write_recipe: Write, taught: dict[str, Any], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(labelling, "FEW", 10)
    asked: list[int] = []
    raw = TeacherSource.raw
    monkeypatch.setattr(
        TeacherSource, "raw", lambda self, noisy: asked.append(len(noisy)) or raw(self, noisy)
    )
    examples = examples_module.CropDataset(world / "train", 0.1, repeat_epochs=2)
    teacher = open_teacher(world / "teacher", 16_000)
    clips = [examples_module.EpochClips(examples, epoch) for epoch in range(2)]
    caches = [OutputCache(world / "kept", one, teacher) for one in clips]
    labelling.opened(caches, "cpu")
    assert capsys.readouterr().out.startswith(
        f"teacher's outputs: 24 clips, 0 MB in {world / 'kept'}, about 0 s"
    )
    assert sum(asked) == 12 + 24, "once to measure, once for each clip"
    asked.clear()
    labelling.opened(caches, "cpu")
    assert not asked
    assert not capsys.readouterr().out
