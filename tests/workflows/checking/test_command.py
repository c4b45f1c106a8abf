"""`sedistill check`: what a path is, and every fault by its name."""

import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from sedistill.cli import app
from sedistill.data.corpus import Corpus
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.mixed_sets import mix
from sedistill.data.mixing import MixingSettings
from sedistill.data.preparation import prepare
from sedistill.evaluation.command import evaluate_models
from sedistill.models.presets import build_model
from sedistill.models.saving import save_model
from sedistill.teachers.cached import OutputCache
from sedistill.teachers.opening import open_teacher
from sedistill.workflows.checking import check_paths
from tests.data.from_before import without_hashes
from tests.data.sounds import speech_and_noise
from tests.data.test_contents import change_in_place, swap
from tests.training.conftest import TINY_NETWORK, world, write_pairs, write_recipe  # noqa: F401
from tests.training.runs import train_until_ctrl_c


def save(folder: Path, seed: int = 0) -> None:
    torch.manual_seed(seed)
    save_model(build_model(TINY_NETWORK), folder)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A corpus, a set, a model, its kept outputs and its evaluation."""
    clean, noise = speech_and_noise(tmp_path / "sounds")
    prepare(tmp_path / "corpus", clean=clean, noise=noise, workers=1)
    mix(tmp_path / "corpus", tmp_path / "set", "train", 4, mixing=MixingSettings(clip_seconds=0.5), workers=1)
    save(tmp_path / "model")
    OutputCache(
        tmp_path / "kept", FixedSet(tmp_path / "set"), open_teacher(tmp_path / "model", 16_000)
    ).open()
    evaluate_models([tmp_path / "model"], [tmp_path / "set"], tmp_path / "scores", ["si_sdr"], workers=1)
    return tmp_path


def places(made: Path) -> list[Path]:
    kept = next((made / "kept").iterdir())
    return [made / "corpus", made / "set", made / "model", kept, made / "scores"]


def test_what_is_sound_is_said_to_be(made: Path, capsys: pytest.CaptureFixture) -> None:
    assert check_paths(places(made))
    told = capsys.readouterr().out
    for kind in ("a corpus", "a fixed set", "a saved model", "kept outputs of a teacher", "an evaluation"):
        assert f": {kind}, as it was written" in told


def test_every_fault_is_named(made: Path, capsys: pytest.CaptureFixture) -> None:
    corpus = Corpus.load(made / "corpus")
    one, two = (corpus.kind("noise").path(index) for index in (0, 1))
    swap(one, two)
    for name in ("noisy/000000.flac", "clean/000001.flac", "noisy/000002.flac", "clean/000003.flac"):
        change_in_place(made / "set" / name)
    kept = next((made / "kept").iterdir()) / "outputs.f32"
    change_in_place(kept)
    assert not check_paths(places(made))
    told = capsys.readouterr().out
    assert f"{made}/set: a fixed set, 4 faults:" in told
    assert f"{made}/corpus: a corpus, 2 faults:" in told
    assert "clean/000003.flac (was" in told
    assert f"{one.name} (now what" in told
    assert "outputs.f32 was changed or damaged" in told


def test_a_model_trained_again_makes_its_evaluation_stale(made: Path, capsys: pytest.CaptureFixture) -> None:
    save(made / "model", seed=1)
    assert not check_paths([made / "scores"])
    assert "is not as it was scored; evaluate again" in capsys.readouterr().out
    change_in_place(made / "scores/set/clips.csv")
    assert not check_paths([made / "scores"])
    assert "clips.csv" in capsys.readouterr().out


def test_what_is_from_before_hashes_is_decoded(made: Path, capsys: pytest.CaptureFixture) -> None:
    for name in ("corpus", "set"):
        without_hashes(made / name)
    assert check_paths([made / "corpus", made / "set"])
    corpus = Corpus.load(made / "corpus")
    swap(*(corpus.kind("clean").path(index) for index in (0, 1)))
    (made / "corpus/files.csv").unlink()
    swap(made / "set/noisy/000000.flac", made / "set/noisy/000001.flac")
    assert not check_paths([made / "corpus", made / "set"])
    told = capsys.readouterr().out
    assert told.count("holds other audio than was prepared") == 2
    assert "its audio is not what was written" in told


def test_a_run(write_recipe, world: Path, capsys: pytest.CaptureFixture) -> None:  # noqa: F811
    train_until_ctrl_c(write_recipe(), world / "out", stop_at=4)
    assert check_paths([world / "out", world / "out/checkpoints/last.ckpt", world / "train"])
    for name in ("last", "best"):
        change_in_place(world / f"out/checkpoints/{name}.ckpt")
    write_pairs(world / "valid", clips=4, seed=8)
    capsys.readouterr()
    assert not check_paths([world / "out"])
    told = capsys.readouterr().out
    assert "a run, 10 faults:" in told
    assert "last.ckpt is damaged" in told
    assert "best.ckpt is damaged" in told
    assert "data.valid/noisy/000.flac (was" in told


def test_exit_codes(made: Path) -> None:
    run = CliRunner().invoke
    assert run(app, ["check", str(made / "model")]).exit_code == 0
    change_in_place(made / "model/model.safetensors")
    failed = run(app, ["check", str(made / "set"), str(made / "model")])
    assert failed.exit_code == 1
    assert "model.safetensors is damaged" in failed.output
    shutil.rmtree(made / "model")
    for path in (made / "model", made / "sounds"):
        assert run(app, ["check", str(path)]).exit_code == 2
