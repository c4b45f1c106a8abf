"""CleanUNet: published counts, its attention written out, latency proved."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from sedistill.common.errors import UserError
from sedistill.models.clean_unet import AttentionBlock, CleanUNet
from sedistill.models.complexity import macs_per_second
from sedistill.models.layers.memory import Memory
from sedistill.models.layers.self_attention import SelfAttention, steps_seen

SMALL = {"channels": 4, "max_channels": 8, "depth": 3, "blocks": 2, "width": 6, "heads": 2, "hidden": 10}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("blocks", "parameters", "second", "four_seconds"),
    [(0, 30_320_257, None, None), (3, 39_771_265, 10.308, 41.449), (5, 46_071_937, 10.699, 43.142)],
)
def test_published_parameters_and_macs(
    blocks: int, parameters: int, second: float | None, four_seconds: float | None
) -> None:
    """The multiply-accumulates are those a counter gave for the public network, to the last digit noted.

    They take the attention's whole square, though half of it is masked.
    """
    with torch.device("meta"):
        models = {rate: CleanUNet(blocks=blocks, sample_rate=rate) for rate in (16_000, 64_000)}
    assert count(models[16_000]) == parameters
    if second is not None:
        assert macs_per_second(models[16_000]) / 1e9 == pytest.approx(second, abs=5e-4)
        assert macs_per_second(models[64_000]) / 1e9 == pytest.approx(four_seconds, abs=5e-4)


def test_counts_of_the_parts() -> None:
    with torch.device("meta"):
        model = CleanUNet()
    assert count(model.encoder) == 14_766_144
    assert count(model.decoder) == 14_765_377
    assert [count(block) for block in model.attention] == 3 * [3_150_336]
    assert count(model.before) + count(model.after) == 787_712
    widths = [model.encoder[str(layer)].down.out_channels for layer in range(1, 9)]
    assert widths == [64, 128, 256, 512, 768, 768, 768, 768]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_attention_head_by_head(causal: bool, bias: bool) -> None:
    torch.manual_seed(0)
    attention = SelfAttention(6, heads=2, bias=bias, causal=causal).double()
    x = torch.randn(3, 5, 6, dtype=torch.float64)
    for sequence, found in zip(x, attention(x), strict=True):
        heads = [part.split(3, dim=-1) for part in attention.input(sequence).split(6, dim=-1)]
        attended = torch.zeros(5, 6, dtype=torch.float64)
        for head, (query, key, value) in enumerate(zip(*heads, strict=True)):
            for step in range(5):
                seen = step + 1 if causal else 5
                weights = torch.softmax((key[:seen] @ query[step]) / 3**0.5, dim=0)
                attended[step, 3 * head : 3 * head + 3] = weights @ value[:seen]
        torch.testing.assert_close(found, attention.output(attended))


@given(reach=st.integers(1, 8), length=st.integers(1, 12), cut=st.integers(0, 12))
def test_attention_within_its_reach(reach: int, length: int, cut: int) -> None:
    torch.manual_seed(length)
    attention = SelfAttention(4, heads=2, bias=False, causal=True).double()
    x = torch.randn(2, length, 4, dtype=torch.float64)
    expected = torch.cat(
        [attention(x[:, max(0, i + 1 - reach) : i + 1])[:, -1:] for i in range(length)], dim=1
    )
    pieces, memory = [], Memory()
    for piece in (part for part in (x[:, :cut], x[:, cut:]) if part.shape[1]):
        pieces.append(attention(piece, steps_seen(piece, reach, memory), memory))
        memory = Memory(memory.left)
    torch.testing.assert_close(torch.cat(pieces, dim=1), expected)


def test_reach_of_the_whole_clip_changes_nothing() -> None:
    noisy = torch.randn(2, 500)
    far, whole = CleanUNet(**SMALL, reach=100), CleanUNet(**SMALL)
    far.load_state_dict(whole.state_dict())
    torch.testing.assert_close(far(noisy), whole(noisy))


def test_causal_form_is_the_clips_away_from_its_ends() -> None:
    """A stream begins in silence, a clip with its first sample; with as much silence both are one."""
    torch.manual_seed(0)
    model = CleanUNet(**SMALL, reach=5, normalize=False).double()
    noisy = torch.randn(2, 900, dtype=torch.float64)
    with torch.no_grad():
        streamed, whole = model(noisy), model.whole(F.pad(noisy, (model.late, 0)))[:, model.late :]
    assert whole.abs().max() > 1e-3
    torch.testing.assert_close(streamed[:, 300:800], whole[:, 300:800])


def slow_norm(x: torch.Tensor, norm: nn.LayerNorm) -> torch.Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    return centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt() * norm.weight + norm.bias


def slow_block(block: AttentionBlock, x: torch.Tensor) -> torch.Tensor:
    x = slow_norm(x + block.attention(x), block.attention_norm)
    middle = (x @ block.expand.weight.T + block.expand.bias).clamp(min=0)
    return slow_norm(x + middle @ block.contract.weight.T + block.contract.bias, block.linear_norm)


def test_network_written_out() -> None:
    torch.manual_seed(0)
    model = CleanUNet(**{**SMALL, "depth": 2}).double()
    noisy = 3 * torch.randn(1, 25, dtype=torch.float64)
    level = ((noisy - noisy.mean()) ** 2).mean().sqrt() + 1e-3
    x = F.pad(noisy / level, (0, 1))[:, None]  # 26: 12 and 5 frames
    skips = []
    for layer in (model.encoder["1"], model.encoder["2"]):
        x = F.conv1d(x, layer.down.weight, layer.down.bias, stride=2).relu()
        first, second = F.conv1d(x, layer.mix.weight, layer.mix.bias).chunk(2, dim=1)
        skips.append(x := first * torch.sigmoid(second))
    assert [skip.shape[-1] for skip in skips] == [12, 5]
    frames = slow_norm(model.before(x).transpose(1, 2), model.norm)
    for block in model.attention:
        assert isinstance(block, AttentionBlock)
        frames = slow_block(block, frames)
    x = model.after(frames.transpose(1, 2))
    for layer, skip in ((model.decoder["2"], skips[1]), (model.decoder["1"], skips[0])):
        first, second = F.conv1d(x + skip, layer.mix.weight, layer.mix.bias).chunk(2, dim=1)
        x = F.conv_transpose1d(first * torch.sigmoid(second), layer.up.weight, layer.up.bias, stride=2)
        x = x.relu() if layer is model.decoder["2"] else x
    torch.testing.assert_close(model(noisy), level * x[:, 0, :25])


def test_the_callers_clip_stays_as_it_was() -> None:
    noisy = torch.randn(1, 100)
    before = noisy.clone()
    CleanUNet(**SMALL)(noisy)
    assert torch.equal(noisy, before)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_latency_by_disturbing_the_future(depth: int) -> None:
    """A changed future reaches no output earlier than the stated latency, and somewhere just that one.

    Not by NaN, as elsewhere: masked attention multiplies what it must not see by zero, and NaN would stay.
    """
    torch.manual_seed(0)
    model = CleanUNet(**{**SMALL, "channels": 16, "depth": depth}, normalize=False).double().eval()
    noisy = torch.randn(1, 120, dtype=torch.float64)
    waits = []
    with torch.no_grad():
        enhanced = model(noisy)
        for start in range(60, 60 + 2**depth):
            changed = noisy.clone()
            changed[:, start:] += torch.randn(120 - start, dtype=torch.float64)
            first = (model(changed) != enhanced)[0].nonzero()[0].item()
            waits.append(start - first + 1)
    assert max(waits) == model.latency_samples == 2**depth + 2 * (2**depth - 1)
    assert model.causal


def test_latency_of_eight_layers() -> None:
    assert CleanUNet(**{**SMALL, "depth": 8}, normalize=False).latency_samples == 766


def test_a_later_sample_reaches_the_first_through_the_deviation() -> None:
    torch.manual_seed(0)
    model = CleanUNet(**SMALL).double().eval()
    noisy = torch.randn(1, 300, dtype=torch.float64)
    changed = noisy.clone()
    changed[:, -1] += 1
    with torch.no_grad():
        assert model(noisy)[0, 0] != model(changed)[0, 0]
    assert not model.causal
    assert model.latency_samples is None


def test_layers_are_named_by_depth() -> None:
    model = CleanUNet(**SMALL)
    names = {name for name, _ in model.named_modules()}
    assert {"encoder.1", "encoder.3", "attention.0", "attention.1", "decoder.3", "decoder.1"} <= names
    assert model.output_layer() is model.get_submodule("decoder.1.up")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"channels": 0}, "channels = 0"),
        ({"max_channels": 0}, "max_channels = 0"),
        ({"depth": 0}, "depth = 0"),
        ({"blocks": -1}, "blocks = -1"),
        ({"heads": 4}, "width = 6"),
        ({"hidden": 0}, "hidden = 0"),
        ({"normalize": None}, "normalize = None"),
        ({"reach": 0}, "reach = 0"),
    ],
)
def test_impossible_settings_are_named(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UserError, match=named):
        CleanUNet(**{**SMALL, **wrong})  # type: ignore[arg-type]
