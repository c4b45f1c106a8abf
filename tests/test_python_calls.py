"""Mistakes that only a call from Python can make: a text for a list, and networks that are none of ours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import sedistill
from sedistill.common.errors import UserError

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
    "the network Linear has no `sample_rate`": lambda: sedistill.enhance(nn.Linear(2, 2), WAVE, 16_000),
    "model = this Linear is not possible": lambda: sedistill.Stream(nn.Linear(2, 2)),  # type: ignore[arg-type]
    "from sedistill.SpeechEnhancer": lambda: sedistill.save_model(nn.Linear(2, 2), "out"),  # type: ignore[arg-type]
    "give a preset's name, or a mapping": lambda: sedistill.build_model(nn.Linear(2, 2)),  # type: ignore[arg-type]
    "the network = 3 is not possible": lambda: sedistill.build_model(3),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", ONE_TEXT)
def test_one_text_is_no_list(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python takes its letters one by one: "/ does not exist"."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"^{name} = '(.+)' is not possible; give a list, \['\1'\]\.$"):
        ONE_TEXT[name]()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", FOREIGN)
def test_a_network_of_no_known_kind_is_told(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words):
        FOREIGN[words]()
    assert not list(tmp_path.iterdir())
