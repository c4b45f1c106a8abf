"""The plain networks that speed is measured against give what the library's give, outputs and gradients."""

from collections import defaultdict
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.plain import NOT_OF_PLAIN, PLAIN, plain_twin
from benchmarks.plain.convtasnet import PlainConvTasNet
from benchmarks.plain.fast_enhancer import plain_name
from sedistill.models.presets import build_model

CONV_TASNET = {"filters": 6, "filter_length": 8, "bottleneck": 4, "hidden": 5, "blocks": 3, "repeats": 2}
SMALL: dict[str, dict[str, Any]] = {
    "ConvTasNet": {**CONV_TASNET, "deep_layers": 2},
    "ConvTasNet, shallow": {**CONV_TASNET, "deep_layers": 0, "skip": 3, "mask": "sigmoid"},
    "ConvTasNet, without skip path": {**CONV_TASNET, "deep_layers": 0, "skip": 0, "encoder_relu": True},
    "DCCRN": {"channels": [4, 8], "lstm_units": 4, "lstm_layers": 2, "window_length": 32, "hop_length": 16},
    "DPTNet": {"filters": 8, "hidden": 4, "heads": 2, "chunk": 10, "repeats": 2},
    "FastEnhancer": {
        "channels": 6,
        "convolutions": 2,
        "blocks": 2,
        "units": 8,
        "bands": 5,
        "hop_length": 160,
    },
    "GTCRN": {},
    "MANNER": {"channels": 6, "depth": 2, "attention": "all", "chunk": 8},
    "WaveUNet": {"filters": 3, "layers": 4},
}


def randomize_norms(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 2)
            for tensor in (module.bias, module.running_mean):
                nn.init.normal_(tensor, std=0.1)


def after_a_step(network: nn.Module, noisy: Tensor) -> tuple[Tensor, dict[str, float]]:
    """The output, and the energy of each parameter's gradient, parts of one of the library's added up."""
    output = network(noisy)
    output.square().sum().backward()
    energies: dict[str, float] = defaultdict(float)
    for name, parameter in network.named_parameters():
        if parameter.grad is not None:
            name = plain_name(name) if type(network).__name__ == "FastEnhancer" else common_name(name)
            energies[name] += parameter.grad.square().sum().item()
    return output.detach(), energies


def common_name(name: str) -> str:
    for one, other in (
        (".real.", ".real_"), (".imag.", ".imag_"),  # kernels of a complex convolution
        (".residual.", ".body.6."), (".skip.", ".body.6."), ("frame_norm.norm.", "frame_norm."),
    ):  # fmt: skip
        name = name.replace(one, other)
    return name


def test_every_plain_network_is_compared() -> None:
    assert {name.split(",")[0] for name in SMALL} == set(PLAIN)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("network", SMALL)
def test_same_outputs_and_gradients(network: str, training: bool) -> None:
    torch.manual_seed(0)
    model = build_model({"class": network.split(",")[0], **SMALL[network]})
    randomize_norms(model)
    model = model.double().train(training)
    twin = plain_twin(model).double()
    noisy = 0.1 * torch.randn(2, 1501, dtype=torch.float64)
    (own, own_gradients), (plain, gradients) = after_a_step(model, noisy), after_a_step(twin, noisy)
    torch.testing.assert_close(own, plain, rtol=0, atol=1e-6 * own.abs().max().item())
    assert own_gradients == pytest.approx(gradients, rel=1e-5, abs=1e-9)


def test_published_convtasnet_has_skip_convolutions_but_no_skip_path() -> None:
    torch.manual_seed(0)
    model = build_model({"class": "ConvTasNet", **SMALL["ConvTasNet"]})
    without = build_model({"class": "ConvTasNet", **SMALL["ConvTasNet"], "skip": 0})
    names = without.state_dict()
    without.load_state_dict(
        {name: tensor[: len(names[name])] for name, tensor in model.state_dict().items()}
    )  # of a block's outputs the first are the residual ones
    published = PlainConvTasNet(
        **{k: v for k, v in model.settings.items() if k not in NOT_OF_PLAIN}, as_published=True
    )
    published.load_state_dict(model.state_dict())
    noisy = 0.1 * torch.randn(2, 401)
    torch.testing.assert_close(published(noisy), without(noisy), rtol=0, atol=1e-6)
    assert sum(p.numel() for p in published.parameters()) == sum(p.numel() for p in model.parameters())


def test_published_convtasnet_hides_most_convolutions_from_a_look_up_of_types() -> None:
    settings = {"kernel": 3, "mask": "relu", "encoder_relu": False, "last_residual": False, "skip": 4}
    published = PlainConvTasNet(**CONV_TASNET, **settings, deep_layers=2, as_published=True)
    seen = [name for name, module in published.named_modules() if type(module) is nn.Conv1d]
    assert {name.split(".")[-1] for name in seen} == {"residual", "skip"}
