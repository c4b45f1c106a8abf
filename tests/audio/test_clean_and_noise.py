"""MANNER's loss against a slow version, frame by frame with NumPy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sedistill.audio.clean_and_noise import clean_and_noise_loss


def clips(samples: int, count: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(samples)
    speech, noise, error = torch.randn(3, count, samples, dtype=torch.float64, generator=generator)
    return 0.1 * speech + 0.02 * error, 0.1 * speech, 0.1 * speech + 0.05 * noise


def slow_magnitudes(x: NDArray[np.float64], fft: int, hop: int, length: int) -> NDArray[np.float64]:
    padded = np.pad(x, fft // 2, mode="reflect")
    window = np.zeros(fft)
    start = (fft - length) // 2
    window[start : start + length] = [0.5 - 0.5 * math.cos(2 * math.pi * i / length) for i in range(length)]
    frames = [padded[i : i + fft] * window for i in range(0, len(x) + 1, hop)]
    return np.sqrt(np.maximum(np.abs(np.fft.rfft(frames)) ** 2, 1e-7))


def slow_distance(wanted: NDArray[np.float64], estimated: NDArray[np.float64]) -> float:
    total = 0.0
    for sizes in ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240)):
        w, e = slow_magnitudes(wanted, *sizes), slow_magnitudes(estimated, *sizes)
        convergence = np.sqrt(((w - e) ** 2).sum()) / np.sqrt((w**2).sum())
        total += (0.5 * convergence + 0.5 * np.abs(np.log(w) - np.log(e)).mean()) / 3
    return float(np.abs(wanted - estimated).mean() + total)


def test_agrees_with_the_slow_version_clip_by_clip() -> None:
    estimate, target, noisy = clips(2500)
    losses = clean_and_noise_loss(estimate, target, noisy)
    for i in range(2):
        e, t, x = (part[i].numpy() for part in (estimate, target, noisy))
        share = (t**2).sum() / ((t**2).sum() + ((x - t) ** 2).sum() + 2e-7)
        expected = share * slow_distance(t, e) + (1 - share) * slow_distance(x - t, x - e)
        assert losses[i].item() == pytest.approx(expected, rel=1e-9)


def test_another_speech_may_weigh() -> None:
    estimate, target, noisy = clips(1500)
    assert torch.equal(
        clean_and_noise_loss(estimate, target, noisy, weigh_by=target),
        clean_and_noise_loss(estimate, target, noisy),
    )
    all_speech = clean_and_noise_loss(estimate, target, noisy, weigh_by=noisy)
    all_noise = clean_and_noise_loss(estimate, target, noisy, weigh_by=torch.zeros_like(noisy))
    speech = (noisy - target).square().sum(dim=1)  # weighed by the noise, speech and noise change places
    share = speech / (speech + target.square().sum(dim=1))
    swapped = clean_and_noise_loss(estimate, target, noisy, weigh_by=noisy - target)
    torch.testing.assert_close(swapped, share * all_speech + (1 - share) * all_noise, rtol=1e-6, atol=0)


def test_nothing_missed_is_zero_with_zero_gradient() -> None:
    _, target, noisy = clips(1500)
    estimate = target.clone().requires_grad_()
    losses = clean_and_noise_loss(estimate, target, noisy)
    losses.sum().backward()
    assert losses.tolist() == pytest.approx([0, 0], abs=1e-12)
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()


@given(gain=st.floats(0.5, 20))
def test_spectral_terms_do_not_follow_the_level(gain: float) -> None:
    estimate, target, noisy = clips(1100, count=1)
    waveforms = (estimate - target).abs().mean()
    spectral = clean_and_noise_loss(estimate, target, noisy) - waveforms
    louder = clean_and_noise_loss(gain * estimate, gain * target, gain * noisy) - gain * waveforms
    torch.testing.assert_close(louder, spectral, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("samples", [1, 200])
def test_clips_too_short_to_reflect_are_padded_with_zeros(samples: int) -> None:
    estimate, target, noisy = clips(samples)
    estimate.requires_grad_()
    losses = clean_and_noise_loss(estimate, target, noisy)
    losses.sum().backward()
    assert (losses > 0).all()
    assert losses.isfinite().all()
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()
