"""By how much an objective pulls at a student: its gradient against that of the student's own loss."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sedistill.common.errors import UserError
from sedistill.models.base import SpeechEnhancer
from sedistill.training.enhancement_losses import enhancement_loss
from sedistill.training.gradients import COSINE, KD_OVER_SE, gradient_balance, gradients_of
from sedistill.training.optimiser import build_optimiser
from sedistill.training.recipe.objectives import ObjectiveSettings
from sedistill.training.recipe.optimiser_settings import OptimiserSettings
from sedistill.training.tasks import TEACHER, Task
from sedistill.workflows.advising.nearness import Heard

BATCHES, BATCH_SIZE, SECONDS = 8, 4, 2.0
FIRST_STEPS = 20
"""Of its own loss alone, for a student that has learnt nothing: initial weights pull elsewhere."""


@dataclass(frozen=True)
class Pull:
    """Median over batches of the ratio of gradient norms, objective over own loss at weight 1, and cosine."""

    ratio: float
    cosine: float


def measure_pull(
    student: SpeechEnhancer,
    trained: bool,
    objective: ObjectiveSettings,
    sample: Sequence[Heard],
    bandwidth: float,
) -> Pull:
    """On batches of the sample. The student is changed where it is not trained."""
    batches = _batches(sample, student.sample_rate)
    terms = {objective.name: (1.0, objective.build(student, None))}
    own = enhancement_loss(student.se_loss)
    task = Task(student, own, 1.0, terms, 1.0, {}, None, bandwidth=bandwidth)
    parameters = [one for one in student.parameters() if one.requires_grad]
    student.train()
    if not trained:
        optimiser = build_optimiser(parameters, OptimiserSettings())
        for number in range(FIRST_STEPS):
            batch = batches[number % len(batches)]
            optimiser.zero_grad()
            task.se_loss(student(batch["noisy"]).float(), batch["clean"], batch["noisy"]).mean().backward()
            optimiser.step()
    return pull_of(task, parameters, batches)


def pull_of(task: Task, parameters: Sequence[nn.Parameter], batches: Iterable[Mapping[str, Tensor]]) -> Pull:
    """Of a task whose two terms have weight 1, on batches that also hold the teacher's outputs.

    Raises UserError where the own loss has no gradient on any of them.
    """
    found = []
    for batch in batches:
        losses = task.losses(batch)
        assert losses.se is not None
        assert losses.kd is not None
        of_own = gradients_of(losses.se, parameters, retain_graph=True)
        if balance := gradient_balance(of_own, gradients_of(losses.kd, parameters)):
            found.append(balance)
    if not found:
        raise UserError("the student's own loss learns nothing from this sample; take clips with speech.")
    medians = {name: statistics.median(float(one[name]) for one in found) for name in found[0]}
    return Pull(medians[KD_OVER_SE], medians[COSINE])


def _batches(sample: Sequence[Heard], sample_rate: int) -> list[Mapping[str, Tensor]]:
    """Clips cut to one length from their middle, each in one batch where there are enough of them."""
    length = min(round(SECONDS * sample_rate), *(len(one.waves["clean"]) for one in sample))

    def cut(number: int, name: str) -> np.ndarray:
        wave = sample[number % len(sample)].waves[name]
        start = (len(wave) - length) // 2
        return wave[start : start + length]

    count = min(BATCHES, -(-len(sample) // BATCH_SIZE))
    return [
        {
            name: torch.from_numpy(np.stack([cut(first + i, name) for i in range(BATCH_SIZE)]))
            for name in ("noisy", "clean", TEACHER)
        }
        for first in range(0, count * BATCH_SIZE, BATCH_SIZE)
    ]
