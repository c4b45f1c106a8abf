"""The plain networks that speed is measured against give what the library's give, outputs and gradients."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.plain import PLAIN, plain_twin
from sedistill.models import build_model

SMALL: dict[str, dict[str, Any]] = {
    "DCCRN": {"channels": [4, 8], "lstm_units": 4, "lstm_layers": 2, "window_length": 32, "hop_length": 16},
    "DPTNet": {"filters": 8, "hidden": 4, "heads": 2, "chunk": 10, "repeats": 2},
    "GTCRN": {},
    "MANNER": {"channels": 6, "depth": 2, "attention": "all", "chunk": 8},
    "WaveUNet": {"filters": 3, "layers": 4},
}


def randomise_norms(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 2)
            for tensor in (module.bias, module.running_mean):
                nn.init.normal_(tensor, std=0.1)


def after_a_step(network: nn.Module, noisy: Tensor) -> tuple[Tensor, dict[str, float]]:
    """The output, and the norm of each parameter's gradient; complex kernels by the library's names."""
    output = network(noisy)
    output.square().sum().backward()
    named = [
        (name.replace(".real.", ".real_").replace(".imag.", ".imag_"), p)
        for name, p in network.named_parameters()
    ]
    return output.detach(), {name: p.grad.norm().item() for name, p in named if p.grad is not None}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("network", PLAIN)
def test_same_outputs_and_gradients(network: str, training: bool) -> None:
    torch.manual_seed(0)
    model = build_model({"class": network, **SMALL[network]})
    randomise_norms(model)
    model = model.double().train(training)
    twin = plain_twin(model).double()
    noisy = 0.1 * torch.randn(2, 1501, dtype=torch.float64)
    (own, own_gradients), (plain, gradients) = after_a_step(model, noisy), after_a_step(twin, noisy)
    torch.testing.assert_close(own, plain, rtol=0, atol=1e-6 * own.abs().max().item())
    assert own_gradients == pytest.approx(gradients, rel=1e-5, abs=1e-9)
