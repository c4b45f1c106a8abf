"""A norm over the clip inside the convolution behind it gives what both give apart."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sedistill.inference.exporting.clip_norms import NormedDepthwise, NormedMixing, with_norms_inside

CHANNELS = 6


def layers(dilation: int, taps: int, seed: int) -> nn.Sequential:
    """As in a block of Conv-TasNet, with weights of both signs and one of 0."""
    torch.manual_seed(seed)
    padding = dilation * (taps // 2)
    depthwise = nn.Conv1d(CHANNELS, CHANNELS, taps, dilation=dilation, padding=padding, groups=CHANNELS)
    norms = [nn.GroupNorm(1, CHANNELS, eps=1e-8) for _ in range(2)]
    for norm in norms:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        with torch.no_grad():
            norm.weight[seed % CHANNELS] = 0
    return nn.Sequential(norms[0], depthwise, nn.PReLU(), norms[1], nn.Conv1d(CHANNELS, 4, 1))


def apart_and_inside(whole: nn.Sequential, x: Tensor) -> tuple[Tensor, Tensor]:
    changed = copy.deepcopy(whole)
    with torch.no_grad():
        with_norms_inside(changed)
        return whole(x), changed(x)


@given(
    frames=st.integers(1, 40), dilation=st.sampled_from([1, 4, 32]), taps=st.sampled_from([1, 3, 5]),
    level=st.sampled_from([1e-3, 1.0, 1e3]), mean=st.sampled_from([0.0, 1.0]), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_same_output(frames: int, dilation: int, taps: int, level: float, mean: float, seed: int) -> None:
    """At the edges, too, which dilated taps may cross from both sides at once."""
    whole = layers(dilation, taps, seed).double()
    x = level * (torch.randn(1, CHANNELS, frames, dtype=torch.double) + mean)
    apart, inside = apart_and_inside(whole, x)
    torch.testing.assert_close(inside, apart, rtol=1e-7, atol=1e-7)


def test_same_output_in_single_precision() -> None:
    whole = layers(4, 3, 0)
    apart, inside = apart_and_inside(whole, torch.randn(1, CHANNELS, 20_000) + 0.5)
    torch.testing.assert_close(inside, apart, rtol=1e-4, atol=1e-5)
    assert apart.abs().max() > 1


def test_silence() -> None:
    """Zeros, of which a norm makes its bias."""
    apart, inside = apart_and_inside(layers(2, 3, 1), torch.zeros(1, CHANNELS, 50))
    torch.testing.assert_close(inside, apart)


@pytest.mark.parametrize(
    ("norm", "convolution"),
    [
        (nn.GroupNorm(2, CHANNELS), nn.Conv1d(CHANNELS, 4, 1)),
        (nn.GroupNorm(1, CHANNELS), nn.Conv1d(CHANNELS, 4, 3, padding=1)),
        (nn.GroupNorm(1, CHANNELS), nn.Conv1d(CHANNELS, 4, 1, groups=2)),
        (nn.BatchNorm1d(CHANNELS), nn.Conv1d(CHANNELS, 4, 1)),
    ],
)
def test_others_stay(norm: nn.Module, convolution: nn.Module) -> None:
    whole = nn.Sequential(norm, convolution)
    with_norms_inside(whole)
    assert list(whole) == [norm, convolution]


def test_only_sums_are_left() -> None:
    whole = layers(1, 3, 0)
    with_norms_inside(whole)
    kinds = [type(layer) for layer in whole]
    assert kinds == [nn.Identity, NormedDepthwise, nn.PReLU, nn.Identity, NormedMixing]
