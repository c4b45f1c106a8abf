"""KDRL's policy in training: it gives every clip its ratio and learns from the rewards."""

from typing import Any

import torch
from torch import Tensor

from sedistill.distill.kdrl import PolicyNetwork, bounded_target, policy_loss
from sedistill.training.gradients import average_what_backward_left
from sedistill.training.kdrl.kdrl_settings import KDRLSettings
from sedistill.training.not_finite import refuse_not_finite


class Policy:
    """The policy network, its Adam, and its learning rate, which decays geometrically from step to step.

    epochs, steps: of the whole training. floor: least size of a distance. seed: of the initial weights, which
    touch no other random numbers.
    """

    def __init__(
        self, settings: KDRLSettings, epochs: int, steps: int, floor: float, device: torch.device, seed: int
    ) -> None:
        self.settings, self.epochs, self.steps, self.floor = settings, epochs, steps, floor
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = PolicyNetwork(settings.policy_input_length).to(device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), fused=True)

    def ratios(self, clean: Tensor, teacher: Tensor, student: Tensor) -> Tensor:
        """A ratio for every clip, (B,), with the policy's graph for `learn`."""
        return self.network(clean, teacher, student)

    def learn(self, ratios: Tensor, reward: Tensor, distance: Tensor, steps_done: int) -> Tensor:
        """One step of the policy towards the ratios that the rewards speak for; returns its loss."""
        target = bounded_target(
            ratios,
            reward,
            distance,
            method=self.settings.method,
            epochs=self.epochs,
            floor=self.floor,
            direction=self.settings.direction,
        )
        loss = policy_loss(ratios, target)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        average_what_backward_left(list(self.network.parameters()), self.network)
        refuse_not_finite({"policy/loss": loss})
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate(steps_done)
        self.optimiser.step()
        return loss.detach()

    def learning_rate(self, steps_done: int) -> float:
        """Its first value before any step is done, its last at the last step and after."""
        start, end = self.settings.policy_learning_rate, self.settings.policy_learning_rate_end
        return start * (end / start) ** min(1.0, steps_done / max(self.steps - 1, 1))

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
