"""What tests do with whole runs: interrupt them, and compare what comes out."""

import multiprocessing
import os
import signal
import time
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from sedistill.models.saving import load_model
from sedistill.training import loop as loop_module
from sedistill.training.run import train
from sedistill.training.run_folder.logs import read_metrics


def weights(student: Path) -> dict[str, torch.Tensor]:
    return load_model(student).state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def begin_training(recipe: Path, output: Path) -> BaseProcess:
    """A training in a process of its own, forked: nothing is imported again."""

    def work() -> None:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            train(recipe, output=output)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    return process


def wait_for(path: Path, words: str = "", seconds: float = 60) -> None:
    """Until the file is there, and holds the words."""
    deadline = time.monotonic() + seconds
    while not path.exists() or words not in path.read_text(errors="replace"):
        assert time.monotonic() < deadline, f"{path} does not come about"
        time.sleep(0.01)


def train_until_ctrl_c(recipe: Path, output: Path, stop_at: int) -> None:
    """Train, with a Ctrl-C after step `stop_at`."""
    step = loop_module.Loop._train_on

    def step_then_ctrl_c(self: loop_module.Loop, batch: Any) -> str:
        note = step(self, batch)
        if self.progress.step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        return note

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop_module.Loop, "_train_on", step_then_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, output=output)


def assert_resumes_exactly(recipe: Path, world: Path, stop_at: int) -> Path:
    """An interrupted run ends as an uninterrupted one, which is returned."""
    whole = train(str(recipe), output=str(world / "whole"))  # as paths or as text
    train_until_ctrl_c(recipe, world / "parts", stop_at)
    torch.rand(7)  # whatever happens in between must not matter
    resumed = train(recipe, output=world / "parts")
    assert same(weights(whole), weights(resumed))
    whole_curves, curves = read_metrics(world / "whole"), read_metrics(world / "parts")
    assert whole_curves.keys() == curves.keys()
    for name in whole_curves.keys() - {"seconds", "memory_mb"}:
        assert curves[name] == whole_curves[name]
    return whole
