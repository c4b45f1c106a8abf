"""The optimiser of a network in training, and the running mean of the weights, which is steadier."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sedistill.training.recipe.optimiser_settings import OptimiserSettings


def build_optimiser(parameters: Iterable[nn.Parameter], settings: OptimiserSettings) -> torch.optim.Optimizer:
    """Adam, or AdamW where weights decay: matrices and kernels do, biases and gains do not."""
    parameters, rate = list(parameters), settings.learning_rate
    if settings.weight_decay == 0:
        return torch.optim.Adam(parameters, lr=rate, fused=True)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=rate, fused=True)


class AveragedWeights:
    """The exponential mean of a network's weights and buffers (statistics of batch norm among them).

    After step n of the mean it keeps min(decay, (1 + n) / (10 + n)) of it, so that the first validations are
    not those of the initial weights. What is no floating-point number is as in the last step.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay = network, decay
        self.trained: dict[str, Tensor] | None = None  # the weights in training, while the mean is in place
        self.restart()

    def restart(self) -> None:
        """Begin the mean anew with the weights as they are."""
        self.steps, self.mean = 0, _copy(self.network.state_dict())

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights of the step just done into the mean."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        now = self.network.state_dict()
        averaged = [name for name, value in now.items() if value.is_floating_point()]
        keep_mean = get_ema_multi_avg_fn(decay)
        keep_mean([self.mean[name] for name in averaged], [now[name] for name in averaged], self.steps)
        for name in now.keys() - averaged:
            self.mean[name].copy_(now[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has the mean's weights inside, and its own again afterwards."""
        self.trained = _copy(self.network.state_dict())
        self.network.load_state_dict(self.mean)
        try:
            yield
        finally:
            self.network.load_state_dict(self.trained)
            self.trained = None

    def trained_weights(self) -> Mapping[str, Tensor]:
        """The weights in training, also while the mean is in place."""
        return self.network.state_dict() if self.trained is None else self.trained

    def state_dict(self) -> dict[str, object]:
        return {"steps": self.steps, "mean": self.mean}

    def load_state_dict(self, state: Mapping) -> None:
        self.steps = int(state["steps"])
        for name, value in state["mean"].items():
            self.mean[name].copy_(value)


def _copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in weights.items()}
