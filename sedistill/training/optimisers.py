"""The optimiser of a network in training."""

from collections.abc import Iterable

import torch
from torch import nn

from sedistill.training.recipe import OptimiserSettings


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
