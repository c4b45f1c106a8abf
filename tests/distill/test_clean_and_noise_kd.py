"""MV-AT's output loss, from its formula with NumPy, frame by frame."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sedistill.audio.clean_and_noise import clean_and_noise_loss
from sedistill.common.errors import UserError
from sedistill.distill.clean_and_noise_kd import CleanAndNoiseKD

from .signal_objectives import some_signals

Signal = NDArray[np.float64]


def slow_loss(student: Signal, teacher: Signal, noisy: Signal, speech: Signal) -> float:
    """a l(teacher, student) + (1 - a) l(noisy - teacher, noisy - student) of one clip."""
    of_speech, of_noise = float((speech**2).sum()), float(((noisy - speech) ** 2).sum())
    a = of_speech / (of_speech + of_noise + 2e-7)
    return a * slow_distance(teacher, student) + (1 - a) * slow_distance(noisy - teacher, noisy - student)


def slow_distance(target: Signal, estimate: Signal) -> float:
    """Mean |difference| + 0.5 spectral convergence + 0.5 log magnitudes, the spectral ones means of three."""
    total = float(np.abs(target - estimate).mean())
    for fft, hop, window in ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240)):
        wanted, given = magnitudes(target, fft, hop, window), magnitudes(estimate, fft, hop, window)
        missed = math.sqrt(((wanted - given) ** 2).sum())
        convergence = missed / math.sqrt((wanted**2).sum())  # the target is the measure, not the estimate
        logarithms = float(np.abs(np.log(wanted / given)).mean())
        total += (0.5 * convergence + 0.5 * logarithms) / 3
    return total


def magnitudes(signal: Signal, fft: int, hop: int, length: int) -> Signal:
    """By the definition of the transform: a sum over samples for each bin. (frames, bins)"""
    padded = np.pad(signal, fft // 2, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    first = (fft - length) // 2
    waves = np.exp(-2j * np.pi * np.outer(np.arange(first, first + length), np.arange(fft // 2 + 1)) / fft)
    frames = [padded[t + first : t + first + length] * hann for t in range(0, len(signal) + 1, hop)]
    power = np.abs(np.array(frames) @ waves) ** 2
    return np.sqrt(np.maximum(power, 1e-7))


@pytest.mark.parametrize("weight_from", ["teacher", "clean"])
@pytest.mark.parametrize("level", [1.0, 1e-3])  # at the lower one many magnitudes are clamped
def test_agrees_with_the_slow_version(weight_from: str, level: float) -> None:
    signals = {name: level * one for name, one in some_signals(samples=1300, dtype=torch.float64).items()}
    student, teacher, noisy, speech = (
        signals[name].numpy() for name in ("student", "teacher", "noisy", weight_from)
    )
    expected = [slow_loss(student[i], teacher[i], noisy[i], speech[i]) for i in range(2)]
    loss = CleanAndNoiseKD(weight_from)(**signals)
    assert loss.item() == pytest.approx(sum(expected) / 2, rel=1e-8)


def test_the_weights_come_from_the_teacher_or_from_clean_speech() -> None:
    signals = some_signals(dtype=torch.float64)
    signals["teacher"] = 0.1 * signals["teacher"]  # too quiet: to it nearly all is noise
    by_teacher, by_clean = CleanAndNoiseKD()(**signals), CleanAndNoiseKD("clean")(**signals)
    assert abs(by_teacher - by_clean) > 1e-3
    signals["clean"] = signals["teacher"]
    assert CleanAndNoiseKD()(**signals) == CleanAndNoiseKD("clean")(**signals) == by_teacher


@given(seed=st.integers(0, 1000))
def test_is_the_network_s_own_loss_with_the_teacher_as_clean_speech(seed: int) -> None:
    signals = some_signals(samples=1100, seed=seed)
    student, teacher, noisy = (signals[name] for name in ("student", "teacher", "noisy"))
    assert torch.equal(CleanAndNoiseKD()(**signals), clean_and_noise_loss(student, teacher, noisy).mean())


@pytest.mark.parametrize("samples", [1, 500, 1024])
def test_clips_shorter_than_the_longest_window_are_padded(samples: int) -> None:
    signals = some_signals(samples=samples)
    signals["student"].requires_grad_()
    loss = CleanAndNoiseKD()(**signals)
    loss.backward()
    assert loss > 0
    assert signals["student"].grad is not None
    assert signals["student"].grad.isfinite().all()


def test_needs_and_refusals() -> None:
    assert CleanAndNoiseKD().needs == ("student", "teacher", "noisy")
    assert CleanAndNoiseKD("clean").needs == ("student", "teacher", "noisy", "clean")
    with pytest.raises(UserError, match="weight_from = 'noisy' is unknown"):
        CleanAndNoiseKD("noisy")
