"""A folded network gives what the network gives, without its norms, and leaves it as it was."""

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sedistill.models.folding import fold_into, folded
from sedistill.models.presets import build_model
from tests.models.test_causality import FAMILIES, lively


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, _BatchNorm) for module in model.modules())


NAMES = ["FastEnhancer", "GTCRN", "FastEnhancer, other hop", "MANNER", "DCCRN", "ConvTasNet, causal and deep"]


@pytest.mark.parametrize("name", NAMES)
def test_same_output_without_norms(name: str) -> None:
    model = lively(FAMILIES[name]).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    light = folded(model)
    assert norms(light) == (0 if light.step_samples else norms(light))
    assert not light.training
    assert model.training
    assert not any("parametrizations" in key for key in light.state_dict())
    noisy = 0.1 * torch.randn(2, 3000)
    with torch.no_grad():
        wanted = model.eval()(noisy)
        assert torch.all((light(noisy) - wanted).abs() <= 2e-5 * wanted.abs().max())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_transposed_convolutions_in_groups(groups: int) -> None:
    torch.manual_seed(0)
    layer, norm = nn.ConvTranspose2d(4, 8, (1, 5), groups=groups), nn.BatchNorm2d(8)
    x = torch.randn(3, 4, 6, 7)
    with torch.no_grad():
        for _ in range(5):
            norm(layer(torch.randn_like(x)) + torch.arange(8.0)[:, None, None])
        wanted = norm.eval()(layer(x))
        fold_into(layer, norm)
        torch.testing.assert_close(layer(x), wanted, rtol=1e-4, atol=1e-5)


def test_outputs_that_are_only_added_are_one() -> None:
    model = lively(FAMILIES["ConvTasNet, causal and deep"])
    before, after = (one.separator.blocks[-1].body[-1] for one in (model, folded(model)))
    assert (before.out_channels, after.out_channels) == (12, 6)


def test_fewer_parameters_are_left_as_the_table_of_the_authors_says() -> None:
    light = folded(build_model("fastenhancer-t"))
    assert sum(p.numel() for p in light.parameters()) - light.exit.scale.numel() == 21_774
