"""A waveform in memory: what goes in comes out at the same rate, length, level and place in time."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sedistill.common.errors import UserError
from sedistill.inference.enhancing import enhance
from tests.inference.enhancing.conftest import RATE, Powers, Unchanged, music


@pytest.mark.parametrize("sample_rate", [8000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("shape", [(0,), (1,), (3,), (1, 0), (2, 1), (2, 3), (5000,), (3, 5000)])
def test_shape_kind_and_type_come_back(sample_rate: int, shape: tuple[int, ...]) -> None:
    for given_type in (np.float32, np.float64):
        enhanced = enhance(Unchanged(), np.full(shape, 0.1, given_type), sample_rate)
        assert isinstance(enhanced, np.ndarray)
        assert (enhanced.shape, enhanced.dtype) == (shape, given_type)
    waveform = torch.full(shape, 0.1, dtype=torch.float64)
    from_torch = enhance(Unchanged(), waveform, sample_rate)
    assert (from_torch.shape, from_torch.dtype) == (waveform.shape, torch.float64)


@pytest.mark.parametrize("samples", [1, 3, 1000, 40_000])
def test_a_real_network_takes_any_length(model: Path, samples: int) -> None:
    enhanced = enhance(model, music(samples)[:, 0], RATE)
    assert enhanced.shape == (samples,)
    assert np.isfinite(enhanced).all()


@pytest.mark.parametrize("sample_rate", [8000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_nothing_is_shifted_or_scaled_at_any_rate(sample_rate: int) -> None:
    waveform = music(23 * sample_rate, 2, sample_rate)  # three chunks
    enhanced = enhance(Unchanged(), waveform.T, sample_rate).T
    inside = slice(sample_rate // 10, -sample_rate // 10)  # a resampler rings where a sound starts at once
    np.testing.assert_allclose(enhanced[inside], waveform[inside], atol=1e-4)
    lag = best_lag(waveform[:, 0], enhanced[:, 0])
    assert lag == 0


def best_lag(a: np.ndarray, b: np.ndarray, furthest: int = 200) -> int:
    """The shift of b against a, in samples, where their correlation is largest."""
    middle = slice(furthest, len(a) - furthest)
    lags = range(-furthest, furthest + 1)
    products = [float(a[middle] @ b[furthest + lag : len(b) - furthest + lag]) for lag in lags]
    return lags[int(np.argmax(products))]


def test_the_lag_measured_above_would_be_seen() -> None:
    sound = music(RATE)[:, 0]
    assert best_lag(sound, np.roll(sound, 3)) == 3


def test_channels_are_enhanced_one_by_one(model: Path) -> None:
    stereo = music(12 * RATE, 2).T
    both = enhance(model, stereo, RATE)
    for channel in (0, 1):
        np.testing.assert_array_equal(both[channel], enhance(model, stereo[channel], RATE))


def test_level_correction_is_the_models_factor_and_can_be_left_out() -> None:
    waveform = music(5000)[:, 0]
    np.testing.assert_array_equal(enhance(Unchanged(-0.5), waveform, RATE), np.float32(-0.5) * waveform)
    np.testing.assert_array_equal(enhance(Unchanged(-0.5), waveform, RATE, correct_level=False), waveform)


def test_the_given_network_and_waveform_are_left_as_they_were() -> None:
    network = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    network.sample_rate = RATE  # type: ignore[assignment]
    network.train()
    network[1].eval()
    waveform = torch.from_numpy(music(2000).T.copy()).requires_grad_()
    before = waveform.detach().clone()
    enhanced = enhance(network, waveform, RATE)
    assert torch.equal(enhanced, before)  # dropout was off
    assert torch.equal(waveform.detach(), before)
    assert [module.training for module in network] == [True, False]
    assert not enhanced.requires_grad


def test_arrays_that_cannot_be_enhanced() -> None:
    bad = np.zeros((2, 100), np.float32)
    bad[1, 40] = np.nan
    with pytest.raises(UserError, match="holds nan at sample 40 of channel 2"):
        enhance(Unchanged(), bad, RATE)
    with pytest.raises(TypeError, match=r"full scale 1\.0, not int16"):
        enhance(Unchanged(), np.zeros(10, np.int16), RATE)
    with pytest.raises(TypeError, match="int64"):
        enhance(Unchanged(), torch.zeros(10, dtype=torch.int64), RATE)
    with pytest.raises(ValueError, match=r"shape \(1, 2, 3\)"):
        enhance(Unchanged(), np.zeros((1, 2, 3), np.float32), RATE)
    with pytest.raises(UserError, match="sample_rate = 0"):
        enhance(Unchanged(), np.zeros(10, np.float32), 0)
    for rate in (float("nan"), float("inf"), "16000", None, True, 1, 99, 10**8):
        with pytest.raises(UserError, match=f"sample_rate = {rate!r}: give the recording's rate"):
            enhance(Unchanged(), np.zeros(10, np.float32), rate)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="an array or a tensor, not a list"):
        enhance(Unchanged(), [0.0, 0.1], RATE)  # type: ignore[type-var]


@pytest.mark.parametrize("shape", [(4000, 2), (4000, 1), (65, 10_000), (12, 5)])
def test_samples_first_is_refused_with_the_way_to_turn_them(shape: tuple[int, int]) -> None:
    for waveform in (np.zeros(shape, np.float32), torch.zeros(shape)):
        with pytest.raises(ValueError, match=rf"{shape[0]} channels of {shape[1]} samples.*waveform\.T"):
            enhance(Unchanged(), waveform, RATE)
    assert enhance(Unchanged(), np.zeros((64, 100), np.float32), RATE).shape == (64, 100)


@pytest.mark.parametrize("sample_rate", [RATE, 44_100])
@pytest.mark.parametrize("peak", [3e38, -3e38, 1e300])
def test_samples_that_are_too_large_are_not_the_networks_fault(sample_rate: int, peak: float) -> None:
    loud = music(4000)[:, 0].astype(np.float64 if abs(peak) > 1e38 else np.float32)
    loud[100] = peak
    with pytest.raises(UserError, match=r"the waveform reaches .*, where full scale is 1; scale"):
        enhance(Powers(), loud if abs(peak) > 1e39 else loud.astype(np.float32), sample_rate)


@pytest.mark.parametrize("peak", [101.0, 32768.0])
def test_samples_of_another_scale_are_refused(peak: float) -> None:
    """A network makes noise of them, without a word."""
    sound = music(4000)[:, 0]
    assert enhance(Unchanged(), 99 * sound / np.abs(sound).max(), RATE).shape == sound.shape
    with pytest.raises(
        UserError, match=rf"the waveform reaches {peak:.3g}".replace("+", r"\+") + ", where full scale is 1"
    ):
        enhance(Unchanged(), peak * sound / np.abs(sound).max(), RATE)
    with pytest.raises(UserError, match="where full scale is 1"):
        enhance(Unchanged(), peak * sound / np.abs(sound).max(), RATE, strength_db=0)


@pytest.mark.parametrize("seconds", [-1, 0, 1e-9, np.nan, np.inf, "3"])
def test_chunks_that_no_network_can_use_are_refused(seconds: float) -> None:
    with pytest.raises(UserError, match=r"chunk_seconds = .* is not possible; give a number from 0.1"):
        enhance(Unchanged(), music(4000)[:, 0], RATE, chunk_seconds=seconds)


def test_what_gave_nan_is_named() -> None:
    class Weighted(Unchanged):
        def __init__(self, weight: float) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(weight))

        def forward(self, noisy: Tensor) -> Tensor:
            return self.weight * noisy / 0.0

    with pytest.raises(UserError, match="some of its weights are NaN or infinite"):
        enhance(Weighted(np.nan), music(100)[:, 0], RATE)
    with pytest.raises(UserError, match="the model gave NaN for the waveform, though its weights are finite"):
        enhance(Weighted(1.0), music(100)[:, 0], RATE)


def test_threads_share_a_network_and_leave_its_modes() -> None:
    class Slow(Unchanged):
        def __init__(self, seconds: float) -> None:
            super().__init__()
            self.inner = nn.Dropout(0.5)
            self.seconds = seconds

        def forward(self, noisy: Tensor) -> Tensor:
            time.sleep(self.seconds * float(noisy[0, 0]))
            return self.inner(noisy)

    network = Slow(0.01)
    network.train()
    network.inner.train()
    waveforms = [np.full(100, 0.1 * (1 + i % 7), np.float32) for i in range(60)]
    with ThreadPoolExecutor(6) as threads:
        results = list(threads.map(lambda one: enhance(network, one, RATE), waveforms))
    for waveform, result in zip(waveforms, results, strict=True):
        np.testing.assert_array_equal(result, waveform)  # dropout was off throughout
    assert network.training
    assert network.inner.training


def test_modes_come_back_after_an_error_and_half_a_stream() -> None:
    class Broken(Unchanged):
        def forward(self, noisy: Tensor) -> Tensor:
            raise RuntimeError("broken")

    network = Broken().train()
    with pytest.raises(RuntimeError, match="broken"):
        enhance(network, music(100)[:, 0], RATE)
    assert network.training


def test_a_network_in_half_or_double_precision_is_fed_in_its_own() -> None:
    for dtype in (torch.float64, torch.bfloat16):
        network = nn.Sequential(nn.Unflatten(1, (1, -1)), nn.Conv1d(1, 1, 1), nn.Flatten()).to(dtype)
        network.sample_rate = RATE  # type: ignore[assignment]
        assert enhance(network, music(500)[:, 0], RATE).dtype == np.float32
        assert next(network.parameters()).dtype == dtype
