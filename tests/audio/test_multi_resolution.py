"""The distance at three resolutions against a slow version, and what it does not depend on."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sedistill.audio.multi_resolution import at_resolutions, multi_resolution_distance, spectral_distance
from tests.audio.test_clean_and_noise import clips, slow_magnitudes


def test_distance_by_hand() -> None:
    wanted = torch.tensor([[[3 + 4j, 0.0]], [[2.0, 2.0]]], dtype=torch.complex128)
    estimated = torch.tensor([[[5.0, 10.0]], [[1.0, 1j]]], dtype=torch.complex128)
    floor = 1e-7**0.5
    # magnitudes 5 and 0 (bounded) against 5 and 10; 2 and 2 against 1 and 1
    first = (10 - floor) / (25 + 1e-7) ** 0.5 + np.log(10 / floor) / 2
    second = 2**0.5 / 8**0.5 + np.log(2)
    assert spectral_distance(estimated, wanted).tolist() == pytest.approx([first, second], rel=1e-12)


def test_agrees_with_the_slow_version_clip_by_clip() -> None:
    estimate, target, _ = clips(2500)
    distances = multi_resolution_distance(estimate, target)
    for i in range(2):
        total = 0.0
        for sizes in ((512, 50, 240), (1024, 120, 600), (2048, 240, 1200)):
            e, t = slow_magnitudes(estimate[i].numpy(), *sizes), slow_magnitudes(target[i].numpy(), *sizes)
            total += np.sqrt(((t - e) ** 2).sum() / (t**2).sum()) + np.abs(np.log(t / e)).mean()
        assert distances[i].item() == pytest.approx(total / 3, rel=1e-9)


def test_shapes_at_each_resolution() -> None:
    shapes = [tuple(part.shape) for part, _ in at_resolutions(torch.zeros(2, 1500), torch.zeros(2, 1500))]
    assert shapes == [(2, 513, 13), (2, 1025, 7), (2, 257, 31)]
    assert next(at_resolutions(torch.zeros(1, 1)))[0].shape == (1, 513, 5)


@settings(max_examples=10)
@given(gain=st.floats(0.5, 20), samples=st.integers(1030, 2000))
def test_zero_when_equal_and_blind_to_a_common_level(gain: float, samples: int) -> None:
    estimate, target, _ = clips(samples, count=1)
    assert multi_resolution_distance(target, target).item() == 0
    louder = multi_resolution_distance(gain * estimate, gain * target)
    torch.testing.assert_close(louder, multi_resolution_distance(estimate, target), rtol=1e-3, atol=1e-3)


def test_polarity_is_not_seen() -> None:
    estimate, target, _ = clips(1500)
    torch.testing.assert_close(
        multi_resolution_distance(-estimate, target), multi_resolution_distance(estimate, target)
    )
