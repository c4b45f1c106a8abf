"""The latency that every registered network states, proved; steps of a stream give what the clip gives."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sedistill.models.base import SpeechEnhancer
from sedistill.models.network_classes import NETWORKS
from sedistill.models.presets import build_model

SMALL_CLEAN_UNET = {"class": "CleanUNet", "channels": 4, "max_channels": 16, "width": 16, "hidden": 16}
# The smallest preset of each network, and what makes the others causal.
FAMILIES: dict[str, dict[str, Any]] = {
    "ConvTasNet": {"preset": "convtasnet-tiny"},
    "DCCRN": {"preset": "dccrn-cl-dispatch-student"},
    "DPTNet": {"preset": "dptnet-dfkd-tiny"},
    "GTCRN": {"preset": "gtcrn"},
    "FastEnhancer": {"preset": "fastenhancer-t"},
    "MANNER": {"preset": "manner-s-1.5gf"},
    "WaveUNet": {"preset": "wave-u-net-12"},
    "DEMUCS": {"preset": "demucs-small"},
    "TSTNN": {"preset": "tstnn"},
    "CleanUNet": {"preset": "clean-unet"},
    "E3Net": {"preset": "e3net"},
    "FastEnhancer, other hop": {"preset": "fastenhancer-t", "hop_length": 100, "bands": 8},
    "ConvTasNet, causal": {"preset": "convtasnet-tiny", "causal": True},
    "ConvTasNet, causal and deep": {
        "class": "ConvTasNet", "filters": 12, "filter_length": 16, "bottleneck": 6, "hidden": 8,
        "causal": True,
    },
    "DEMUCS, causal": {"class": "DEMUCS", "channels": 4, "normalize": False},
    "DEMUCS, causal and odd": {
        "class": "DEMUCS", "channels": 4, "depth": 2, "stride": 3, "resample": 2, "normalize": False,
    },
    "CleanUNet, causal": {**SMALL_CLEAN_UNET, "normalize": False},
    "CleanUNet, causal with a reach": {**SMALL_CLEAN_UNET, "normalize": False, "reach": 9},
    "DCCRN, small": {
        "class": "DCCRN", "channels": [4, 6], "lstm_units": 6, "lstm_layers": 2, "hop_length": 128,
    },
}  # fmt: skip
MASKED = ("CleanUNet",)
"""A masked attention multiplies the future by 0, which leaves NaN as it is: here it is other samples."""


def lively(described: dict[str, Any]) -> SpeechEnhancer:
    """With statistics of a batch."""
    torch.manual_seed(0)
    model = build_model(described)
    with torch.no_grad():
        noise = 0.1 * torch.randn(2, 3000)
        if any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in model.modules()):
            model.train()(noise)
    return model.eval()


def test_every_network_is_here() -> None:
    assert NETWORKS.keys() == {name for name in FAMILIES if ", " not in name}


@pytest.mark.parametrize("name", FAMILIES)
def test_future_does_not_leak(name: str) -> None:
    model = lively(FAMILIES[name])
    latency = model.latency_samples
    if latency is None:
        assert not model.causal
        assert model.latency_ms is None
        assert model.lookahead_ms is None
        return
    noisy = 0.1 * torch.randn(1, 2 * latency + 1000)
    spoilt = noisy.clone()
    place = latency + 700
    spoilt[:, place:] = 0.5 if type(model).__name__ in MASKED else torch.nan
    with torch.no_grad():
        before, after = model(noisy)[0], model(spoilt)[0]
    known = place - latency + 1
    assert torch.equal(before[:known], after[:known])
    assert not torch.equal(before, after)
    assert model.latency_ms == pytest.approx(1000 * latency / model.sample_rate, abs=1e-3)
    assert model.lookahead_ms is not None
    assert model.lookahead_ms < model.latency_ms
    assert model.lookahead_samples == 0 or not model.causal


STREAMS = [
    "GTCRN", "FastEnhancer", "FastEnhancer, other hop", "E3Net", "ConvTasNet, causal",
    "ConvTasNet, causal and deep", "DEMUCS, causal", "DEMUCS, causal and odd",
    "CleanUNet, causal with a reach", "DCCRN, small",
]  # fmt: skip


@pytest.fixture(scope="module", params=STREAMS)
def stream(request: pytest.FixtureRequest) -> SpeechEnhancer:
    return lively(FAMILIES[request.param])


@settings(max_examples=8, deadline=None)
@given(steps=st.lists(st.integers(1, 7), min_size=1, max_size=9), length=st.integers(1, 5000))
def test_steps_give_what_the_clip_gives(stream: SpeechEnhancer, steps: list[int], length: int) -> None:
    size, delay = stream.step_samples, stream.delay_samples
    assert size is not None
    noisy = 0.1 * torch.randn(2, length)
    padded = torch.nn.functional.pad(noisy, (0, delay + sum(steps) * size))
    states, pieces, done = stream.first_states(2), [], 0
    assert not any(state.any() for state in states)
    with torch.no_grad():
        while done < length + delay:
            end = done + steps[len(pieces) % len(steps)] * size
            given_states = [state.clone() for state in states]
            piece, following = stream.step(padded[:, done:end], states, max(0, end - length))
            assert all(torch.equal(a, b) for a, b in zip(states, given_states, strict=True))  # pure
            assert [state.shape for state in following] == [state.shape for state in states]
            states, done = following, end
            pieces.append(piece)
        whole = stream(noisy)
    late = torch.cat(pieces, dim=1)
    size_of_output = float(whole.abs().max())
    torch.testing.assert_close(late[:, delay : delay + length], whole, rtol=0, atol=1e-5 * size_of_output)


@pytest.mark.parametrize("name", [name for name in STREAMS if not name.startswith(MASKED)])
def test_stated_latency_is_reached(name: str) -> None:
    """Somewhere in a step an output waits for just as many samples as are stated."""
    model = lively(FAMILIES[name])
    latency, step = model.latency_samples, model.step_samples
    assert latency is not None
    assert step is not None
    first = (latency // step + 2) * step
    starts = torch.unique(torch.tensor([first - 1, *range(first, first + step, max(1, step // 8))]))
    noisy = 0.1 * torch.randn(1, first + step + latency).repeat(len(starts), 1)
    noisy[torch.arange(noisy.shape[1]) >= starts[:, None]] = torch.nan
    with torch.no_grad():
        reached = model(noisy).isnan().float().argmax(dim=1)
    longest = int((starts - reached + 1).max())
    if name == "DEMUCS, causal and odd":  # what a stream has to keep in step costs it four samples
        assert latency - 4 == longest
    else:
        assert longest == latency
