"""MANNER: published counts, its three views written out, names of the layers."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sedistill.common.errors import UserError
from sedistill.models.complexity import macs_per_second
from sedistill.models.layers.multi_view_attention import (
    ChannelAttention,
    Gate,
    GlobalAttention,
    LocalAttention,
    MultiViewAttention,
)
from sedistill.models.manner import MANNER, ResidualConformer

SMALL = {"channels": 3, "depth": 2, "chunk": 6}
SIZES = {  # channels, depth, attention: parameters, true G of multiply-accumulates for 64,000 samples
    "B": ((60, 4, "all"), 24_068_671, 38.382),
    "S": ((60, 4, "deepest"), 21_253_921, 13.500),
    "S-1.5GF": ((12, 3, "deepest"), 257_785, 0.567),
    "S-5.3GF": ((24, 3, "deepest"), 901_777, 2.005),
    "S-8.1GF": ((30, 3, "deepest"), 1_380_901, 3.050),
}


@pytest.mark.parametrize("size", SIZES)
def test_published_parameters_and_macs(size: str) -> None:
    settings, parameters, giga = SIZES[size]
    with torch.device("meta"):
        model = MANNER(*settings, sample_rate=64_000)  # type: ignore[misc]
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert macs_per_second(model) / 1e9 == pytest.approx(giga, abs=5e-4)


@pytest.mark.parametrize(("size", "slow", "all_norms"), [("S-1.5GF", 30, 57), ("B", 88, 129)])
def test_some_batch_norms_remember_longer(size: str, slow: int, all_norms: int) -> None:
    """As in the authors' code: 0.01 behind the convolutions of its BasicConv, torch's 0.1 elsewhere."""
    with torch.device("meta"):
        model = MANNER(*SIZES[size][0])  # type: ignore[misc]
    momenta = {name: m.momentum for name, m in model.named_modules() if isinstance(m, nn.BatchNorm1d)}
    assert len(momenta) == all_norms
    assert sum(momentum == 0.01 for momentum in momenta.values()) == slow
    assert sum(momentum == 0.1 for momentum in momenta.values()) == all_norms - slow
    deepest = f"encoder.{SIZES[size][0][1]}"
    assert momenta[f"{deepest}.block.shortcut.1"] == momenta[f"{deepest}.block.body.10"] == 0.01
    assert momenta[f"{deepest}.attention.local.weigh.1"] == momenta[f"{deepest}.attention.join.1"] == 0.01
    for own in ("block.body.1", "block.body.4", "block.body.7", "down.1", "attention.local.neighbours.1"):
        assert momenta[f"{deepest}.{own}"] == 0.1


def randomized(module: nn.Module) -> nn.Module:
    """In float64 and eval mode, with norms that do something."""
    torch.manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d):
            for tensor in (norm.weight, norm.bias, norm.running_mean):
                nn.init.normal_(tensor)
            nn.init.uniform_(norm.running_var, 0.5, 2)
    return module.double().eval()


def test_channel_view_by_hand() -> None:
    attention = ChannelAttention(2)  # two channels, one between
    first, _, last = attention.weigh
    first.weight.data, first.bias.data = torch.tensor([[1.0, 2.0]]), torch.tensor([-1.0])
    last.weight.data, last.bias.data = torch.tensor([[1.0], [-1.0]]), torch.tensor([0.5, 0.0])
    x = torch.tensor([[[1.0, 3.0], [0.0, 1.0]]])  # maxima 3, 1: relu(4) = 4; means 2, 0.5: relu(2) = 2
    weights = torch.sigmoid(torch.tensor([(4 + 0.5) + (2 + 0.5), -4 - 2]))
    torch.testing.assert_close(attention(x), x * weights[None, :, None])


def pieces(sequence: torch.Tensor, size: int) -> list[tuple[int, torch.Tensor]]:
    """Chunks of (..., T) as the network cuts them, and where each begins."""
    starts = range(-size, sequence.shape[-1], size // 2)
    padded = F.pad(sequence, (size, 2 * size))
    return [(start, padded[..., start + size : start + 2 * size]) for start in starts]


def joined(chunks: list[tuple[int, torch.Tensor]], length: int) -> torch.Tensor:
    total = torch.zeros(*chunks[0][1].shape[:-1], length, dtype=torch.float64)
    for start, chunk in chunks:
        for i in range(chunk.shape[-1]):
            if 0 <= start + i < length:
                total[..., start + i] += chunk[..., i] / 2
    return total


@pytest.mark.parametrize("length", [1, 8, 21])
def test_global_view_is_attention_across_chunks(length: int) -> None:
    attention = randomized(GlobalAttention(6))
    x = torch.randn(2, 3, length, dtype=torch.float64)
    for b in range(2):
        for c in range(3):
            cut = pieces(x[b, c], 6)
            if (length + 6) % 3 == 0:  # one more chunk then, which holds zeros alone
                cut.append((length, torch.zeros(6, dtype=torch.float64)))
            tokens = torch.stack([chunk for _, chunk in cut])
            scores = attention.query(tokens) @ attention.key(tokens).T / 6**0.5
            attended = attention.output(torch.softmax(scores, dim=1) @ attention.value(tokens))
            chunks = [(start, row) for (start, _), row in zip(cut, attended, strict=True)]
            torch.testing.assert_close(attention(x)[b, c], joined(chunks, length))


@pytest.mark.parametrize("length", [1, 21])
def test_local_view_weighs_moments_of_each_chunk(length: int) -> None:
    attention = randomized(LocalAttention(3, 6))
    x = torch.randn(1, 3, length, dtype=torch.float64)
    chunks = []
    for start, chunk in pieces(x[0], 6):
        seen = attention.neighbours(chunk[None])[0]
        pooled = torch.stack([seen.max(dim=0).values, seen.mean(dim=0)])
        chunks.append((start, chunk * torch.sigmoid(attention.weigh(pooled[None])[0])))
    torch.testing.assert_close(attention(x)[0], joined(chunks, length))


def test_block_joins_the_views() -> None:
    block = randomized(MultiViewAttention(7, chunk=6))
    x = torch.randn(2, 7, 15, dtype=torch.float64)
    thirds = []
    for view in ("channel", "global", "local"):
        attended = block.get_submodule(view)(block.get_submodule(f"{view}_before")(x))
        assert attended.shape == (2, 2, 15)
        thirds.append(block.get_submodule(f"{view}_after")(attended))
    gate = block.gate
    features = block.join(torch.cat(thirds, dim=1))
    gated = gate.output(torch.tanh(gate.tanh(features)) * torch.sigmoid(gate.sigmoid(features))).relu()
    torch.testing.assert_close(block(x), gated + block.shortcut(x))


def test_count_of_residual_conformer_and_gate() -> None:
    a, b = 4, 6
    body = (a * 2 * a + 2 * a) + 4 * a + 31 * a + 2 * a + (a * b + b) + 2 * b + b * b + 2 * b
    assert sum(p.numel() for p in ResidualConformer(a, b).parameters()) == body + a * b + 2 * b
    assert sum(p.numel() for p in Gate(5).parameters()) == 3 * 30


@pytest.mark.parametrize(("attention", "layers"), [("all", [1, 2]), ("deepest", [2])])
def test_views_are_named_by_depth(attention: str, layers: list[int]) -> None:
    model = MANNER(**SMALL, attention=attention)
    names = {name for name, _ in model.named_modules()}
    views = {f"{side}.{layer}.attention.{view}" for side in ("encoder", "decoder") for layer in (1, 2)
             for view in ("channel", "global", "local")}  # fmt: skip
    assert names & views == {name for name in views if int(name.split(".")[1]) in layers}
    lengths = {}
    for side in ("encoder", "decoder"):
        layer = model.get_submodule(f"{side}.2.attention.global")
        layer.register_forward_hook(lambda _, __, output, side=side: lengths.update({side: output.shape}))
    model(torch.randn(2, 200))
    assert lengths == {"encoder": (2, 4, 12), "decoder": (2, 2, 52)}  # 12 channels and 6, each in three


def test_silence_and_a_single_sample_come_out_silent() -> None:
    model = MANNER(**SMALL).eval()
    assert not model(torch.zeros(1, 300)).any()
    assert not model(torch.ones(1, 1)).any()  # one sample does not deviate from itself


def test_a_later_sample_reaches_the_first() -> None:
    model = MANNER(**SMALL).eval()
    noisy = torch.randn(1, 500)
    changed = noisy.clone()
    changed[:, -1] += 1
    assert model(noisy)[0, 0] != model(changed)[0, 0]
    assert model.latency_samples is None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"channels": 2}, "channels = 2"),
        ({"depth": 0}, "depth = 0"),
        ({"attention": "some"}, "attention = 'some'"),
        ({"chunk": 7}, "chunk = 7"),
    ],
)
def test_impossible_settings_are_named(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UserError, match=named):
        MANNER(**{**SMALL, **wrong})  # type: ignore[arg-type]
