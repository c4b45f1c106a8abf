"""The package in examples/extension: installed, or only lying there, trained with, saved, loaded and used."""

import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
import yaml
from typer.main import get_command
from typer.testing import CliRunner

import sedistill
from sedistill.cli import app
from sedistill.common.argument_checks import annotations_of
from sedistill.common.errors import UserError
from sedistill.common.extensions import find_part, installed, trusting_code
from sedistill.common.interpreters import python_environment
from sedistill.common.settings import load_settings
from sedistill.training.recipe.keys import keys_about, recipe_keys
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run_folder.logs import read_metrics
from tests.training.conftest import world as world
from tests.training.conftest import write_recipe as write_recipe

EXAMPLE = Path(__file__).parents[2] / "examples" / "extension"
NETWORK, LOSS = "sedistill_example.networks.GruMask", "sedistill_example.losses.LogMagnitudeL1"
SE_LOSS = "sedistill_example.enhancement_losses.log_spectrum"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the package is installed, offline."""
    source, place = tmp_path_factory.mktemp("source") / "extension", tmp_path_factory.mktemp("site")
    shutil.copytree(EXAMPLE, source)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", str(place)]
    command = [sys.executable, "-m", "pip", "install", *options, str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return place


@pytest.fixture
def on_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Puts a folder on the import path for one test."""

    def put(folder: Path) -> None:
        monkeypatch.syspath_prepend(folder)
        importlib.invalidate_caches()

    yield put
    for name in [name for name in sys.modules if name.partition(".")[0] == "sedistill_example"]:
        del sys.modules[name]


def theirs(**named: Any) -> dict[str, Any]:
    """Keys of a recipe with the names of their parts."""
    objectives = [{"loss": named["loss"], "floor": 0.01, "keep": 0.5}]
    student = {"class": named["network"], "units": 4}
    return {"student": student, "se_loss": named["se_loss"], "objectives": objectives}


def test_an_installed_package_needs_no_trust(
    site: Path, on_path: Callable[[Path], None], world: Path, write_recipe: Callable[..., Path]
) -> None:
    on_path(site)
    assert {"log_magnitude", "envelope"} <= installed("losses").keys()
    keys = theirs(network="GruMask", loss="log_magnitude", se_loss="log_spectrum")
    keys["objectives"].append({"loss": "envelope", "frame": 80})
    student = sedistill.train(write_recipe(teacher=str(world / "teacher"), **keys), output=world / "run")
    curves = read_metrics(world / "run")
    assert {"kd/log_magnitude+dispatch", "kd/envelope"} <= curves.keys()

    card = yaml.safe_load((student / "card.yaml").read_text("utf-8"))
    assert (card["class"], card["package"]) == (NETWORK, "sedistill-example 0.1.0")
    assert card["settings"] == {"units": 4, "frame": 64, "sample_rate": 16_000}

    network = sedistill.load_model(student)
    scores = sedistill.evaluate(student, world / "valid", metrics=["si_sdr"])
    assert (len(scores.models), len(scores.clips)) == (2, 8)
    sound = np.random.default_rng(0).normal(0, 0.1, 5_000).astype("float32")
    assert sedistill.enhance(network, sound, 16_000).shape == sound.shape
    # The same line again finds it finished: what is written down about the run is read back.
    assert sedistill.train(world / "run.yaml", output=world / "run") == student


def test_train_keys_lists_what_installed_packages_offer(
    site: Path, on_path: Callable[[Path], None], tmp_path: Path
) -> None:
    on_path(site)
    (key,) = keys_about("[log_magnitude].floor")
    assert (key.takes, key.default) == ("number, null", "null")
    assert keys_about("[log_magnitude].keep_schedule")
    assert not any("log_magnitude]" in key.path for key in recipe_keys())  # the page is this package's
    broken = tmp_path / "broken-1.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (broken / "entry_points.txt").write_text("[sedistill.losses]\ngone = not_there:Loss\n")
    on_path(tmp_path)
    (key,) = keys_about("objectives[gone]")
    assert "cannot be imported" in key.text()


def test_code_that_only_lies_there_is_run_once_it_is_trusted(
    on_path: Callable[[Path], None], world: Path, write_recipe: Callable[..., Path]
) -> None:
    on_path(EXAMPLE)
    recipe = write_recipe(
        teacher=str(world / "teacher"), **theirs(network=NETWORK, loss=LOSS, se_loss=SE_LOSS)
    )
    with pytest.raises(UserError, match=r"code of another package.*--trust-code"):
        sedistill.train(recipe, output=world / "run")
    assert "sedistill_example" not in sys.modules
    with trusting_code():
        student = sedistill.train(recipe, output=world / "run")
    with pytest.raises(UserError, match=rf"card\.yaml: network class {NETWORK} is code of another package"):
        sedistill.load_model(student)

    noisy, command = world / "noisy.wav", ["enhance", str(world / "noisy.wav"), "--model", str(student)]
    sf.write(noisy, np.random.default_rng(0).normal(0, 0.1, 5_000), 16_000)
    refused = CliRunner().invoke(app, [*command, "-o", str(world / "a.wav")])
    assert refused.exit_code == 2
    assert "--trust-code" in " ".join(refused.output.split())
    done = CliRunner().invoke(app, [*command, "-o", str(world / "a.wav"), "--trust-code"])
    assert done.exit_code == 0, done.output
    assert sf.info(world / "a.wav").frames == 5_000


@pytest.mark.parametrize("cache", ["auto", "never"])
def test_a_teacher_of_theirs_teaches_live_and_from_its_outputs(
    site: Path, on_path: Callable[[Path], None], world: Path, write_recipe: Callable[..., Path], cache: str,
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    on_path(site)
    keys = {"objectives": [{"loss": "l2"}], "teacher_use": {"cache": cache}}
    recipe = write_recipe(teacher="spectral_gate", **keys)
    student = sedistill.train(recipe, output=world / "run")
    assert "spectral gate: of another package" in " ".join(capsys.readouterr().out.split())
    card = yaml.safe_load((student / "card.yaml").read_text("utf-8"))
    assert card["training"]["teacher_hash"] == "v1-spectral-gate"
    assert len(list(world.glob("train/teacher-outputs/teacher-v1-spectral--set-*"))) == (cache == "auto")
    assert sedistill.train(recipe, output=world / "run") == student
    teachers = importlib.import_module("sedistill_example.teachers")
    teachers.SpectralGate.hash = "v2-spectral-gate"
    with pytest.raises(UserError, match=r"its weights were v1-spectral-, are v2-spectral-"):
        sedistill.train(recipe, output=world / "run")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sedistill_example.teachers.SpectralGate", "teacher .* is code of another package"),
        ("nowhere/teacher", "is not a saved model"),
        ("spectral_gait", "is not a saved model"),
    ],
)
def test_a_teacher_that_is_not_trusted_or_not_there_is_refused(
    name: str, words: str, on_path: Callable[[Path], None]
) -> None:
    on_path(EXAMPLE)
    with pytest.raises(UserError, match=words):
        sedistill.open_teacher(Path(name), 16_000)


@pytest.mark.parametrize(
    ("name", "words"),
    [("sedistill_example.networks.GruMask", "has no name"), ("fractions.Fraction", "has no name")],
)
def test_what_is_no_teacher_is_told(name: str, words: str, on_path: Callable[[Path], None]) -> None:
    on_path(EXAMPLE)
    with trusting_code(), pytest.raises(UserError, match=words):
        sedistill.open_teacher(Path(name), 16_000)


@pytest.mark.parametrize("name", ["objectives.0.class", "objectives.0.loss"])
def test_a_loss_is_named_by_either_key(name: str, on_path: Callable[[Path], None], world: Path) -> None:
    from pydantic import TypeAdapter

    from sedistill.training.recipe.objectives import AnyObjective

    on_path(EXAMPLE)
    with trusting_code():
        read = TypeAdapter(AnyObjective).validate_python({name.rpartition(".")[2]: LOSS, "floor": 0.5})
    built = read.build(torch.nn.Module(), None)
    assert built.loss.floor == 0.5
    assert read.name == "LogMagnitudeL1"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"floor": 2}, r"objectives\.0\.floor = 2: it should be less than or equal to 1\.$"),
        ({"flor": 0.5}, r"has no setting 'flor'; did you mean floor\?"),
        ({"swap_bands": True}, r"objectives\.0: swap_bands belongs to loss: dfkd; take it out\.$"),
        ({"keep": 0}, r"objectives\.0\.keep = 0"),
    ],
)
def test_mistakes_in_their_settings_are_told(
    settings: dict[str, Any], words: str, on_path: Callable[[Path], None], write_recipe: Callable[..., Path]
) -> None:
    on_path(EXAMPLE)
    recipe = write_recipe(objectives=[{"loss": LOSS, **settings}])
    with trusting_code(), pytest.raises(UserError, match=words) as fault:
        load_settings(Recipe, recipe)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_such_package.networks.Theirs", "cannot be imported .*no_such_package.*; install the package"),
        ("sedistill_example.networks.Nothing", "cannot be imported"),
        ("sedistill_example.losses.Envelope", "no network class that can be used here"),
        ("GruMsk", "there is no network class 'GruMsk'; known are|did you mean"),
    ],
)
def test_what_is_no_network_is_told(name: Any, words: str, on_path: Callable[[Path], None]) -> None:
    on_path(EXAMPLE)
    with trusting_code(), pytest.raises(UserError, match=words):
        sedistill.build_model({"class": name})


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "distil",
        "advise",
        "evaluate",
        "enhance",
        "export",
        "benchmark",
        "check",
        "crossover",
        "reproduce",
    ],
)
def test_commands_that_open_models_and_recipes_can_be_told_to_trust(command: str) -> None:
    options = [option for one in get_command(app).commands[command].params for option in one.opts]  # type: ignore[attr-defined]
    assert "--trust-code" in options


def test_processes_of_a_command_trust_as_it_does() -> None:
    program = "import sedistill.common.extensions as e; print(e.code_is_trusted())"
    with trusting_code():
        environment = python_environment()
    for given, said in ((environment, "True"), (python_environment(), "False")):
        told = subprocess.run([sys.executable, "-c", program], env=given, capture_output=True, text=True)
        assert told.stdout.strip() == said


def test_settings_may_be_annotated_with_names_for_checkers_alone() -> None:
    def make(self: "Nowhere", units: int = 3, other: "float" = 1.0) -> None: ...  # type: ignore[name-defined] # noqa: F821

    assert annotations_of(make) == {"units": int, "return": None}


def test_trust_ends_with_its_block() -> None:
    with trusting_code(), trusting_code(False):
        assert find_part("losses", "json.dumps", {}, "loss", callable)
    with pytest.raises(UserError):
        find_part("losses", "json.dumps", {}, "loss", callable)


def test_the_parts_do_what_they_say(on_path: Callable[[Path], None]) -> None:
    on_path(EXAMPLE)
    losses = importlib.import_module("sedistill_example.losses")
    se_loss = importlib.import_module("sedistill_example.enhancement_losses").log_spectrum
    student, teacher = torch.randn(2, 2, 4_000)
    student.requires_grad_()
    for kd in (sedistill.DISPatch(losses.LogMagnitudeL1()), losses.Envelope()):
        assert kd(teacher, teacher).item() == 0
        kd(student, teacher).backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert se_loss(teacher, teacher, student).tolist() == [0, 0]
    with pytest.raises(UserError, match="floor = 0"):
        losses.LogMagnitudeL1(floor=0)
