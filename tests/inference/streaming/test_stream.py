"""A stream gives what the whole recording gives, however it is cut; what is no sound does not stay in it."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import sedistill
from sedistill import Stream
from sedistill.common.errors import UserError
from sedistill.inference.streaming.pass_through import InSteps
from sedistill.models.base import SpeechEnhancer
from sedistill.models.layers.memory import Memory
from sedistill.models.presets import build_model
from sedistill.models.saving import load_model
from tests.models.test_causality import FAMILIES, STREAMS, lively

RATES = (8_000, 16_000, 44_100, 48_000)
IN_STEPS = [
    "GTCRN", "FastEnhancer, other hop", "ConvTasNet, causal and deep", "DEMUCS, causal and odd",
    "CleanUNet, causal with a reach", "DCCRN, small",
]  # fmt: skip


def noise(samples: int, channels: int = 1, seed: int = 0) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    return (0.1 * generator.standard_normal((channels, samples))).astype(np.float32)


def streamed(stream: Stream, samples: NDArray, sizes: Iterable[int]) -> NDArray:
    pieces, done = [], 0
    for size in sizes:
        pieces.append(stream.process(samples[..., done : done + size]))
        done += size
    pieces += [stream.process(samples[..., done:]), stream.flush()]
    return np.concatenate(pieces, axis=-1)


@pytest.fixture(scope="module")
def ready_made() -> SpeechEnhancer:
    return load_model("fastenhancer-t")


@pytest.fixture(scope="module", params=["ready-made", *IN_STEPS])
def network(request: pytest.FixtureRequest, ready_made: SpeechEnhancer) -> SpeechEnhancer:
    return ready_made if request.param == "ready-made" else lively(FAMILIES[request.param])


@pytest.mark.parametrize("rate", RATES)
@settings(max_examples=4, deadline=None)
@given(sizes=st.lists(st.integers(0, 3000), max_size=8), channels=st.integers(1, 2))
def test_any_chunks_give_what_the_recording_gives(
    network: SpeechEnhancer, rate: int, sizes: list[int], channels: int
) -> None:
    noisy = noise(7001, channels)
    wanted = sedistill.enhance(network, noisy, rate, chunk_seconds=None)
    peak = max(1.0, float(np.abs(wanted).max()))
    stream = Stream(network, rate)
    assert not stream.in_windows
    for _ in range(2):  # flushed, it begins anew
        got = streamed(stream, noisy, sizes)
        assert got.shape == noisy.shape
        assert np.abs(got - wanted).max() <= 1e-5 * peak
    stream.process(noisy[:, :3000])
    stream.reset()
    assert np.abs(streamed(stream, noisy, sizes) - wanted).max() <= 1e-5 * peak


@pytest.mark.parametrize("name", STREAMS)
def test_recorded_steps_are_those_of_the_network(name: str) -> None:
    """Chunks of one step are played from a record, for each number of channels."""
    model = lively(FAMILIES[name])
    size = model.step_samples
    assert size is not None
    stream = Stream(model)
    for channels in (2, 1):
        noisy = noise(30 * size + 7, channels)
        wanted = sedistill.enhance(model, noisy, 16_000, chunk_seconds=None)
        got = streamed(stream, noisy, [size] * 20)
        assert np.abs(got - wanted).max() <= 1e-5 * max(1.0, float(np.abs(wanted).max()))
    assert stream._stepping._records.keys() == {1, 2}


def test_networks_from_elsewhere_are_not_recorded() -> None:
    """Their steps may depend on values, which a record would not."""

    class Louder(SpeechEnhancer):
        causal, latency_samples, step_samples, se_loss = True, 64, 64, "si_snr"

        def piece(self, noisy: torch.Tensor, memory: Memory) -> torch.Tensor:
            return 2 * noisy if noisy.max() > 0.5 else noisy

    noisy = np.concatenate([np.full(640, level, np.float32) for level in (0.1, 0.6, 0.2)])
    got = streamed(Stream(Louder()), noisy, [64] * 30)
    assert np.array_equal(got, np.where(noisy > 0.5, 2 * noisy, noisy))


@pytest.mark.parametrize(
    "described",
    [
        {"class": "FastEnhancer", "channels": 4, "convolutions": 1, "blocks": 1, "units": 4, "bands": 4},
        {"class": "ConvTasNet", "filters": 2, "filter_length": 40, "bottleneck": 2, "hidden": 2, "blocks": 1,
         "repeats": 1, "deep_layers": 0, "causal": True},
    ],
)  # fmt: skip
def test_an_hour_stays_equal_and_small(described: dict[str, Any]) -> None:
    """At 1 kHz, in chunks of a minute and of a few samples; what is kept does not grow."""
    torch.manual_seed(0)
    network = build_model({**described, "sample_rate": 1000}).eval()
    noisy = noise(3600 * 1000)[0]
    stream = Stream(network)
    wanted = sedistill.enhance(network, noisy, 1000, chunk_seconds=None)
    pieces, done, kept = [], 0, []
    generator = np.random.default_rng(1)
    while done < len(noisy):
        size = int(generator.choice([60_000, 16, 3]))
        pieces.append(stream.process(noisy[done : done + size]))
        done += size
        assert stream._way is not None
        steps = stream._way.network
        assert isinstance(steps, InSteps)
        kept.append(steps.waiting.size + sum(state.numel() for state in steps.states))
    got = np.concatenate([*pieces, stream.flush()])
    assert len(got) == len(noisy)
    assert np.abs(got - wanted).max() <= 1e-5 * max(1.0, float(np.abs(wanted).max()))
    assert max(kept) < 2000


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("size", [7, 160])
def test_nothing_comes_later_than_the_latency_says(ready_made: SpeechEnhancer, rate: int, size: int) -> None:
    stream, taken, given_back, longest = Stream(ready_made, rate), 0, 0, 0
    for _ in range(rate // 2 // size):
        taken += size
        given_back += len(stream.process(np.zeros(size, np.float32)))
        longest = max(longest, taken - given_back)
    latency = stream.latency_ms * rate / 1000
    assert longest <= latency + size
    assert longest > 0.7 * latency - size
    assert rate != 16_000 or stream.latency_ms == 32


def test_better_quality_of_resampling_takes_longer(ready_made: SpeechEnhancer) -> None:
    best, good = (Stream(ready_made, 48_000, resampling=quality).latency_ms for quality in ("VHQ", "HQ"))
    assert best > 1.3 * good


def test_channels_do_not_hear_each_other(ready_made: SpeechEnhancer) -> None:
    left, right = noise(5000, 2)
    alone, both = Stream(ready_made), Stream(ready_made)
    together = streamed(both, np.stack([left, right]), [700, 0, 100])
    assert np.abs(together[0] - streamed(alone, left, [3])).max() < 1e-6


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30, 101.0])
@pytest.mark.parametrize("unusable", ["given", "silence"])
def test_unusable_chunk_comes_back_and_leaves_no_trace(
    ready_made: SpeechEnhancer, bad: float, unusable: str
) -> None:
    stream, noisy = Stream(ready_made, unusable=unusable), noise(16_000)[0]
    silent = noisy.copy()
    silent[4000:5000] = 0
    wanted = streamed(Stream(ready_made), silent, [])
    broken = noisy.copy()
    broken[4500] = bad
    got = streamed(stream, broken, [4000, 1000])
    assert stream.unusable_chunks == 1
    inside = np.zeros(1000, np.float32) if unusable == "silence" else broken[4000:5000]
    assert np.array_equal(got[4000:5000], inside, equal_nan=True)
    outside = np.r_[0:4000, 5000:16_000]
    assert np.abs(got[outside] - wanted[outside]).max() < 1e-6
    assert np.abs(streamed(stream, silent, []) - wanted).max() < 1e-6
    stream.reset()
    assert stream.unusable_chunks == 0


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8])
def test_pcm_goes_back_as_pcm(ready_made: SpeechEnhancer, dtype: type) -> None:
    scale, silence = {np.int16: (2**15, 0), np.int32: (2**31, 0), np.uint8: (2**7, 128)}[dtype]
    noisy = noise(4000)[0]
    pcm = np.rint(noisy.astype(np.float64) * scale + silence).astype(dtype)
    got = streamed(Stream(ready_made), pcm, [100, 999])
    assert got.dtype == dtype
    as_float = ((pcm.astype(np.float64) - silence) / scale).astype(np.float32)
    wanted = streamed(Stream(ready_made), as_float, [])
    assert np.abs((got.astype(np.float64) - silence) / scale - wanted).max() <= 0.51 / scale + 1e-6
    loud = streamed(Stream(ready_made), np.full(3000, np.iinfo(dtype).max, dtype), [])
    assert loud.dtype == dtype


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int16])
def test_tensors_go_back_as_tensors(ready_made: SpeechEnhancer, dtype: torch.dtype) -> None:
    stream = Stream(ready_made)
    first = stream.process(torch.zeros(2, 600).to(dtype))
    rest = stream.flush()
    assert isinstance(rest, torch.Tensor)
    assert first.dtype == rest.dtype == dtype
    assert first.shape[1] + rest.shape[1] == 600


def test_nothing_in_nothing_out(ready_made: SpeechEnhancer) -> None:
    stream = Stream(ready_made)
    assert len(stream.flush()) == 0
    assert stream.process(np.zeros((3, 0), np.float32)).shape == (3, 0)
    assert stream.flush().shape == (3, 0)
    assert Stream(ready_made, 48_000).process(np.zeros(0, np.int16)).dtype == np.int16


def test_what_is_no_chunk_is_refused(ready_made: SpeechEnhancer) -> None:
    stream = Stream(ready_made)
    stream.process(noise(100, 2), 16_000)
    with pytest.raises(UserError, match="runs at 16000 Hz and this chunk has 8000 Hz"):
        stream.process(noise(100, 2), 8_000)
    with pytest.raises(UserError, match="has 2 channels and this chunk has 1"):
        stream.process(noise(100))
    with pytest.raises(TypeError, match="neither floating point"):
        stream.process(np.zeros(5, np.int64))
    with pytest.raises(TypeError, match="not a list"):
        stream.process([0.0])  # type: ignore[type-var]
    for samples in (9, 64, 100):  # as a callback of sounddevice gives them
        with pytest.raises(ValueError, match=r"order is \(channels, samples\)"):
            stream.process(np.zeros((samples, 2), np.float32))
    with pytest.raises(ValueError, match="shape"):
        stream.process(np.zeros((0, 2), np.float32))
    assert stream.process(noise(100, 2)).shape[0] == 2  # and goes on


def test_the_last_chunk_of_many_channels_may_be_short(ready_made: SpeechEnhancer) -> None:
    stream = Stream(ready_made, strength_db=0)
    sound = noise(205, 16)
    pieces = [stream.process(sound[:, :200]), stream.process(sound[:, 200:]), stream.flush()]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), sound, atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"sample_rate": 0}, "sample_rate = 0"),
        ({"sample_rate": 16_000.5}, "sample_rate = 16000.5"),
        ({"unusable": "drop"}, "unusable = 'drop'"),
        ({"resampling": "best"}, "resampling = 'best'"),
        ({"window_seconds": 0.0}, "window_seconds = 0.0"),
    ],
)
def test_impossible_settings(ready_made: SpeechEnhancer, wrong: dict, named: str) -> None:
    with pytest.raises(UserError, match=named):
        Stream(ready_made, **wrong)
    with pytest.raises(UserError, match="is not a saved model"):
        Stream("no-such-model")


def test_a_model_of_nan_is_told(ready_made: SpeechEnhancer) -> None:
    broken = build_model("gtcrn")
    with torch.no_grad():
        next(broken.parameters()).fill_(torch.nan)
    with pytest.raises(UserError, match="weights are NaN"):
        Stream(broken).process(noise(1000)[0])


def test_a_model_of_finite_weights_that_gives_nan_is_told() -> None:
    class Diverged(SpeechEnhancer):
        causal, latency_samples, se_loss = False, None, "si_snr"

        def __init__(self, sample_rate: int = 16_000) -> None:
            super().__init__()

        def forward(self, noisy: torch.Tensor) -> torch.Tensor:
            return noisy / 0.0

    stream = Stream(Diverged())
    stream.process(noise(1000)[0])
    with pytest.raises(UserError, match="the model gave NaN for the stream, though its weights are finite"):
        stream.flush()


def test_the_model_stays_as_it_is(ready_made: SpeechEnhancer) -> None:
    network = build_model("fastenhancer-t").train()
    Stream(network).process(noise(1000)[0])
    assert network.training
    assert all(p.requires_grad for p in network.parameters())


class TestWindows:
    """Networks that need a whole clip."""

    @pytest.fixture
    def network(self) -> SpeechEnhancer:
        torch.manual_seed(0)
        return build_model("convtasnet-tiny").eval()

    @pytest.mark.parametrize("rate", [16_000, 48_000])
    def test_as_long_as_what_came_in_within_the_latency(self, network: SpeechEnhancer, rate: int) -> None:
        stream, taken, given_back = Stream(network, rate, window_seconds=0.8), 0, 0
        assert stream.in_windows
        assert rate != 16_000 or stream.latency_ms == 200 + 100 + 25
        noisy = noise(3 * rate)[0]
        sizes = [1, 5000, 0, 333, 30_000, 12]
        for size in sizes:
            given_back += len(stream.process(noisy[taken : taken + size]))
            taken += size
            assert taken - given_back <= stream.latency_ms * rate / 1000 + size
        assert given_back + len(stream.process(noisy[taken:])) + len(stream.flush()) == len(noisy)

    def test_chunks_change_nothing(self, network: SpeechEnhancer) -> None:
        noisy = noise(30_001, 2)
        one = streamed(Stream(network, window_seconds=0.5), noisy, [])
        other = streamed(Stream(network, window_seconds=0.5), noisy, [1, 1999, 0, 12_000, 77])
        assert np.abs(one - other).max() < 1e-6

    def test_less_than_a_window_is_the_clip(self, network: SpeechEnhancer) -> None:
        noisy = noise(3000)
        wanted = sedistill.enhance(network, noisy, 16_000, chunk_seconds=None)
        assert np.abs(streamed(Stream(network), noisy, [11]) - wanted).max() < 1e-6

    def test_many_channels_of_few_samples_are_no_swapped_batch(self, network: SpeechEnhancer) -> None:
        few = noise(5, 16)
        wanted = np.concatenate([streamed(Stream(network), few[n : n + 1], []) for n in range(16)])
        stream = Stream(network)
        stream.process(few[:, :0])  # says how many channels there are
        np.testing.assert_allclose(streamed(stream, few, []), wanted, atol=1e-6)
        assert streamed(Stream(network, 48_000), noise(20, 16), []).shape == (16, 20)

    def test_a_network_that_passes_all_is_passed_through(self) -> None:
        class Passes(SpeechEnhancer):
            causal, latency_samples, se_loss = False, None, "si_snr"

            def __init__(self, sample_rate: int = 16_000) -> None:
                super().__init__()

            def forward(self, noisy: torch.Tensor) -> torch.Tensor:
                return noisy

        noisy = noise(50_000)[0]
        assert np.abs(streamed(Stream(Passes()), noisy, [123, 40_000]) - noisy).max() < 1e-6
