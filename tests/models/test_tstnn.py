"""TSTNN: published counts, framing, its layers written out."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from sedistill.common.errors import UserError
from sedistill.models.complexity import macs_per_second
from sedistill.models.layers import sequences
from sedistill.models.tstnn import (
    TSTNN,
    Dense,
    Interleave,
    TransformerLayer,
    TwoStage,
    framed,
    overlap_averaged,
)

SMALL = {"channels": 4, "frame_length": 8, "dense_layers": 2, "repeats": 1, "heads": 2}


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_published_counts() -> None:
    with torch.device("meta"):
        model = TSTNN()
    assert count(model) == 924_771
    assert count(model.input) == 128 + 1024 + 64
    assert count(model.encoder) == 250_368
    assert count(model.down) == 12_352 + 512 + 64
    assert count(model.before, model.transformer, model.after) == 373_602
    assert count(model.transformer[0].within) == 46_112
    assert count(model.mask) == 12_480
    assert count(model.decoder) == 248_320
    assert count(model.up) == 24_704 + 1024 + 64
    assert count(model.output) == 65


@pytest.mark.parametrize(("samples", "giga"), [(16_000, 19.564), (64_000, 81.625)])
def test_macs_of_the_public_network(samples: int, giga: float) -> None:
    """To the last digit that is noted of a counter's result for 62 and 249 frames."""
    with torch.device("meta"):
        assert macs_per_second(TSTNN(sample_rate=samples)) / 1e9 == pytest.approx(giga, abs=5e-4)


def test_macs_by_formula() -> None:
    frames, n, C, heads_width = 16_000 // 4 - 1, 4, 4, 2
    dense = 2 * 3 * C * C * (1 + 2)
    ends = 2 * n * C + 2 * n * dense + n * C * C * 3 + n * dense + n * 2 * C * C * 3 + 2 * n * C
    layer = 4 * heads_width**2 + 2 * 3 * 4 * (2 + 4) + 8 * 2
    attention = 2 * heads_width * (n + frames)  # scores and sums of a place, within and across
    middle = n * (2 * C * heads_width + 2 * layer + attention + 3 * C * C)
    assert macs_per_second(TSTNN(**SMALL)) == frames * (ends + middle)


@given(length=st.integers(1, 90), half=st.integers(1, 9))
def test_frames_come_back(length: int, half: int) -> None:
    x = torch.randn(2, length)
    frames = framed(x, 2 * half)
    assert frames.shape == (2, max(1, math.ceil((length - 2 * half) / half + 1)), 2 * half)
    torch.testing.assert_close(overlap_averaged(frames, length), x)


def test_framing_by_hand() -> None:
    frames = framed(torch.tensor([[1.0, 2, 3, 4, 5]]), 4)
    assert frames.tolist() == [[[1, 2, 3, 4], [3, 4, 5, 0]]]
    joined = overlap_averaged(torch.tensor([[[1.0, 1, 1, 1], [3, 5, 7, 9]]]), 5)
    assert joined.tolist() == [[1, 1, 2, 3, 7]]


def test_interleaving_by_hand() -> None:
    x = torch.tensor([[1.0, 2], [3, 4], [10, 20], [30, 40]]).reshape(1, 4, 1, 2)
    assert Interleave()(x)[0, :, 0].tolist() == [[1, 10, 2, 20], [3, 30, 4, 40]]


def test_dense_written_out() -> None:
    torch.manual_seed(0)
    block = Dense(3, size=6, layers=3).double()
    x = torch.randn(2, 3, 7, 6, dtype=torch.float64)
    outputs = [x]
    for k, (convolution, rest) in enumerate(zip(block.convolutions, block.rests, strict=True)):
        joined = F.pad(torch.cat(outputs[::-1], dim=1), (1, 1, 2**k, 0))
        early, now = joined[:, :, :7], joined[:, :, 2**k :]
        convolved = convolution.bias[:, None, None] + sum(
            torch.einsum("oi,bikn->bokn", convolution.weight[:, :, tap, i], frames[..., i : i + 6])
            for tap, frames in enumerate((early, now))
            for i in range(3)
        )
        norm, slopes = rest
        centred = convolved - convolved.mean(-1, keepdim=True)
        normed = centred / (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt()
        normed = normed * norm.weight + norm.bias
        outputs.append(torch.where(normed > 0, normed, normed * slopes.weight[:, None, None]))
    torch.testing.assert_close(block(x), outputs[-1])


def test_dense_sees_past_frames_only() -> None:
    block = Dense(2, size=4, layers=3)
    x = torch.randn(1, 2, 20, 4)
    changed = x.clone()
    changed[:, :, 9, 1] += 1
    with torch.no_grad():
        moved = (block(x) != block(changed)).any(dim=3).any(dim=1)[0].nonzero()[:, 0]
    assert moved.tolist() == list(range(9, 9 + 1 + 1 + 2 + 4))


def slow_layer(layer: TransformerLayer, x: torch.Tensor) -> torch.Tensor:
    """One sequence (L, C), head by head and with the norm written out."""

    def norm(values: torch.Tensor, module: nn.LayerNorm) -> torch.Tensor:
        centred = values - values.mean(dim=-1, keepdim=True)
        scaled = centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
        return scaled * module.weight + module.bias

    attention = layer.attention
    parts = (part.chunk(2, dim=-1) for part in attention.input(x).chunk(3, dim=-1))
    heads = [
        torch.softmax(query @ key.T / query.shape[1] ** 0.5, dim=-1) @ value
        for query, key, value in zip(*parts, strict=True)
    ]
    x = norm(x + attention.output(torch.cat(heads, dim=-1)), layer.attention_norm)
    return norm(x + layer.linear(layer.recurrent(x[None])[0][0].clamp(min=0)), layer.recurrent_norm)


@pytest.mark.parametrize("rows", [1, 15, 1000])
@pytest.mark.parametrize("training", [False, True])
def test_layer_is_the_slow_one(rows: int, training: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequences, "ROWS_AT_ONCE", rows)
    torch.manual_seed(0)
    layer = TransformerLayer(4, heads=2).double().train(training)
    x = torch.randn(4, 7, 4, dtype=torch.float64)
    with torch.set_grad_enabled(training):
        torch.testing.assert_close(layer(x), torch.stack([slow_layer(layer, one) for one in x]))


def test_two_stages_written_out() -> None:
    torch.manual_seed(0)
    stages = TwoStage(4, heads=2).double()
    x = torch.randn(1, 4, 3, 5, dtype=torch.float64)  # 3 frames of 5 places
    within, across = torch.zeros_like(x), torch.zeros_like(x)

    def norm(values: torch.Tensor, module: nn.GroupNorm) -> torch.Tensor:
        centred = values - values.mean()
        scaled = centred / (centred.square().mean() + 1e-8).sqrt()
        return scaled * module.weight[:, None, None] + module.bias[:, None, None]

    for frame in range(3):
        within[0, :, frame] = slow_layer(stages.within, x[0, :, frame].T).T
    middle = x + norm(within, stages.within_norm)
    for place in range(5):
        across[0, :, :, place] = slow_layer(stages.across, middle[0, :, :, place].T).T
    torch.testing.assert_close(stages(x), middle + norm(across, stages.across_norm))


def test_network_written_out() -> None:
    torch.manual_seed(0)
    model = TSTNN(**SMALL).double()
    noisy = torch.randn(1, 18, dtype=torch.float64)
    padded = F.pad(noisy, (0, 2))[0]
    frames = torch.stack([padded[start : start + 8] for start in range(0, 16, 4)])[None, None]
    features = model.down(model.encoder(model.input(frames)))
    assert features.shape == (1, 4, 4, 4)
    seen = model.after(model.transformer(model.before(features)))
    gate = model.mask
    mask = torch.zeros_like(features)
    for frame in range(4):
        one = seen[:, :, frame]
        mask[:, :, frame] = gate.output(torch.tanh(gate.tanh(one)) * torch.sigmoid(gate.sigmoid(one))).relu()
    enhanced = model.output(model.up(model.decoder(mask * features)))[0, 0]
    total, times = torch.zeros(20, dtype=torch.float64), torch.zeros(20, dtype=torch.float64)
    for start, frame in zip(range(0, 16, 4), enhanced, strict=True):
        total[start : start + 8] += frame
        times[start : start + 8] += 1
    torch.testing.assert_close(model(noisy)[0], (total / times)[:18])


def test_a_later_sample_reaches_the_first() -> None:
    torch.manual_seed(0)
    model = TSTNN(**SMALL).double().eval()
    noisy = torch.randn(1, 300, dtype=torch.float64)
    changed = noisy.clone()
    changed[:, -1] += 1
    with torch.no_grad():
        assert (model(noisy) != model(changed))[0, :4].any()
    assert not model.causal
    assert model.latency_samples is None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"channels": 6}, "channels = 6"),
        ({"frame_length": 7}, "frame_length = 7"),
        ({"dense_layers": 0}, "dense_layers = 0"),
        ({"repeats": 0}, "repeats = 0"),
        ({"heads": 0}, "heads = 0"),
    ],
)
def test_impossible_settings_are_named(wrong: dict[str, int], named: str) -> None:
    with pytest.raises(UserError, match=named):
        TSTNN(**{**SMALL, **wrong})
