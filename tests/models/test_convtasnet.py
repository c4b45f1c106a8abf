"""Conv-TasNet: published counts, the stock-layer restatement, and the CPU forms of its layers."""

import copy
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from sedistill.common.errors import UserError
from sedistill.models.convtasnet import Block, ConvTasNet
from sedistill.models.layers import fast_cpu
from sedistill.models.layers.fast_cpu import PReLU, clip_chunks
from sedistill.models.layers.fused_block import fast_block
from sedistill.models.layers.learned_frames import Decoder, Encoder
from sedistill.models.layers.memory import Memory
from sedistill.models.layers.norms import CumulativeNorm
from sedistill.models.presets import build_model

SMALL = {"filters": 6, "filter_length": 8, "bottleneck": 4, "hidden": 5, "blocks": 3, "repeats": 2}
FORMS = {
    "deep with skip": {**SMALL, "deep_layers": 2},
    "deep without skip": {**SMALL, "deep_layers": 1, "skip": 0},
    "shallow with skip": {**SMALL, "deep_layers": 0, "skip": 3, "kernel": 5},
    "shallow with the last residual": {**SMALL, "deep_layers": 0, "last_residual": True},
    "shallow without skip": {**SMALL, "deep_layers": 0, "skip": 0, "mask": "sigmoid", "encoder_relu": True},
}


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "bench_convtasnet.py"
    spec = importlib.util.spec_from_file_location("bench_convtasnet", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)  # scripts import what lies beside them
        spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("width", "parameters"), [(128, 4_918_833), (64, 2_523_697), (32, 1_326_129)])
def test_shallow_counts_of_dfkd(width: int, parameters: int) -> None:
    model = ConvTasNet(512, 16, width, 512, width, 3, 8, 3, deep_layers=0)
    assert count(model) == parameters


@pytest.mark.parametrize(("width", "parameters"), [(256, 8_507_435), (64, 2_207_723)])
def test_one_reading_of_kdrl(width: int, parameters: int) -> None:
    model = ConvTasNet(256, 20, width, 512, width, 3, 7, 3, deep_layers=0, last_residual=True)
    assert count(model) == parameters


def test_count_by_hand() -> None:
    # N = 2, L = 4, B = 3, H = 5, Sc = 3, P = 3, one block, one deep layer
    model = ConvTasNet(2, 4, 3, 5, None, 3, 1, 1, deep_layers=1)
    encoder = (2 * 4 + 2) + (2 * 2 * 3 + 2) + 1
    block = (3 * 5 + 5) + 1 + 10 + (5 * 3 + 5) + 1 + 10 + 2 * (5 * 3 + 3)
    separator = 4 + (2 * 3 + 3) + block + (3 * 2 + 2)
    decoder = (2 * 2 * 3 + 2) + 1 + (2 * 4 + 1)
    assert count(model) == encoder + separator + decoder


@pytest.mark.parametrize("name", ["convtasnet-dispatch-student", "convtasnet-dfkd-tiny", "convtasnet-tiny"])
def test_causal_form_has_as_many_parameters(name: str) -> None:
    with torch.device("meta"):
        assert count(build_model({"preset": name, "causal": True})) == count(build_model(name))


def slow_cumulative_norm(norm: CumulativeNorm, x: torch.Tensor) -> torch.Tensor:
    normed = torch.empty_like(x)
    for clip in range(x.shape[0]):
        for frame in range(x.shape[2]):
            heard = x[clip, :, : frame + 1]
            deviation = (heard.var(correction=0) + norm.eps).sqrt()
            normed[clip, :, frame] = (x[clip, :, frame] - heard.mean()) / deviation * norm.weight + norm.bias
    return normed


@given(frames=st.integers(1, 30), channels=st.integers(1, 4), cut=st.integers(0, 30), level=st.floats(-5, 5))
def test_cumulative_norm_is_the_slow_one(frames: int, channels: int, cut: int, level: float) -> None:
    torch.manual_seed(frames)
    norm = CumulativeNorm(channels, eps=1e-5).double()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = level + torch.randn(2, channels, frames, dtype=torch.float64)
    pieces, memory = [], Memory()
    for piece in (part for part in (x[..., :cut], x[..., cut:]) if part.shape[2]):
        pieces.append(norm(piece, memory))
        memory = Memory(memory.left)
    torch.testing.assert_close(torch.cat(pieces, dim=2), slow_cumulative_norm(norm, x))


def test_cumulative_norm_by_hand() -> None:
    norm = CumulativeNorm(2, eps=0.0)
    x = torch.tensor([[[1.0, 5.0], [3.0, 7.0]]])  # means 2 and 4, variances 1 and 5
    wanted = torch.tensor([[[-1.0, 1 / 5**0.5], [1.0, 3 / 5**0.5]]])
    torch.testing.assert_close(norm(x, Memory()), wanted)


def test_cumulative_norm_stays_exact_for_hours() -> None:
    """After two hours of half-milliseconds a stream's frame is still the clip's, in single precision."""
    norm, frames = CumulativeNorm(64, eps=1e-5), 2 * 3600 * 2000
    x = 3 + torch.randn(1, 64, 500)
    memory = Memory()
    norm(x, memory)
    state = memory.left[0].double().sum(2)  # of 500 frames
    long = state * (frames / 500)
    state_before = torch.stack([long.float(), (long - long.float()).float()], dim=2)
    for _ in range(3):
        memory = Memory([state_before])
        norm(x[..., :1], memory)
        grown = memory.left[0].double().sum(2) - state_before.double().sum(2)
        heard = torch.stack([torch.tensor(64.0), x[0, :, 0].sum(), x[0, :, 0].square().sum()])
        torch.testing.assert_close(grown[0].float(), heard, rtol=1e-5, atol=1e-4)
        state_before = memory.left[0]


def test_causal_network_written_out() -> None:
    """Every frame by itself, from samples and frames up to it alone."""
    torch.manual_seed(0)
    model = ConvTasNet(**{**SMALL, "deep_layers": 1, "blocks": 2, "repeats": 1}, causal=True).double()
    noisy = torch.randn(1, 30, dtype=torch.float64)  # hops of 4: 9 frames, the last with two zeros

    def before(x: torch.Tensor, count: int) -> torch.Tensor:
        return F.pad(x, (count, 0))

    def activated(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, x, layer.weight * x)

    encoder, separator, decoder = model.encoder, model.separator, model.decoder
    x = F.conv1d(F.pad(noisy, (4, 6))[:, None], encoder.analysis.weight, encoder.analysis.bias, stride=4)
    x = activated(encoder.deep[1], F.conv1d(before(x, 2), encoder.deep[0].weight, encoder.deep[0].bias))
    frames = x
    x = separator.bottleneck(model.frame_norm(x))
    skips = 0
    for dilation, block in zip((1, 2), separator.blocks, strict=True):
        layers = block.body
        h = slow_cumulative_norm(layers[2], activated(layers[1], layers[0](x)))
        h = F.conv1d(before(h, 2 * dilation), layers[3].weight, layers[3].bias, dilation=dilation, groups=5)
        out = layers[6](slow_cumulative_norm(layers[5], activated(layers[4], h)))
        x, skips = x + out[:, :4], skips + out[:, 4:]
    masked = separator.mask(skips + x).relu() * frames
    kernel = decoder.deep[0].weight.transpose(0, 1).flip(2)
    masked = activated(decoder.deep[1], F.conv1d(before(masked, 2), kernel, decoder.deep[0].bias))
    wanted = F.conv_transpose1d(masked, decoder.synthesis.weight, decoder.synthesis.bias, stride=4)
    torch.testing.assert_close(model(noisy), wanted[:, 0, 4:34])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fused_norm", [True, False])
@pytest.mark.parametrize("chunk_values", [1, 10_000])
def test_outputs_and_gradients_of_stock_layers(
    benchmark: ModuleType, form: str, fused_norm: bool, chunk_values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_cpu, "CHUNK_VALUES", chunk_values)
    torch.manual_seed(0)
    model = ConvTasNet(**FORMS[form]).double()
    twin = copy.deepcopy(model)
    stock = benchmark.StockConvTasNet(twin, fused_norm)  # shares the twin's parameters
    noisy = torch.randn(3, 203, dtype=torch.float64)
    ours, theirs = noisy.clone().requires_grad_(), noisy.clone().requires_grad_()
    assert not any(type(m).__module__ == fast_cpu.__name__ for m in stock.modules())

    torch.testing.assert_close(model(ours), stock(theirs))
    model(ours).pow(3).sum().backward()
    stock(theirs).pow(3).sum().backward()

    torch.testing.assert_close(ours.grad, theirs.grad)
    for name, parameter in twin.named_parameters():
        if ".body.6." not in name:  # that one has a copy for each of its two outputs
            torch.testing.assert_close(model.get_parameter(name).grad, parameter.grad, msg=name)
    for block, residual, skip in zip(model.separator.blocks, stock.residuals, stock.skips, strict=True):
        parts = [part.weight.grad for part in (residual, skip) if isinstance(part, nn.Conv1d)]
        torch.testing.assert_close(block.body[6].weight.grad, torch.cat(parts))


@pytest.mark.parametrize("dilation", [1, 4, 40])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_fast_block_gradients_by_differences(dilation: int, kernel: int) -> None:
    torch.manual_seed(1)
    block = Block(2, 3, 2, 1, kernel, dilation, eps=1e-5).double()
    x = torch.randn(2, 2, 9, dtype=torch.float64, requires_grad=True)
    parameters = list(block.body.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: fast_block(x, block.body), (x, *parameters))


@given(
    batch=st.integers(1, 5), frames=st.integers(1, 40), kernel=st.sampled_from([1, 3, 7]),
    dilation=st.integers(1, 50), chunk_values=st.integers(1, 600), seed=st.integers(0, 1000),
)  # fmt: skip
def test_fast_block_is_the_stock_block(
    batch: int, frames: int, kernel: int, dilation: int, chunk_values: int, seed: int
) -> None:
    torch.manual_seed(seed)
    body = Block(3, 5, 3, 2, kernel, dilation, eps=1e-5).double().body
    x = torch.randn(batch, 3, frames, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_cpu, "CHUNK_VALUES", chunk_values)
        torch.testing.assert_close(fast_block(x, body), body(x))
        with torch.no_grad():
            torch.testing.assert_close(fast_block(x, body), body(x))


@given(slope=st.floats(-2, 2), values=st.lists(st.floats(-3, 3), min_size=1, max_size=20))
def test_prelu_gradients(slope: float, values: list[float]) -> None:
    x = torch.tensor(values, dtype=torch.float64).reshape(1, 1, -1)
    weights = torch.linspace(-1, 2, len(values), dtype=torch.float64)
    results = []
    for layer in (PReLU().double(), nn.PReLU().double()):
        layer.weight.data.fill_(slope)
        inputs = x.clone().requires_grad_()
        output = layer(inputs)
        (output * weights).sum().backward()
        results.append((output, inputs.grad, layer.weight.grad))
    torch.testing.assert_close(results[0], results[1])


def test_prelu_by_hand() -> None:
    x = torch.tensor([[[-2.0, 3.0]]], requires_grad=True)
    layer = PReLU()
    layer(x).sum().backward()
    assert x.grad is not None
    assert layer.weight.grad is not None
    assert x.grad.tolist() == [[[0.25, 1.0]]]
    assert layer.weight.grad.tolist() == [-2.0]


@given(batch=st.integers(1, 40), values=st.integers(1, 2**22))
def test_chunks_cover_the_batch_once(batch: int, values: int) -> None:
    chunks = clip_chunks(batch, values)
    assert [i for chunk in chunks for i in range(chunk.start, chunk.stop)] == list(range(batch))
    assert all((c.stop - c.start - 1) * values < fast_cpu.CHUNK_VALUES for c in chunks)


@pytest.mark.parametrize("length", [1, 9, 64, 100])
def test_encoder_and_decoder_are_strided_convolutions(length: int) -> None:
    torch.manual_seed(2)
    encoder, decoder = Encoder(6, 8, 0, relu=False).double(), Decoder(6, 8, 0).double()
    x = torch.randn(2, length, dtype=torch.float64)
    padded = F.pad(x, (0, max(8, -(-length // 4) * 4) - length))
    frames = encoder(x)
    torch.testing.assert_close(frames, F.conv1d(padded[:, None], encoder.analysis.weight, stride=4))
    waveform = F.conv_transpose1d(frames, decoder.synthesis.weight, stride=4)[:, 0]
    torch.testing.assert_close(decoder(frames), waveform)


@given(gain=st.floats(0.1, 10))
def test_shallow_network_follows_the_level(gain: float) -> None:
    torch.manual_seed(3)
    model = ConvTasNet(**FORMS["shallow without skip"]).double().eval()
    x = torch.randn(1, 400, dtype=torch.float64)
    torch.testing.assert_close(model(gain * x), gain * model(x), rtol=1e-4, atol=1e-6)


def test_autocast_runs_and_learns() -> None:
    model = ConvTasNet(**FORMS["deep with skip"])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(torch.randn(2, 200))
    output.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"filter_length": 7}, "filter_length = 7"),
        ({"kernel": 4}, "kernel = 4"),
        ({"skip": 3, "bottleneck": 4, "deep_layers": 1}, "skip = 3"),
        ({"skip": 3, "bottleneck": 4, "deep_layers": 0, "last_residual": True}, "skip = 3"),
        ({"last_residual": 1}, "last_residual = 1"),
        ({"hidden": 0}, "hidden = 0"),
        ({"blocks": -2}, "blocks = -2"),
        ({"filters": 2.5}, "filters = 2.5"),
        ({"repeats": True}, "repeats = True"),
        ({"mask": "tanh"}, "mask = 'tanh'"),
        ({"encoder_relu": "no"}, "encoder_relu = 'no'"),
        ({"causal": 1}, "causal = 1"),
        ({"sample_rate": 0}, "sample_rate = 0"),
    ],
)
def test_impossible_settings_are_named(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UserError, match=named):
        ConvTasNet(**wrong)  # type: ignore[arg-type]
