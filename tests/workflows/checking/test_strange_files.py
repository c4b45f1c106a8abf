"""A pipe, socket, device, folder or broken link where any file of a run, set, corpus or model is expected."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from sedistill.common.errors import UserError
from sedistill.data.corpus import Corpus
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.mixed_sets import mix
from sedistill.data.mixing import MixingSettings
from sedistill.data.preparation import prepare
from sedistill.evaluation.command import evaluate_models
from sedistill.evaluation.comparing import compare
from sedistill.models.presets import build_model
from sedistill.models.saving import load_model, model_hash, save_model
from sedistill.teachers.cached import OutputCache
from sedistill.teachers.opening import open_teacher
from sedistill.training.run import train
from sedistill.training.run_folder.checkpoints import load_checkpoint
from sedistill.workflows.checking import check_paths
from tests.data.sounds import RATE, save
from tests.data.test_pair_fit import voice
from tests.strange_files import STRANGE, at_most, put
from tests.training.conftest import TINY_NETWORK

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes by name here")
RECIPE: dict[str, Any] = {
    "name": "r", "student": TINY_NETWORK, "objectives": [{"loss": "l2"}],
    "optimiser": {"batch_size": 3, "max_epochs": 2}, "hardware": {"device": "cpu", "threads": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, sets, a teacher with kept outputs, a finished run and an evaluation."""
    place = tmp_path_factory.mktemp("made")
    for number in range(6):
        save(place / f"clean/s{number}/a.wav", voice(number, 1.5))
        noise = 0.05 * np.random.default_rng(number).standard_normal(RATE)
        save(place / f"noise/n{number}/a.wav", noise)
    prepare(place / "corpus", clean=place / "clean", noise=place / "noise", workers=1)
    for split, count in (("train", 6), ("valid", 2)):
        mixing = MixingSettings(clip_seconds=0.6)
        mix(place / "corpus", place / split, split, count, mixing=mixing, workers=1)
    torch.manual_seed(0)
    save_model(build_model(TINY_NETWORK), place / "teacher", {"output_gain": 1.0})
    data = {"train": str(place / "train"), "valid": str(place / "valid")}
    recipe = {**RECIPE, "teacher": str(place / "teacher"), "data": data}
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    train(place / "recipe.yaml", output=place / "run")
    evaluate_models([place / "teacher"], [place / "valid"], place / "scores", ["si_sdr"], workers=1)
    outputs = next((place / "train/teacher-outputs").iterdir())
    shutil.copytree(outputs, place / "outputs")
    return place


@pytest.fixture
def put_there(made: Path) -> Any:
    """Puts something strange in the place of a file, and afterwards the file back."""
    moved: list[tuple[Path, Path]] = []

    def put_one(kind: str, path: Path) -> None:
        aside = made / "aside"
        if os.path.lexists(path):
            path.rename(aside)
        moved.append((path, aside))
        put(kind, path)

    yield put_one
    for path, aside in moved:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        if aside.exists():
            aside.rename(path)


def new_run(made: Path) -> None:
    try:
        train(made / "recipe.yaml", ["optimiser.max_epochs=1"], output=made / "new")
    finally:
        shutil.rmtree(made / "new", ignore_errors=True)


def resume(made: Path) -> None:
    """Go on with the run as if its student had not been saved yet."""
    (made / "run/student").rename(made / "student")
    try:
        train(made / "recipe.yaml", output=made / "run")
    finally:
        shutil.rmtree(made / "run/student", ignore_errors=True)
        (made / "student").rename(made / "run/student")


def outputs(made: Path) -> None:
    data = FixedSet(made / "train")
    OutputCache(made / "train/teacher-outputs", data, open_teacher(made / "teacher", RATE)).open()


Use = Callable[[Path], object]
REFUSED: list[tuple[str, Use]] = [
    ("teacher", lambda made: load_model(made / "teacher")),
    ("teacher/card.yaml", lambda made: load_model(made / "teacher")),
    ("teacher/model.safetensors", lambda made: model_hash(made / "teacher")),
    ("train/noisy/000000.flac", lambda made: FixedSet(made / "train")),
    ("train/clean/000001.flac", new_run),
    ("train/set.yaml", lambda made: FixedSet(made / "train")),
    ("train/mixtures.csv", lambda made: FixedSet(made / "train")),
    ("clean/s0/a.wav", lambda made: Corpus.load(made / "corpus").contents()),
    ("corpus", lambda made: Corpus.load(made / "corpus")),
    ("corpus/corpus.yaml", lambda made: Corpus.load(made / "corpus")),
    ("corpus/corpus.csv", lambda made: Corpus.load(made / "corpus")),
    ("run/checkpoints/last.ckpt", lambda made: load_checkpoint(made / "run/checkpoints/last.ckpt")),
    ("run/metrics.csv", lambda made: resume(made)),
    ("run/identity.yaml", lambda made: resume(made)),
    ("run/config.yaml", lambda made: resume(made)),
    ("run/student/card.yaml", lambda made: train(made / "recipe.yaml", output=made / "run")),
    ("scores/valid/clips.csv", lambda made: compare([made / "scores"], made / "c", baseline="noisy")),
]
TOLD = {
    "fifo": "is a named pipe (FIFO), not a f", "socket": "is a socket, not a f",
    "device": "is a device, not a f",
    "folder": "is a folder, not a file", "broken link": "is a broken link (to nowhere)",
    "link to itself": "is a link that leads back to itself",
}  # fmt: skip


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize(("place", "use"), REFUSED, ids=[place for place, _ in REFUSED])
def test_it_is_said_what_lies_there(
    made: Path, put_there: Callable[[str, Path], None], place: str, use: Use, kind: str
) -> None:
    if kind == "folder" and place in ("teacher", "corpus"):
        pytest.skip("a folder belongs there")
    put_there(kind, made / place)
    with at_most(20), pytest.raises(UserError) as refused:
        use(made)
    assert TOLD[kind] in str(refused.value)
    assert Path(place).name in str(refused.value)


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize(
    ("folder", "place"),
    [
        ("outputs", "outputs.f32"), ("run", "metrics.csv"), ("run", "checkpoints/last.ckpt"),
        ("train", "set.yaml"), ("train", "noisy/000000.flac"),
    ],
)  # fmt: skip
def test_check_says_it_too(
    made: Path,
    put_there: Callable[[str, Path], None],
    folder: str,
    place: str,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put_there(kind, made / folder / place)
    with at_most(20):
        assert not check_paths([made / folder])
    assert TOLD[kind] in capsys.readouterr().out


@pytest.mark.parametrize("kind", STRANGE)
def test_kept_outputs_are_computed_again_or_the_folder_in_their_way_is_named(made: Path, kind: str) -> None:
    place = next((made / "train/teacher-outputs").iterdir())
    for name in ("outputs.yaml", "outputs.f32", "outputs.f32.unfinished", "outputs.f32.progress"):
        if name.endswith(("unfinished", "progress")):
            (place / "outputs.yaml").unlink()
        put(kind, place / name)
        refused = pytest.raises(UserError, match=rf"{name} is a folder, not a file; take it away")
        with at_most(20), refused if kind == "folder" else contextlib.nullcontext():
            outputs(made)
        if kind == "folder":
            (place / name).rmdir()
            outputs(made)
        assert (place / "outputs.f32").is_file()
        assert (place / "outputs.yaml").is_file()


def test_a_link_to_a_lost_checkpoint_does_not_begin_the_run_afresh(made: Path) -> None:
    shutil.copytree(made / "run", made / "linked")
    shutil.rmtree(made / "linked/student")
    put("broken link", made / "linked/checkpoints/last.ckpt")
    before = (made / "linked/metrics.csv").read_bytes()
    with pytest.raises(UserError, match=r"last\.ckpt is a broken link \(to nowhere\)"):
        train(made / "recipe.yaml", output=made / "linked")
    assert (made / "linked/metrics.csv").read_bytes() == before
