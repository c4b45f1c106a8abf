"""DEMUCS: published counts, resampling against other ways to do it, latency proved."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from sedistill.common.errors import UserError
from sedistill.models.complexity import macs_per_second
from sedistill.models.demucs import DEMUCS, Resampler
from sedistill.models.layers.memory import Memory
from sedistill.models.layers.waveform_layers import DecoderLayer, EncoderLayer, fitting_length, rescale

SMALL = {"channels": 2, "depth": 2, "stride": 4, "resample": 2}
SIZES = {  # channels, depth, stride, resample, bidirectional: parameters, true G of MACs for 1 s and for 4 s
    "small": ((48, 5, 4, 4, False), 18_867_937, 2.538, 10.108),
    "large": ((64, 5, 2, 2, False), 33_533_569, 40.492, 162.449),
    "64 channels, slow": ((64, 5, 4, 4, False), 33_533_569, 4.499, 17.914),
    "small, both ways": ((48, 5, 4, 4, True), 34_216_417, None, None),
    "large, both ways": ((64, 5, 2, 2, True), 60_813_953, 67.619, 271.364),
}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("size", SIZES)
def test_published_parameters_and_macs(size: str) -> None:
    """The multiply-accumulates are those a counter gave for the public network, to the last digit noted."""
    settings, parameters, second, four_seconds = SIZES[size]
    with torch.device("meta"):
        models = {rate: DEMUCS(*settings, sample_rate=rate) for rate in (16_000, 64_000)}  # type: ignore[misc]
    assert count(models[16_000]) == parameters
    if second is not None:
        assert macs_per_second(models[16_000]) / 1e9 == pytest.approx(second, abs=5e-4)
        assert macs_per_second(models[64_000]) / 1e9 == pytest.approx(four_seconds, abs=5e-4)


def test_counts_of_the_parts() -> None:
    with torch.device("meta"):
        model = DEMUCS()
    assert [count(part) for part in (model.encoder, model.recurrent, model.decoder)] == [
        4_709_616, 9_449_472, 4_708_849,
    ]  # fmt: skip


def test_count_by_hand() -> None:
    encoder = (8 * 2 + 2) + (2 * 4 + 4) + (2 * 4 * 8 + 4) + (4 * 8 + 8)
    decoder = (4 * 8 + 8) + (4 * 2 * 8 + 2) + (2 * 4 + 4) + (2 * 8 + 1)
    lstm = 2 * (4 * 4 * (4 + 4) + 2 * 4 * 4)
    assert count(DEMUCS(**SMALL)) == encoder + decoder + lstm


# Resampling


def slow_between(x: np.ndarray, time: float) -> float:
    """The value at any time between samples: every sample's sinc, under a Hann window of 112 samples."""
    total = 0.0
    for i, value in enumerate(x):
        distance = time - i
        if abs(distance) < 56:
            total += value * np.sinc(distance) * (0.5 + 0.5 * math.cos(math.pi * distance / 56))
    return total


@pytest.mark.parametrize("length", [1, 5, 130])
def test_resampling_is_the_slow_one(length: int) -> None:
    x = torch.randn(2, 2 * length, generator=torch.Generator().manual_seed(length), dtype=torch.float64)
    resampler = Resampler().double()
    faster, slower = resampler.faster(x, 2), resampler.slower(x, 2)
    for clip in range(2):
        values = x[clip].numpy()
        twice = [slow_between(values, i / 2) for i in range(4 * length)]
        half = [(values[2 * i] + slow_between(values[1::2], i - 0.5)) / 2 for i in range(length)]
        np.testing.assert_allclose(faster[clip].numpy(), twice, atol=1e-6)
        np.testing.assert_allclose(slower[clip].numpy(), half, atol=1e-6)


def band_limited(limit: float, seed: int, samples: int = 1024) -> torch.Tensor:
    """Random sinusoids below `limit` of half the sample rate, whole periods in all samples; peak about 1."""
    generator = np.random.default_rng(seed)
    spectrum = np.zeros(samples // 2 + 1, dtype=complex)
    bins = generator.integers(1, int(limit * samples / 2), 12)
    spectrum[bins] = np.exp(2j * np.pi * generator.random(12))
    x = np.fft.irfft(spectrum, samples)
    return torch.from_numpy(x / np.abs(x).max())[None]


@given(seed=st.integers(0, 1000), times=st.sampled_from([2, 4]))
def test_faster_is_the_fourier_interpolation(seed: int, times: int) -> None:
    x = band_limited(0.9, seed)
    spectrum = np.fft.rfft(x[0].numpy())
    longer = torch.from_numpy(times * np.fft.irfft(spectrum, times * 1024))
    found = Resampler().double().faster(x, times)
    inside = slice(times * 100, -times * 100)  # the ends, where the clip stops, are another matter
    torch.testing.assert_close(found[0, inside], longer[inside], atol=2e-3, rtol=0)


@given(seed=st.integers(0, 1000), times=st.sampled_from([1, 2, 4]))
def test_there_and_back(seed: int, times: int) -> None:
    x, resampler = band_limited(0.9, seed), Resampler().double()
    back = resampler.slower(resampler.faster(x, times), times)
    assert back.shape == x.shape
    torch.testing.assert_close(back[:, 120:-120], x[:, 120:-120], atol=2e-3, rtol=0)


@given(length=st.integers(1, 60), times=st.sampled_from([1, 2, 4]), seed=st.integers(0, 100))
def test_old_samples_stay(length: int, times: int, seed: int) -> None:
    x = torch.randn(2, length, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(Resampler().faster(x, times)[:, ::times], x)


def test_slower_takes_off_what_it_cannot_hold() -> None:
    time = torch.arange(2000, dtype=torch.float64)
    above, below = torch.cos(0.6 * math.pi * time)[None], torch.cos(0.4 * math.pi * time)[None]
    resampler = Resampler().double()
    assert resampler.slower(above, 2)[:, 100:-100].abs().max() < 1e-3
    torch.testing.assert_close(
        resampler.slower(below, 2)[:, 100:-100], below[:, ::2][:, 100:-100], atol=1e-3, rtol=0
    )


# The network


@given(
    length=st.integers(1, 2000),
    depth=st.integers(1, 4),
    kernel_stride=st.sampled_from([(8, 4), (8, 2), (8, 3), (4, 2)]),
)
def test_fitting_length_is_the_least(length: int, depth: int, kernel_stride: tuple[int, int]) -> None:
    kernel, stride = kernel_stride

    def comes_back(n: int) -> bool:
        for _ in range(depth):
            if n < kernel or (n - kernel) % stride:
                return False
            n = (n - kernel) // stride + 1
        return True

    candidate = length
    while not comes_back(candidate):
        candidate += 1
    assert fitting_length(length, depth, kernel, stride) == candidate


def test_network_written_out() -> None:
    torch.manual_seed(0)
    model = DEMUCS(channels=3, depth=2, stride=2, resample=2).double()
    noisy = 3 * torch.randn(1, 28, dtype=torch.float64)
    deviation = ((noisy - noisy.mean()) ** 2).mean().sqrt()
    x = F.pad(noisy / (1e-3 + deviation), (0, 1))  # 58 at twice the rate: 26 and 10 frames
    x = model.resampler.faster(x, 2)[:, None]
    skips = []
    for layer in (model.encoder["1"], model.encoder["2"]):
        x = F.conv1d(x, layer.down.weight, layer.down.bias, stride=2).relu()
        first, second = F.conv1d(x, layer.mix.weight, layer.mix.bias).chunk(2, dim=1)
        skips.append(x := first * torch.sigmoid(second))
    assert [skip.shape[-1] for skip in skips] == [26, 10]
    x = model.recurrent.lstm(x.transpose(1, 2))[0].transpose(1, 2)
    for layer, skip in ((model.decoder["2"], skips[1]), (model.decoder["1"], skips[0])):
        first, second = F.conv1d(x + skip, layer.mix.weight, layer.mix.bias).chunk(2, dim=1)
        x = F.conv_transpose1d(first * torch.sigmoid(second), layer.up.weight, layer.up.bias, stride=2)
        x = x.relu() if layer is model.decoder["2"] else x
    expected = deviation * model.resampler.slower(x[:, 0], 2)[:, :28]
    torch.testing.assert_close(model(noisy), expected)


def test_both_ways_are_joined() -> None:
    model = DEMUCS(**SMALL, bidirectional=True)
    x = torch.randn(1, 4, 6)
    forwards, backwards = model.recurrent.lstm(x.transpose(1, 2))[0].chunk(2, dim=-1)
    weight, bias = model.recurrent.join.weight, model.recurrent.join.bias
    expected = forwards @ weight[:, :4].T + backwards @ weight[:, 4:].T + bias
    torch.testing.assert_close(model.recurrent(x, Memory()), expected.transpose(1, 2))
    assert not model.causal


def test_fresh_weights_come_halfway_to_their_deviation() -> None:
    layer = nn.Conv1d(4, 4, 8)
    weight, bias, deviation = layer.weight.clone(), layer.bias.clone(), layer.weight.std()
    rescale(nn.Sequential(layer))
    assert layer.weight.std().item() == pytest.approx((0.1 * deviation.item()) ** 0.5)
    scale = (deviation / 0.1) ** 0.5
    torch.testing.assert_close(layer.weight, weight / scale)
    torch.testing.assert_close(layer.bias, bias / scale)
    deviations = [p.std().item() for name, p in DEMUCS().encoder.named_parameters() if "weight" in name]
    assert all(0.03 < value < 0.3 for value in deviations)


@pytest.mark.parametrize("resample", [1, 2, 4])
@pytest.mark.parametrize("stride", [2, 3, 4])
@pytest.mark.parametrize("length", [1, 30, 301])
def test_every_combination_gives_the_length_back(resample: int, stride: int, length: int) -> None:
    model = DEMUCS(channels=2, depth=3, stride=stride, resample=resample)
    assert model(torch.randn(2, length)).shape == (2, length)


def test_layers_are_named_by_depth() -> None:
    model = DEMUCS(**SMALL)
    names = dict(model.named_modules())
    assert {"encoder.1", "encoder.2", "recurrent", "decoder.2", "decoder.1"} <= names.keys()
    assert isinstance(names["encoder.2"], EncoderLayer)
    assert isinstance(names["decoder.1"], DecoderLayer)
    assert names["decoder.1"].last
    assert model.output_layer() is names["decoder.1"].up


def waits(model: nn.Module, before: int, length: int, alignments: int) -> list[int]:
    """How long outputs wait for inputs that become NaN, wherever these begin, as the latency is counted."""
    starts = torch.arange(before, before + alignments)
    noisy = torch.randn(1, length).repeat(alignments, 1)
    noisy[torch.arange(length) >= starts[:, None]] = float("nan")
    with torch.no_grad():
        first = model(noisy).isnan().float().argmax(dim=1)
    return (starts - first + 1).tolist()


@pytest.mark.parametrize(
    ("depth", "stride", "resample"),
    [(5, 4, 4), (5, 2, 2), (1, 4, 1), (2, 2, 1), (2, 2, 4), (2, 3, 2), (3, 4, 2), (1, 8, 4), (1, 1, 2)],
)
def test_latency_by_nan(depth: int, stride: int, resample: int) -> None:
    """NaN in the future reaches no output earlier than the stated latency, and somewhere just that one.

    Odd sizes apart: a stream has to keep its resampling in step, which costs it less than a step.
    """
    model = DEMUCS(1, depth, stride, resample, normalize=False).eval()
    assert model.causal
    assert model.latency_samples is not None
    hop = stride**depth // math.gcd(stride**depth, resample)  # after which everything repeats
    assert model.step_samples == hop
    longest = max(waits(model, 900, 1800, hop))
    exact = (stride in (2, 4) and depth > 1 and resample < 4) or (depth, resample) == (5, 4)
    assert longest == model.latency_samples if exact else model.latency_samples - 4 <= longest


@pytest.mark.parametrize(("stride", "resample"), [(4, 4), (2, 2), (4, 1)])
def test_causal_form_is_the_clips_away_from_its_ends(stride: int, resample: int) -> None:
    """A stream begins in silence, a clip with its first sample; with as much silence both are one."""
    torch.manual_seed(0)
    model = DEMUCS(4, 2, stride, resample, normalize=False).double().eval()
    silence = model.late // resample
    assert silence * resample == model.late
    noisy = torch.randn(2, 3000, dtype=torch.float64)
    with torch.no_grad():
        streamed, whole = model(noisy), model.whole(F.pad(noisy, (silence, 0)))[:, silence:]
    assert whole.abs().max() > 1e-3
    torch.testing.assert_close(streamed[:, 1000:2500], whole[:, 1000:2500], rtol=0, atol=1e-6)


def test_latencies_of_the_papers_networks() -> None:
    assert DEMUCS(1, normalize=False).latency_samples == 764
    assert DEMUCS(1, stride=2, resample=2, normalize=False).latency_samples == 220
    for changes in ({}, {"bidirectional": True}, {"bidirectional": True, "normalize": False}):
        model = DEMUCS(1, **changes)
        assert not model.causal
        assert model.latency_samples is None


@pytest.mark.parametrize("changes", [{}, {"bidirectional": True, "normalize": False}])
def test_a_later_sample_reaches_the_first_where_latency_is_the_whole_clip(changes: dict[str, bool]) -> None:
    torch.manual_seed(0)
    model = DEMUCS(**{**SMALL, "channels": 4}, **changes).double().eval()
    noisy = torch.randn(1, 500, dtype=torch.float64)
    changed = noisy.clone()
    changed[:, -1] += 1
    with torch.no_grad():
        assert model(noisy)[0, 0] != model(changed)[0, 0]


def test_output_follows_the_level() -> None:
    model = DEMUCS(**SMALL)
    noisy = torch.randn(1, 300)
    with torch.no_grad():
        torch.testing.assert_close(model(100 * noisy), 100 * model(noisy), rtol=0.01, atol=0.1)
        assert not model(torch.zeros(1, 300)).any()
        assert not model(torch.ones(1, 1)).any()  # one sample does not deviate from itself


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"channels": 0}, "channels = 0"),
        ({"depth": 0}, "depth = 0"),
        ({"stride": 9}, "stride = 9"),
        ({"resample": 3}, "resample = 3"),
        ({"bidirectional": 1}, "bidirectional = 1"),
        ({"normalize": "no"}, "normalize = 'no'"),
    ],
)
def test_impossible_settings_are_named(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UserError, match=named):
        DEMUCS(**{**SMALL, **wrong})  # type: ignore[arg-type]
