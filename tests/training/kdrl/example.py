"""Tiny students and batches for KDRL, and the method written out slowly with three networks side by side."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sedistill.distill.kdrl import bounded_target, loss_weights, policy_loss, reward
from sedistill.models.presets import build_model
from sedistill.training.kdrl.kdrl_settings import KDRLSettings
from sedistill.training.kdrl.step import DISTANCES, KDRLStep
from tests.training.conftest import TINY_NETWORK

SAMPLES, CLIP_NORM = 160, 0.7
POLICY = {"policy_input_length": 60, "policy_learning_rate": 1e-3, "policy_learning_rate_end": 1e-4}


class NormedStudent(nn.Module):
    """A student whose clips meet in a batch norm."""

    se_loss = "mse"

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(1, 4, 5, padding=2), nn.BatchNorm1d(4), nn.ReLU(), nn.Conv1d(4, 1, 5, padding=2)
        )

    def forward(self, noisy: Tensor) -> Tensor:
        return self.layers(noisy[:, None])[:, 0]


STUDENTS: dict[str, Callable[[], Any]] = {
    "conv-tas-net": lambda: build_model(TINY_NETWORK),
    "wave-u-net": lambda: build_model({"class": "WaveUNet", "filters": 2, "layers": 2, "down_kernel": 5}),
    "batch-norm": NormedStudent,
}


def make_student(name: str) -> Any:
    torch.manual_seed(1)
    return STUDENTS[name]().train()


def make_batch(number: int = 0, clips: int = 3, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(number)
    clean, noise, error = (torch.randn(clips, SAMPLES, generator=generator).to(dtype) for _ in range(3))
    return {
        "noisy": 0.1 * clean + 0.05 * noise,
        "clean": 0.1 * clean,
        "teacher": 0.1 * clean + 0.02 * error,
        "index": torch.arange(clips) + 10 * number,
    }


def no_teacher(noisy: Tensor) -> Tensor:
    raise AssertionError("the batch brings the teacher's estimate along")


def make_step(
    student: Any,
    path: Path,
    split: bool | None = None,
    teacher: Callable[[Tensor], Tensor] = no_teacher,
    seed: int = 0,
    steps: int = 100,
    autocast: bool = False,
    fused: bool = True,
    **settings: Any,
) -> KDRLStep:
    optimiser = torch.optim.Adam(student.parameters(), lr=1e-2, fused=fused)
    learnt = settings.get("method") != "fixed"
    step = KDRLStep(
        student,
        optimiser,
        CLIP_NORM,
        KDRLSettings(**(POLICY if learnt else {}), **settings),
        teacher,
        epochs=5,
        steps=steps,
        precision=torch.autocast("cpu", torch.bfloat16, enabled=autocast),
        ratio_path=path / "ratios.csv",
        seed=seed,
    )
    if split is not None:
        step.splits_clips = split
    return step


class SlowKDRL:
    """Section III-C with three networks, each with its own forward and backward pass and optimiser."""

    def __init__(self, like: KDRLStep) -> None:
        self.settings, self.steps_done = like.settings, 0
        assert like.policy is not None
        self.students = [copy.deepcopy(like.student) for _ in range(3)]
        self.optimisers = [torch.optim.Adam(s.parameters(), lr=1e-2) for s in self.students]
        self.policy = copy.deepcopy(like.policy.network)
        self.policy_optimiser = torch.optim.Adam(self.policy.parameters())
        name = like.settings.distance_for(like.student.se_loss)
        self.distance, self.floor = DISTANCES[name], like.settings.floor_for(name)

    def __call__(self, batch: dict[str, Tensor]) -> None:
        self._copy_student()
        clean, teacher = batch["clean"], batch["teacher"]
        estimates = [network(batch["noisy"]) for network in self.students]
        ratios = self.policy(clean, teacher, estimates[0])
        before = self.distance(estimates[0], clean).detach()
        none, one = torch.zeros(len(clean)), torch.ones(len(clean))
        weights = [loss_weights(self.settings.method, ratios), (none, one), (one, none)]
        for network, optimiser, estimate, (hard, soft) in zip(
            self.students, self.optimisers, estimates, weights, strict=True
        ):
            optimiser.zero_grad()
            loss = hard * self.distance(estimate, clean) + soft * self.distance(estimate, teacher)
            loss.mean().backward()
            nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
            optimiser.step()
        own, by_soft, by_hard = self._distances_in_eval(batch)
        target = bounded_target(
            ratios, reward(own, by_soft, by_hard), before if self.settings.delta_by == "before" else own,
            method=self.settings.method, epochs=5, floor=self.floor, direction=self.settings.direction,
        )  # fmt: skip
        self.policy_optimiser.param_groups[0]["lr"] = 1e-3 * 0.1 ** (self.steps_done / 99)
        self.policy_optimiser.zero_grad()
        policy_loss(ratios, target).backward()
        self.policy_optimiser.step()
        self.steps_done += 1

    def _copy_student(self) -> None:
        for reference, optimiser in zip(self.students[1:], self.optimisers[1:], strict=True):
            reference.load_state_dict(self.students[0].state_dict())
            if self.settings.reference_optimiser == "copied":
                optimiser.load_state_dict(copy.deepcopy(self.optimisers[0].state_dict()))
            elif self.settings.reference_optimiser == "fresh":
                optimiser.state.clear()

    @torch.no_grad()
    def _distances_in_eval(self, batch: dict[str, Tensor]) -> list[Tensor]:
        found = [self.distance(network.eval()(batch["noisy"]), batch["clean"]) for network in self.students]
        for network in self.students:
            network.train()
        return found
