"""Wave-U-Net: published counts, interpolation by hand, latency proved."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from sedistill.common.errors import UserError
from sedistill.models.wave_u_net import WaveUNet, doubled

SMALL = {"filters": 2, "layers": 3, "down_kernel": 5, "up_kernel": 3}


def test_count_by_hand() -> None:
    # F = 2, two layers, kernels 5 down and 3 up
    model = WaveUNet(filters=2, layers=2, down_kernel=5, up_kernel=3)
    down = (1 * 2 * 5 + 2) + (2 * 4 * 5 + 4)
    bottom = 4 * 6 * 5 + 6
    up = ((6 + 4) * 4 * 3 + 4) + ((4 + 2) * 2 * 3 + 2)
    assert sum(p.numel() for p in model.parameters()) == down + bottom + up + (3 + 1)


@pytest.mark.parametrize(
    ("filters", "parameters"),
    [(24, 10_263_002), (21, 7_858_097), (17, 5_150_237), (12, 2_566_862), (8, 1_141_322)],
)
def test_counts_of_kdrl(filters: int, parameters: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in WaveUNet(filters).parameters()) == parameters


def test_doubling_by_hand() -> None:
    assert doubled(torch.tensor([[[1.0, 3.0, 2.0]]])).tolist() == [[[1, 2, 3, 2.5, 2, 2]]]


@given(length=st.integers(1, 30), seed=st.integers(0, 100))
def test_doubling_and_decimation(length: int, seed: int) -> None:
    x = torch.randn(2, 3, length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    twice = doubled(x)
    assert twice.shape == (2, 3, 2 * length)
    assert torch.equal(twice[..., ::2], x)
    stock = F.interpolate(x, size=2 * length - 1, mode="linear", align_corners=True)
    torch.testing.assert_close(twice[..., :-1], stock)


def test_one_layer_written_out() -> None:
    torch.manual_seed(0)
    model = WaveUNet(filters=2, layers=1, down_kernel=5, up_kernel=3).double()
    x = torch.randn(1, 1, 6, dtype=torch.float64)
    full = F.leaky_relu(F.conv1d(x, model.down[0].weight, model.down[0].bias, padding=2), 0.2)
    low = F.leaky_relu(F.conv1d(full[..., ::2], model.bottom.weight, model.bottom.bias, padding=2), 0.2)
    joined = torch.cat([doubled(low), full], 1)
    top = F.leaky_relu(F.conv1d(joined, model.up[0].weight, model.up[0].bias, padding=1), 0.2)
    expected = torch.tanh(model.output(torch.cat([top, x], 1)))[:, 0]
    torch.testing.assert_close(model(x[:, 0]), expected)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_latency_by_nan(layers: int) -> None:
    """NaN in the future reaches no output earlier than the stated latency, and somewhere just that one."""
    model = WaveUNet(**{**SMALL, "layers": layers}).eval()
    waits = []
    for nan_start in range(150, 150 + 2**layers):
        noisy = torch.randn(1, 300)
        noisy[:, nan_start:] = float("nan")
        with torch.no_grad():
            waits.append(nan_start - model(noisy).isnan()[0].nonzero()[0].item() + 1)
    assert max(waits) == model.latency_samples == 1 + (2 + 2) * (2**layers - 1) + 2 * 2**layers


def test_its_own_loss() -> None:
    assert WaveUNet(**SMALL).se_loss == "mse"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"filters": 0}, "filters = 0"),
        ({"layers": 0}, "layers = 0"),
        ({"down_kernel": 4}, "down_kernel = 4"),
        ({"up_kernel": 2}, "up_kernel = 2"),
    ],
)
def test_impossible_settings_are_named(wrong: dict[str, int], named: str) -> None:
    with pytest.raises(UserError, match=named):
        WaveUNet(**{**SMALL, **wrong})
