"""DPTNet: published counts, its layer written out, sequences in parts."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sedistill.common.errors import UserError
from sedistill.models.complexity import macs_per_second
from sedistill.models.dptnet import DPTNet, TransformerLayer
from sedistill.models.layers import sequences

SMALL = {"filters": 6, "filter_length": 8, "hidden": 5, "heads": 2, "chunk": 10, "repeats": 2}


@pytest.mark.parametrize(
    ("filters", "hidden", "parameters"),
    [(128, 256, 11_126_913), (96, 192, 6_271_585), (64, 128, 2_798_657)],
)
def test_counts_of_dfkd(filters: int, hidden: int, parameters: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in DPTNet(filters, hidden=hidden).parameters()) == parameters


def test_count_by_hand() -> None:
    N, h = 6, 5
    attention, norms = 4 * (N * N + N), 2 * 2 * N
    lstm, linear = 2 * (4 * h * (N + h) + 8 * h), 2 * h * N + N
    ends, after, gates = 2 * 8 * N + 2 * N, 1 + N * N + N, 2 * (N * N + N)
    expected = ends + 4 * (attention + norms + lstm + linear) + after + gates
    assert sum(p.numel() for p in DPTNet(**SMALL).parameters()) == expected


def test_macs_by_formula() -> None:
    N, h, size = 6, 5, 10
    frames = 16_000 // 4 - 1
    chunks = (frames + size) // 5 + 1
    rows = chunks * size
    layer = 4 * N * N + 2 * 4 * h * (N + h) + 2 * h * N
    attention = 2 * N * (size + chunks)  # scores and sums of a frame, within and across
    expected = rows * (2 * (2 * layer + attention) + N * N) + frames * (2 * 8 * N + 2 * N * N)
    assert macs_per_second(DPTNet(**SMALL)) == expected


def slow_layer(layer: TransformerLayer, x: torch.Tensor) -> torch.Tensor:
    """One sequence (L, N), head by head and with the norm written out."""

    def norm(values: torch.Tensor, module: nn.GroupNorm) -> torch.Tensor:
        centred = values - values.mean()
        return centred / (centred.square().mean() + 1e-8).sqrt() * module.weight + module.bias

    weights, biases = layer.attention.in_proj_weight.chunk(3), layer.attention.in_proj_bias.chunk(3)
    query, key, value = (F.linear(x, w, b).chunk(2, dim=-1) for w, b in zip(weights, biases, strict=True))
    heads = [
        torch.softmax(q @ k.T / q.shape[1] ** 0.5, dim=-1) @ v
        for q, k, v in zip(query, key, value, strict=True)
    ]
    x = norm(x + layer.attention.out_proj(torch.cat(heads, dim=-1)), layer.attention_norm)
    return norm(x + layer.linear(torch.relu(layer.recurrent(x[None])[0][0])), layer.recurrent_norm)


@pytest.mark.parametrize("rows", [1, 15, 1000])
@pytest.mark.parametrize("training", [False, True])
def test_layer_is_the_slow_one(rows: int, training: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequences, "ROWS_AT_ONCE", rows)
    torch.manual_seed(0)
    layer = TransformerLayer(6, 5, heads=2).double().train(training)
    nn.init.normal_(layer.attention.in_proj_bias)
    x = torch.randn(4, 7, 6, dtype=torch.float64)
    with torch.set_grad_enabled(training):
        torch.testing.assert_close(layer(x), torch.stack([slow_layer(layer, one) for one in x]))


def test_network_written_out() -> None:
    torch.manual_seed(0)
    model = DPTNet(**{**SMALL, "repeats": 1}).double()
    noisy = torch.randn(1, 100, dtype=torch.float64)  # 24 frames: 7 chunks, the first all zeros
    frames = torch.relu(F.conv1d(noisy[:, None], model.encoder.analysis.weight, stride=4))
    padded = F.pad(model.norm(frames)[0], (10, 20)).T
    chunks = torch.stack([padded[5 * j : 5 * j + 10] for j in range(7)])
    chunks = torch.stack([slow_layer(model.within[0], chunk) for chunk in chunks])
    chunks = torch.stack([slow_layer(model.across[0], chunks[:, i]) for i in range(10)], dim=1)
    summed = torch.zeros(54, 6, dtype=torch.float64)
    for j, chunk in enumerate(model.after(chunks)):
        summed[5 * j : 5 * j + 10] += chunk / 2
    features = summed[10:34].T[None]
    gated = torch.tanh(model.gate_tanh(features)) * torch.sigmoid(model.gate_sigmoid(features))
    masked = torch.relu(gated) * frames
    expected = F.conv_transpose1d(masked, model.decoder.synthesis.weight, stride=4)[:, 0]
    torch.testing.assert_close(model(noisy), expected)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"heads": 4}, "filters = 6"),
        ({"filter_length": 7}, "filter_length = 7"),
        ({"chunk": 9}, "chunk = 9"),
        ({"hidden": 0}, "hidden = 0"),
        ({"repeats": 0}, "repeats = 0"),
    ],
)
def test_impossible_settings_are_named(wrong: dict[str, int], named: str) -> None:
    with pytest.raises(UserError, match=named):
        DPTNet(**{**SMALL, **wrong})
