"""GTCRN: published counts, its bands, latency proved, and nothing but the past."""

import pytest
import torch
from torch import nn

from sedistill.common.errors import UserError
from sedistill.models.gtcrn import GTCRN, DualPath, Strided, TemporalBlock, triangles, with_neighbours
from sedistill.models.layers.memory import Memory


def count(module: nn.Module, trained: bool = False) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trained)


def test_published_counts() -> None:
    model = GTCRN()
    assert count(model) == 48_245
    assert count(model, trained=True) == 23_669
    assert [count(layer) for layer in model.encoder] == [769, 689, 2162, 2162, 2162]
    assert [count(layer) for layer in model.recurrent] == [4192, 4192]
    assert [count(layer) for layer in model.decoder] == [2162, 2162, 2162, 689, 166]


def test_bands_share_every_bin() -> None:
    weights = triangles()
    assert weights.shape == (64, 192)
    torch.testing.assert_close(weights.sum(0), torch.ones(192))
    assert (weights >= 0).all()
    assert weights[0, 0] == weights[-1, -1] == 1  # the first centre is bin 65, the last is 8 kHz
    centres = weights.argmax(1)
    assert (centres.diff() > 0).all()
    erb = 21.4 * torch.log10(1 + 0.00437 * (centres + 65) * 31.25)
    step = (erb[-1] - erb[0]) / 63
    assert ((erb - erb[0]) / step - torch.arange(64)).abs().max() < 1  # within rounding to bins


def test_low_bins_pass_the_bank() -> None:
    bank = GTCRN().bands
    x = torch.randn(1, 2, 3, 257)
    bands = bank(x)
    assert bands.shape == (1, 2, 3, 129)
    assert torch.equal(bands[..., :65], x[..., :65])
    assert torch.equal(bank.inverse(bands)[..., :65], x[..., :65])
    torch.testing.assert_close(bank.inverse(torch.ones(1, 1, 1, 129)), torch.ones(1, 1, 1, 257))


def test_neighbours_by_hand() -> None:
    x = torch.tensor([1.0, 2, 3]).reshape(1, 1, 1, 3)
    assert with_neighbours(x)[0, :, 0].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 0]]
    two = torch.cat([x, 10 * x], dim=1)
    assert with_neighbours(two)[0, :, 0, 1].tolist() == [1, 2, 3, 10, 20, 30]


@pytest.mark.parametrize(("transposed", "bands"), [(False, 17), (True, 65)])
def test_strided_layers_halve_and_double_the_bands(transposed: bool, bands: int) -> None:
    assert Strided(4, 6, 2, transposed)(torch.randn(2, 4, 3, 33)).shape == (2, 6, 3, bands)


def test_block_passes_half_and_interleaves() -> None:
    block = TemporalBlock(dilation=2).eval()
    x = torch.randn(1, 16, 9, 33)
    assert torch.equal(block(x, Memory())[:, 1::2], x[:, 8:])


@pytest.mark.parametrize("dilation", [1, 5])
def test_block_sees_past_frames_only(dilation: int) -> None:
    block = TemporalBlock(dilation).eval()
    x = torch.randn(1, 16, 30, 33)
    changed = x.clone()
    changed[:, :, 12] += 1
    with torch.no_grad():
        moved = (block(x, Memory()) != block(changed, Memory())).any(dim=3).any(dim=1)[0].nonzero()[:, 0]
    assert moved[0] == 12
    assert 12 + 2 * dilation in moved


def test_dual_path_mixes_bands_both_ways_and_frames_forwards() -> None:
    layer = DualPath().eval()
    x = torch.randn(1, 16, 6, 33)
    changed = x.clone()
    changed[:, :, 3, 16] += 1
    with torch.no_grad():
        moved = (layer(x, Memory()) != layer(changed, Memory())).any(dim=1)[0]
    assert not moved[:3].any()
    assert moved[3].all()
    assert moved[5].all()


def test_other_rates_are_refused() -> None:
    with pytest.raises(UserError, match="GTCRN works at 16000 Hz alone"):
        GTCRN(sample_rate=8000)
