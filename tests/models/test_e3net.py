"""E3Net-like networks: the counts that were found for them, written out, latency proved."""

import pytest
import torch
from torch.nn import functional as F

from sedistill.common.errors import UserError
from sedistill.models.complexity import macs_per_second
from sedistill.models.e3net import E3Net

SMALL = {"filters": 6, "window_length": 8, "projection": 5, "inner": 7, "hidden": 4, "blocks": 2}


@pytest.mark.parametrize(
    ("filters", "window_length", "projection", "inner", "hidden", "blocks", "parameters"),
    [
        (2048, 320, 256, 1024, 256, 2, 4_475_143),  # the preset, and others that fit 4.5 M
        (2048, 512, 256, 256, 256, 2, 4_473_607),
        (1024, 400, 256, 512, 256, 4, 4_511_499),
        (1024, 400, 256, 1024, 256, 3, 4_508_681),
        (1024, 640, 256, 256, 256, 4, 4_477_707),
        (256, 320, 256, 1024, 256, 4, 4_510_475),
        (512, 320, 256, 512, 256, 5, 4_546_573),
        (2048, 320, 512, 1024, 512, 4, 16_035_339),  # public re-implementations
        (2048, 320, 1024, 1024, 256, 4, 8_943_627),
    ],
)
def test_counts(
    filters: int, window_length: int, projection: int, inner: int, hidden: int, blocks: int, parameters: int
) -> None:
    with torch.device("meta"):
        model = E3Net(filters, window_length, projection, inner, hidden, blocks)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_count_by_hand() -> None:
    ends = 2 * 6 * 8 + 6 + 1
    project = 1 + 2 * 6 + (6 * 5 + 5) + 1 + 2 * 5
    blocks = sum((i * 7 + 7) + (7 * 4 + 4) + 2 + 3 * 2 * 4 + 4 * 4 * (4 + 4) + 8 * 4 for i in (5, 4))
    mask = 4 * 6 + 6
    assert sum(p.numel() for p in E3Net(**SMALL).parameters()) == ends + project + blocks + mask


def test_macs_by_formula() -> None:
    N, W, P, Q, h = 2048, 320, 256, 1024, 256
    frames = 16_000 // 160 + 1
    blocks = 2 * (P * Q + Q * h + 4 * h * (h + h))
    expected = frames * (2 * N * W + N * P + blocks + h * N)
    with torch.device("meta"):
        assert macs_per_second(E3Net()) == expected
    assert expected / 1e9 == pytest.approx(0.45, abs=0.005)


def test_network_written_out() -> None:
    torch.manual_seed(0)
    model = E3Net(**SMALL).double()
    noisy = torch.randn(1, 18, dtype=torch.float64)
    padded = F.pad(noisy, (4, 6))[0]
    encoded = torch.stack(
        [model.encoder.weight[:, 0] @ padded[start : start + 8] for start in range(0, 24, 4)]
    )
    encoded = encoded + model.encoder.bias
    x = encoded
    for layer in model.project:
        x = layer(x)
    for block in model.blocks:
        u = x
        for layer in block.linear:
            u = layer(u)
        x = block.output_norm(u + block.recurrent_norm(block.recurrent(u[None])[0][0]))
    masked = encoded * torch.sigmoid(model.mask(x))
    total = torch.full((28,), model.decoder.bias.item(), dtype=torch.float64)
    for start, frame in zip(range(0, 24, 4), masked, strict=True):
        total[start : start + 8] += frame @ model.decoder.weight[:, 0]
    torch.testing.assert_close(model(noisy)[0], total[4:22])


def test_every_sample_is_in_two_frames() -> None:
    model = E3Net(**SMALL)
    with torch.no_grad():
        model.decoder.weight.fill_(1)
        model.decoder.bias.zero_()
        model.encoder.weight.zero_()
        model.encoder.bias.fill_(1)
        model.mask.weight.zero_()
        model.mask.bias.zero_()
        for length in (1, 4, 5, 23):
            assert torch.equal(model(torch.zeros(1, length)), torch.full((1, length), 2 * 6 * 0.5))


@pytest.mark.parametrize("window_length", [8, 20])
def test_latency_by_nan(window_length: int) -> None:
    """NaN in the future reaches no output earlier than the stated latency, and somewhere just that one."""
    model = E3Net(**{**SMALL, "window_length": window_length}).eval()
    waits = []
    for nan_start in range(150, 150 + window_length):
        noisy = torch.randn(1, 300)
        noisy[:, nan_start:] = float("nan")
        with torch.no_grad():
            waits.append(nan_start - model(noisy).isnan()[0].nonzero()[0].item() + 1)
    assert max(waits) == model.latency_samples == window_length
    assert model.causal


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"filters": 0}, "filters = 0"),
        ({"window_length": 7}, "window_length = 7"),
        ({"projection": 0}, "projection = 0"),
        ({"inner": 0}, "inner = 0"),
        ({"hidden": 0}, "hidden = 0"),
        ({"blocks": 0}, "blocks = 0"),
    ],
)
def test_impossible_settings_are_named(wrong: dict[str, int], named: str) -> None:
    with pytest.raises(UserError, match=named):
        E3Net(**{**SMALL, **wrong})
