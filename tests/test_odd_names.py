"""Names of files are bytes: whatever they are, files are used, and told in letters that every console has."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sedistill.audio.files import write
from sedistill.common.errors import UserError
from sedistill.common.onnx_models import open_onnx_model
from sedistill.common.reading import NAMES
from sedistill.common.yaml_files import read_yaml
from sedistill.data.corpus import Corpus
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.mixed_sets import mix
from sedistill.data.preparation import prepare
from sedistill.evaluation.command import evaluate_models
from sedistill.evaluation.comparing import compare
from sedistill.evaluation.scores import load_scores
from sedistill.inference.enhancing import enhance_files
from sedistill.inference.exporting.command import export
from sedistill.models.presets import build_model
from sedistill.models.saving import save_model
from sedistill.workflows.advising.command import advise
from sedistill.workflows.distilling.command import distil

from .data.sounds import noise, speech
from .data.sounds import pairs as write_pairs
from .training.conftest import TINY_NETWORK

if sys.platform != "linux":
    pytest.skip("names are text there", allow_module_level=True)

ODD = [
    os.fsdecode(name + b".wav")
    for name in (b"caf\xe9", b"a\rb\nc", b'"q"', b"=1+1", b" ", "ü,é".encode(), b"\x1b[2J", b"l" * 251)
]


def odd_files(folder: Path, sound=speech, rate: int = 16_000) -> Path:
    for number, name in enumerate(ODD):
        write(folder / name, sound(0.6, number, rate), rate)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / os.fsdecode(b"mod\xe8le")
    torch.manual_seed(0)
    save_model(build_model(TINY_NETWORK), folder, {})
    return folder


@pytest.mark.parametrize("rate", [16_000, 22_050])  # of another rate files are written anew
def test_a_corpus_and_its_mixtures(tmp_path: Path, rate: int) -> None:
    clean = odd_files(tmp_path / os.fsdecode(b"cle\xe0n") / "train", rate=rate)
    odd_files(tmp_path / "noise/train", noise)
    (clean / os.fsdecode(b"\xff.m4a")).write_bytes(b"x")
    prepare(tmp_path / "corpus", clean=clean.parent, noise=tmp_path / "noise", workers=1)
    part = Corpus.load(tmp_path / "corpus").split("train").kind("clean")
    told = [clip.source.split("/", 1)[1] if clip.source else clip.path for clip in part]
    valid = Corpus.load(tmp_path / "corpus").kind("clean")
    assert {Path(name).name for name in told} <= set(ODD)
    assert len(valid) == len(ODD)
    assert all(len(valid.read(index)) == valid.frames[index] for index in range(len(valid)))
    with (tmp_path / "corpus/excluded.csv").open(newline="", **NAMES) as file:
        assert os.fsdecode(b"\xff.m4a") in {Path(row["path"]).name for row in csv.DictReader(file)}
    mix(tmp_path / "corpus", tmp_path / "set", split="train", count=2, workers=1)
    assert len(FixedSet(tmp_path / "set")) == 2


def test_pairs_are_scored_and_compared(tmp_path: Path, model: Path) -> None:
    pairs = tmp_path / os.fsdecode(b"s\xe9t")
    odd_files(pairs / "clean", speech)
    odd_files(pairs / "noisy", lambda *key: speech(*key) + 0.1 * noise(*key))
    evaluate_models([model], [pairs], tmp_path / "scores", metrics=["si_sdr"], workers=1, show=True)
    (scores,) = load_scores(tmp_path / "scores").values()
    assert {f"{clip.clip}.wav" for clip in scores.clips} == set(ODD)
    compare([tmp_path / "scores"], tmp_path / "compared", baseline="noisy")


def test_a_folder_is_enhanced(tmp_path: Path, model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    odd_files(tmp_path / "in")
    (tmp_path / "in" / os.fsdecode(b"\xff\r.m4a")).write_bytes(b"x")
    enhance_files(model, [tmp_path / "in"], tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(ODD)
    assert r"\xff\r.m4a: .m4a is not read" in capfd.readouterr().out


def test_an_onnx_file_is_written_and_read(tmp_path: Path) -> None:
    place = tmp_path / os.fsdecode(b"n\xeft.onnx")
    export("fastenhancer-t", place)
    assert open_onnx_model(place, "onnx").get_inputs()


def test_what_a_recipe_cannot_say_is_refused_before_any_work(tmp_path: Path, model: Path) -> None:
    with pytest.raises(UserError, match=r"mod\\xe8le is no name in UTF-8 and cannot stand in a recipe"):
        advise(model, "convtasnet-tiny", tmp_path / "set", output=tmp_path / "recipe.yaml")
    with pytest.raises(UserError, match=r"mod\\xe8le is no name in UTF-8 and cannot stand in distil.yaml"):
        distil(tmp_path / "out", clean=tmp_path, noise=tmp_path, teacher=model)
    assert list(tmp_path.iterdir()) == []


def test_advice_is_written_where_the_folder_above_is_no_utf8(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / os.fsdecode(b"w\xe9rk")
    shutil.copytree(model, work / "mine")
    monkeypatch.chdir(work)
    write_pairs(Path("set"), 2)
    advised = advise("mine", "fastenhancer-t", "set", clips=2, output="recipe.yaml").recipe
    assert read_yaml("recipe.yaml") == advised
    assert "Advised for" in Path("recipe.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("console", ["ascii", "utf-8", "latin-1"])
def test_no_console_ends_a_command(tmp_path: Path, console: str) -> None:
    clean = odd_files(tmp_path / "clean/train")
    odd_files(tmp_path / "noise/train", noise)
    (clean / os.fsdecode(b"\xff\xc3\xa9.wav")).write_bytes(b"no audio")
    command = [sys.executable, "-m", "sedistill", "prepare", "--noise", "noise", "-o", "corpus", "--clean"]
    environment = os.environ | {"PYTHONIOENCODING": console, "LC_ALL": "C", "PYTHONPATH": os.getcwd()}
    for folder, code in ((b"n\xf6ne\r", 2), (b"clean", 0)):
        done = subprocess.run([*command, folder], cwd=tmp_path, env=environment, capture_output=True)
        assert done.returncode == code, done.stderr.decode(console)
        assert b"Traceback" not in done.stderr
        if code:
            assert b"n\\xf6ne\\r does not exist" in done.stderr
