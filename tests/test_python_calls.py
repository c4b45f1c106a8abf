"""Mistakes that only a call from Python can make: a text for a list, and networks that are none of ours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import sedistill
from sedistill.common.errors import UserError
from sedistill.common.settings import check_settings
from sedistill.training.recipe.data_settings import DataSettings

WAVE = np.zeros(4_000, np.float32)
ONE_TEXT: dict[str, Callable[[], Any]] = {
    "inputs": lambda: sedistill.enhance_files("fastenhancer-t", "speech.wav", "out"),
    "metrics": lambda: sedistill.evaluate("fastenhancer-t", "pairs", metrics="pesq_wb"),
    "evaluations": lambda: sedistill.compare("scores", "out"),
    "methods": lambda: sedistill.compare(["scores"], "out", methods="held"),
    "models": lambda: sedistill.benchmark("fastenhancer-t"),
    "ways": lambda: sedistill.benchmark(["fastenhancer-t"], ways="onnx"),
    "valid_speakers": lambda: sedistill.prepare("out", "sound", valid_speakers="anna"),
    "overrides": lambda: sedistill.train("run.yaml", "seed=3"),
    "names": lambda: sedistill.Taps(nn.Linear(2, 2), "weight"),
}
FOREIGN: dict[str, Callable[[], Any]] = {
    "model = this ndarray is not possible": lambda: sedistill.enhance(WAVE, "fastenhancer-t", 16_000),  # type: ignore[arg-type,type-var]
    "the network Linear has no `sample_rate`": lambda: sedistill.enhance(nn.Linear(2, 2), WAVE, 16_000),
    "give a preset's name, or a mapping": lambda: sedistill.build_model(nn.Linear(2, 2)),  # type: ignore[arg-type]
    "the network = 3 is not possible": lambda: sedistill.build_model(3),  # type: ignore[arg-type]
}


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    """One whose `forward` is the base's, and some with their own."""
    names = ("fastenhancer-t", "convtasnet-tiny", "tstnn")
    return {name: sedistill.build_model(name).eval() for name in names}


@pytest.mark.parametrize("name", ONE_TEXT)
def test_one_text_is_no_list(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python takes its letters one by one: "/ does not exist"."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"^{name} = '(.+)' is not possible; give a list, \['\1'\]\.$"):
        ONE_TEXT[name]()
    assert not list(tmp_path.iterdir())


OURS: dict[str, Callable[[nn.Module], Any]] = {
    "Stream": sedistill.Stream,  # type: ignore[dict-item]
    "save_model": lambda network: sedistill.save_model(network, "out"),  # type: ignore[arg-type]
    "export": lambda network: sedistill.export(network, "out.onnx"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("words", FOREIGN)
def test_a_network_of_no_known_kind_is_told(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words):
        FOREIGN[words]()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", OURS)
def test_a_network_that_has_to_be_ours_is_told_the_same_everywhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "export":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    said = "^model = this Linear is not possible; give a network that derives from sedistill.SpeechEnhancer.$"
    with pytest.raises(UserError, match=said):
        OURS[name](nn.Linear(2, 2))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("preset", ["fastenhancer-t", "convtasnet-tiny", "tstnn"])
@pytest.mark.parametrize("shape", [(4000, 2), (9, 8)])
def test_samples_before_channels_are_no_batch(
    preset: str, shape: tuple[int, int], networks: dict[str, nn.Module]
) -> None:
    """4000 clips of two samples each came back, changed."""
    with pytest.raises(ValueError, match=f"would be {shape[0]:,} clips of {shape[1]} samples"):
        networks[preset](torch.zeros(shape))


def test_the_input_of_a_network_may_have_any_name() -> None:
    class Halving(sedistill.SpeechEnhancer):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 0.5 * x

    assert Halving()(x=torch.ones(2, 16)).sum() == 16
    with pytest.raises(ValueError, match="would be 4,000 clips of 2 samples"):
        Halving()(x=torch.ones(4000, 2))


def test_few_or_longer_clips_are_a_batch(networks: dict[str, nn.Module]) -> None:
    for shape in ((8, 1), (9, 9)):
        assert networks["fastenhancer-t"](torch.zeros(shape)).shape == shape


def test_settings_made_in_python_are_refused_as_those_of_a_file_are() -> None:
    """And not in pydantic's block of lines; a recipe that holds them still says where they stand in it."""
    for given, words in (
        ({"snr_low": 3}, "unknown key snr_low; did you mean snr_db_low?"),
        ({"clip_seconds": 0}, "clip_seconds = 0: it should be greater than or equal to 0.1."),
        ({"snr_db_low": 30}, "snr_db_low = 30 lies above snr_db_high = 20; swap them."),
    ):
        with pytest.raises(UserError) as told:
            sedistill.MixingSettings(**given)  # type: ignore[arg-type]
        assert str(told.value) == f"MixingSettings: {words}"
    with pytest.raises(UserError, match=r"^a\.yaml: unknown key mixing\.snr_low; did you mean snr_db_low"):
        check_settings(DataSettings, {"train": "a", "valid": "b", "mixing": {"snr_low": 3}}, "a.yaml")
