"""A process that times real steps of a recipe on noise.

    python -m sedistill.workflows.distilling.stopwatch QUESTION

The question is JSON with the recipe, the seconds of a clip and the threads; the answer, on standard output,
[seconds of a step, seconds for a second of sound in validation].
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from sedistill.common.devices import choose_device
from sedistill.common.settings import check_settings
from sedistill.models.eval_mode import evaluating
from sedistill.teachers.source import TeacherSource
from sedistill.training.build import build_step
from sedistill.training.gradients import NORM
from sedistill.training.inputs import PreparedRun, build_objectives, build_student
from sedistill.training.recipe.schema import Recipe
from sedistill.training.tasks import TEACHER
from sedistill.training.training_data import TrainingData
from sedistill.workflows.distilling.speed import seconds_of


class Noise(Dataset):
    """Stands in for training clips of so many samples: the same noise again and again."""

    def __init__(self, samples: int) -> None:
        self.noisy = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)

    def __getitem__(self, key: object) -> dict[str, NDArray[np.float32]]:
        return {"noisy": self.noisy, "clean": 0.5 * self.noisy}


@dataclass(frozen=True)
class FreeTeacher:
    """Costs nothing: in the training its outputs are kept."""

    sample_rate: int
    name: str = "no teacher"
    hash: str = ""
    latency: int = 0

    def __call__(self, noisy: Tensor) -> Tensor:
        return 0.6 * noisy


def main(question: str) -> None:
    """Answer a question."""
    asked = json.loads(question)
    torch.set_num_threads(asked["threads"])
    recipe = check_settings(Recipe, asked["recipe"], "the recipe")
    run = prepared_on_noise(recipe, asked["clip_seconds"])
    student = run.student.to(run.device)
    step = build_step(run, student, 1, Path())
    noisy = torch.from_numpy(np.stack([run.data.dataset[0]["noisy"]] * recipe.optimiser.batch_size))
    noisy = noisy.to(run.device)
    batch = {"noisy": noisy, "clean": 0.5 * noisy, "teacher": 0.6 * noisy}
    student.train()
    one_step = seconds_of(lambda: float(step(batch, measure_balance=False)[NORM]))
    with evaluating(student):
        validating = seconds_of(lambda: float(student(noisy).sum()))
    print(json.dumps([one_step, validating * student.sample_rate / noisy.numel()]))


def prepared_on_noise(recipe: Recipe, clip_seconds: float) -> PreparedRun:
    """The student and its objectives as for a training; its data are noise, and its teacher costs nothing."""
    student = build_student(recipe.student)
    data = TrainingData(Noise(round(clip_seconds * student.sample_rate)), "noise", clip_seconds, "")
    return PreparedRun(
        recipe, student, {TEACHER: TeacherSource(FreeTeacher(student.sample_rate))},
        build_objectives(recipe, student, None), {}, None, data, None,  # type: ignore[arg-type]
        choose_device(recipe.hardware.device),
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
