"""Two folders of sounds, a teacher, and a plan of a few steps."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sedistill.models.presets import build_model
from sedistill.models.saving import save_model
from sedistill.training.run import train
from sedistill.workflows.distilling import deciding, plan, stages, student_training
from sedistill.workflows.distilling.speed import Speeds
from sedistill.workflows.distilling.watched_trainings import Watched
from sedistill.workflows.jobs import Run
from tests.data.sounds import speech_and_noise

STEPS = 6
SPEEDS = Speeds(
    checking=0.001, mixing=0.001, teaching=0.001, steps=dict.fromkeys(("distilled", "alone", "teacher"), 5.0),
    validating=dict.fromkeys(("distilled", "alone", "teacher"), 0.001), scoring=0.01,
)  # fmt: skip


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    """What to give `distil`: speech, noise, a teacher that has learnt nothing."""
    clean, noise = speech_and_noise(tmp_path / "sounds")
    torch.manual_seed(5)
    save_model(build_model("gtcrn"), tmp_path / "teacher")
    return {"clean": str(clean), "noise": str(noise), "teacher": str(tmp_path / "teacher")}


class InThisProcess(Watched):
    """Trains where the test runs, one after another: processes of their own take seconds to start."""

    def train(self, runs: Sequence[Run]) -> None:
        before = Path.cwd()
        os.chdir(self.output)
        try:
            for run in runs:
                train(Path(f"recipes/{run.name}.yaml"), ["logging.every_steps=1"])
        finally:
            os.chdir(before)


def plan_whatever_the_time(task: plan.Task, speeds: Speeds) -> plan.Plan:
    """The plan as though no time had gone by yet: on a busy machine it would be another each time."""
    return plan.make_plan(replace(task, spent=0.0), speeds)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage as it is, with a few short clips and steps."""
    for package in ("pesq", "pystoi", "tensorboard"):
        pytest.importorskip(package)
    monkeypatch.setattr(stages, "Watched", InThisProcess)
    monkeypatch.setattr(deciding, "_measure", lambda *_: SPEEDS)
    monkeypatch.setattr(student_training, "decided_steps", lambda *_: STEPS)
    monkeypatch.setattr(deciding, "make_plan", plan_whatever_the_time)
    monkeypatch.setattr(deciding, "usable_cores", lambda: 2)
    for name, value in {"FEWEST_STEPS": 1, "VALID_CLIPS": (2, 2), "TEST_CLIPS": (3, 3)}.items():
        monkeypatch.setattr(plan, name, value)
    monkeypatch.setattr(stages, "SPLIT_SECONDS", {"train": 0.5, "valid": 1.0, "test": 1.5})
