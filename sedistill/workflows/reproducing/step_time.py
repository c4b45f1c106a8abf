"""How long a step of a recipe takes on this machine, from a few steps of each network and objective."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from sedistill.common.devices import choose_device, keeping_torch_state
from sedistill.models.presets import build_model
from sedistill.training.enhancement_losses import enhancement_loss, with_pesq
from sedistill.training.recipe.schema import Recipe
from sedistill.workflows.reproducing.timing import Timing, time_steps

SHORT_SECONDS = 1.0
"""A first step is of one clip of this length; what is quick is measured again at its own size."""
WORTH_REPEATING_SECONDS = 4.0
KDRL_STEPS = 2.5
"""A step of KDRL against a plain one: three backward passes, three more forward passes, the policy."""


@dataclass
class Stopwatch:
    """Measures every network and objective once. `threads` as the trainings will have at most."""

    threads: int
    known: dict[str, Timing] = field(default_factory=dict)

    def step_seconds(
        self, recipe: Recipe, student: Any, teacher: Any, band_teachers: int, clip_seconds: float, live: bool
    ) -> Timing:
        """Seconds of a step: the student, the teachers where they run along (`live`), the objectives.

        student, teacher: descriptions of networks, as `build_model` takes them; teacher None: there is none.
        """
        batch = recipe.optimiser.batch_size
        device = choose_device(recipe.hardware.device)
        with keeping_torch_state():
            torch.set_num_threads(threads_for(recipe, self.threads))
            seconds = self._network(student, batch, clip_seconds, device, recipe)
            if recipe.kdrl is not None and recipe.kdrl.fixed_ratio is None:
                seconds = seconds * KDRL_STEPS
            if teacher is not None and live:
                one = self._network(teacher, batch, clip_seconds, device)
                seconds = seconds + one * max(1, band_teachers)
            if recipe.distils:
                seconds = seconds + self._objectives(recipe, batch, clip_seconds, device)
        return seconds

    def _network(
        self, description: Any, batch: int, clip_seconds: float, device: torch.device,
        trained_by: Recipe | None = None,
    ) -> Timing:  # fmt: skip
        """Of a training step by the recipe's own loss; without a recipe, of a forward pass."""
        loss = trained_by and (trained_by.se_loss, trained_by.pesq_weight)
        key = _key(description, batch, clip_seconds, loss)
        if key not in self.known:
            network = build_model(description).to(device).train(trained_by is not None)
            step = torch.no_grad()(network) if loss is None else _training_step(network, *loss)

            def seconds_of(clips: int, length: float) -> Timing:
                noisy = 0.1 * torch.randn(clips, round(length * network.sample_rate), device=device)
                return time_steps(lambda: step(noisy), device)

            self.known[key] = _at_size(seconds_of, batch, clip_seconds)
        return self.known[key]

    def _objectives(self, recipe: Recipe, batch: int, clip_seconds: float, device: torch.device) -> Timing:
        """Of those that compare outputs; comparing features costs next to nothing beside the networks."""
        described = [objective.model_dump(mode="json") for objective in recipe.objectives]
        key = _key(described, batch, clip_seconds)
        if key not in self.known:
            each = (_objective_seconds(one, batch, clip_seconds, device) for one in recipe.objectives)
            self.known[key] = sum(each, start=Timing())
        return self.known[key]


def threads_for(recipe: Recipe, share: int) -> int:
    """Threads of a training: what its recipe says, but no more than its share of the cores."""
    return min(recipe.hardware.threads or share, share)


def _key(*measured: Any) -> str:
    return json.dumps([*measured, torch.get_num_threads()], sort_keys=True)


def compares_features(objective: Any) -> bool:
    """Whether the settings are of an objective that looks inside of the networks."""
    return any(name in type(objective).model_fields for name in ("pairs", "student_layers", "views"))


def _objective_seconds(objective: Any, batch: int, clip_seconds: float, device: torch.device) -> Timing:
    if compares_features(objective):
        return Timing()
    loss = objective.build(_AnyStudent(), None)
    bands = len(getattr(objective, "teachers", ()))

    def seconds_of(clips: int, length: float) -> Timing:
        shape = (clips, round(length * _AnyStudent.sample_rate))
        waves: dict[str, Any] = {
            name: 0.1 * torch.randn(shape, device=device) for name in ("student", "teacher", "clean")
        }
        waves["student"].requires_grad_()
        waves["noisy"] = waves["teacher"] + waves["clean"]
        waves["band_teachers"] = waves["teacher"][:, None].repeat(1, max(1, bands), 1)
        waves["teachers"] = {name: waves[name] for name in ("teacher", "noisy")}
        given = {name: 0.5 if name == "share_done" else waves[name] for name in loss.needs}
        return time_steps(lambda: loss.with_parts(**given)[0].backward(), device)

    return _at_size(seconds_of, batch, clip_seconds)


class _AnyStudent(nn.Module):
    """Stands in for a student where its rate is all that an objective looks at."""

    sample_rate = 16_000


def _at_size(seconds_of: Callable[[int, float], Timing], batch: int, clip_seconds: float) -> Timing:
    """Measured at full size where that is quick, else in proportion from one short clip."""
    short = min(SHORT_SECONDS, clip_seconds)
    estimate = seconds_of(1, short) * (batch * clip_seconds / short)
    return seconds_of(batch, clip_seconds) if estimate.median < WORTH_REPEATING_SECONDS else estimate


def _training_step(network: Any, se_loss: str | None, pesq_weight: float) -> Callable[[Tensor], None]:
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-9)
    loss = with_pesq(enhancement_loss(se_loss or network.se_loss), pesq_weight)

    def step(noisy: Tensor) -> None:
        optimiser.zero_grad()
        loss(network(noisy), 0.5 * noisy, noisy).mean().backward()
        optimiser.step()

    return step
