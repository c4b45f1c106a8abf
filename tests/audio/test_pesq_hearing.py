"""The distance that PESQ hears: against the standard's steps one frame at a time, and against PESQ itself."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal
from torch import Tensor

from sedistill.audio.pesq_bands import BANDS
from sedistill.audio.pesq_hearing import INPUT_FILTER, pesq_distance

RATE = 16_000


def speech_like(seed: int = 0, seconds: float = 2.0) -> NDArray[np.float64]:
    """Harmonics of a gliding voice, in syllables with pauses."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(130 + 40 * np.sin(2 * np.pi * 0.7 * time + seed)) / RATE
    voice = sum(np.sin(k * phase + generator.uniform(0, 6)) / k for k in range(1, 40))
    syllables = np.clip(np.sin(2 * np.pi * 3 * time), 0, None) * (np.sin(2 * np.pi * 0.4 * time + 1) > -0.5)
    return 0.05 * voice * syllables + 1e-4 * generator.standard_normal(len(time))


def noisy(clean: NDArray[np.float64], snr_db: float, seed: int = 9) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).standard_normal(len(clean))
    return clean + noise * math.sqrt((clean**2).mean() / 10 ** (snr_db / 10))


def distance(estimate: NDArray[np.float64], clean: NDArray[np.float64]) -> float:
    return pesq_distance(torch.tensor(estimate)[None], torch.tensor(clean)[None]).item()


def band_powers(wave: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    over, under = signal.butter(5, [325, 3250], fs=RATE, btype="band")
    passed = signal.lfilter(over, under, np.concatenate([wave, np.zeros(4096)]))
    wave = wave * math.sqrt(1e7 / ((passed**2).sum() / (len(wave) + 5120) / 1.04684))
    for i in range(15):
        wave[i] *= (i + 1) / 16
        wave[-1 - i] *= (i + 1) / 16
    wave = np.concatenate([signal.lfilter(*INPUT_FILTER, wave), np.zeros(len(wave) % 256)])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    frames = []
    for start in range(0, len(wave) - 511, 256):
        power = np.abs(np.fft.rfft(wave[start : start + 512] * window)) ** 2
        power[0] = 0
        frames.append(power[:256] @ BANDS.of_bins.numpy())
    return frames


def one_frame_at_a_time(estimate: NDArray[np.float64], clean: NDArray[np.float64]) -> float:
    width, threshold, exponent = BANDS.width.numpy(), BANDS.threshold.numpy(), BANDS.exponent.numpy()
    heard, wanted = band_powers(estimate), band_powers(clean)
    sums = np.zeros((2, 49))
    for a, b in zip(heard, wanted, strict=True):
        if b[b > 100 * threshold].sum() >= 1e7:
            sums += [np.where(p > 100 * threshold, p, 0) for p in (a, b)]
    means = sums / len(heard)
    wanted = [b * np.clip((means[0] + 1000) / (means[1] + 1000), 0.01, 100) for b in wanted]

    def gain(k: int) -> float:
        return (wanted[k][wanted[k] > threshold].sum() + 5000) / (heard[k][heard[k] > threshold].sum() + 5000)

    def loudness(power: NDArray[np.float64]) -> NDArray[np.float64]:
        sone = 0.1866055 * (2 * threshold) ** exponent * ((0.5 + 0.5 * power / threshold) ** exponent - 1)
        return np.where(power > threshold, sone, 0)

    symmetric, asymmetric = [], []
    for k, b in enumerate(wanted):
        smoothed = gain(k) if k == 0 else 0.8 * gain(k) + 0.2 * gain(k - 1)
        a = heard[k] * min(max(smoothed, 3e-4), 5)
        louder, dead = loudness(a) - loudness(b), 0.25 * np.minimum(loudness(a), loudness(b))
        louder = np.where(louder > dead, louder - dead, np.where(louder < -dead, louder + dead, 0))
        factor = ((a + 50) / (b + 50)) ** 1.2
        factor = np.where(factor < 3, 0, np.minimum(factor, 12))
        scale = ((b[b > threshold].sum() + 1e5) / 1e7) ** 0.04
        total = width[1:].sum()
        symmetric.append(min(45, math.sqrt(total * sum((louder * width)[1:] ** 2)) / scale))
        asymmetric.append(min(45, sum(abs(louder * width * factor)[1:]) / scale))

    def over_time(values: list[float]) -> float:
        worst = [np.mean(np.power(values[i : i + 20], 6)) ** (1 / 6) for i in range(0, len(values) - 19, 10)]
        return math.sqrt(np.mean(np.square(worst)))

    return 0.1 * over_time(symmetric) + 0.0309 * over_time(asymmetric)


@pytest.mark.parametrize(("snr_db", "samples"), [(0, 32_000), (12, 20_011), (30, 32_000)])
def test_agrees_with_the_standard_one_frame_at_a_time(snr_db: float, samples: int) -> None:
    clean = speech_like()[:samples]
    estimate = noisy(clean, snr_db)
    assert distance(estimate, clean) == pytest.approx(one_frame_at_a_time(estimate, clean), rel=1e-6)


def test_clips_of_a_batch_do_not_mix() -> None:
    clean = [speech_like(seed) for seed in range(3)]
    estimate = [noisy(one, 5 * i) for i, one in enumerate(clean)]
    together = pesq_distance(torch.tensor(np.stack(estimate)), torch.tensor(np.stack(clean)))
    assert together.tolist() == pytest.approx([distance(*pair) for pair in zip(estimate, clean, strict=True)])


def test_follows_pesq() -> None:
    pesq = pytest.importorskip("pesq").pesq
    clean = speech_like(seconds=4)
    for snr_db in range(0, 31, 5):
        estimate = noisy(clean, snr_db)
        scale = 0.999 + 4 / (1 + math.exp(-1.3669 * (4.5 - distance(estimate, clean)) + 3.8224))
        measured = pesq(RATE, clean.astype(np.float32), estimate.astype(np.float32), "wb")
        assert scale == pytest.approx(measured, abs=0.15)


@settings(max_examples=10, deadline=None)
@given(st.floats(-30, 10), st.floats(-30, 10))
def test_levels_do_not_matter(of_estimate: float, of_clean: float) -> None:
    clean = speech_like()
    estimate = noisy(clean, 10)
    scaled = distance(estimate * 10 ** (of_estimate / 20), clean * 10 ** (of_clean / 20))
    assert scaled == pytest.approx(distance(estimate, clean))


def test_more_noise_is_farther() -> None:
    clean = speech_like()
    farther = [distance(noisy(clean, snr_db), clean) for snr_db in (40, 30, 20, 10, 0)]
    assert farther == sorted(farther)
    assert distance(clean, clean) == pytest.approx(0, abs=1e-6)


def test_its_gradient_is_that_of_small_steps() -> None:
    clean = torch.tensor(speech_like(seconds=0.6))[None]
    estimate = torch.tensor(noisy(clean[0].numpy(), 10))[None].requires_grad_()
    (gradient,) = torch.autograd.grad(pesq_distance(estimate, clean).sum(), estimate)
    direction = torch.randn(estimate.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    step = 1e-8 * direction
    with torch.no_grad():
        change = pesq_distance(estimate + step, clean) - pesq_distance(estimate - step, clean)
    assert change.item() / 2e-8 == pytest.approx((gradient * direction).sum().item(), rel=1e-4)


def silence(samples: int) -> Tensor:
    return torch.zeros(1, samples)


@pytest.mark.parametrize("samples", [1, 15, 400, 513, 6000, 32_000])
def test_silence_and_short_clips_have_a_finite_distance_and_gradient(samples: int) -> None:
    clean = torch.tensor(noisy(speech_like()[:samples], 20), dtype=torch.float32)[None]
    silent, faint = silence(samples), 1e-7 * clean
    for estimate, target in [(clean, clean), (silent, clean), (clean, silent), (faint, clean)]:
        leaf = estimate.clone().requires_grad_()
        value = pesq_distance(leaf, target)
        value.sum().backward()
        assert value.isfinite().all()
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()
    assert pesq_distance(clean, silence(samples)).item() == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_precision(dtype: torch.dtype) -> None:
    clean = torch.tensor(speech_like())[None]
    estimate = torch.tensor(noisy(speech_like(), 10))[None]
    with torch.autocast("cpu", torch.bfloat16):
        value = pesq_distance(estimate.to(dtype), clean.to(dtype))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(pesq_distance(estimate, clean).item(), rel=0.1)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="must both be"):
        pesq_distance(torch.zeros(1, 8), torch.zeros(2, 8))
