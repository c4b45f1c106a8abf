"""Errors and shares against sums written out, and what they have to be whatever the signals."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sedistill.audio.spectrum import Stft
from sedistill.distill.bin_losses import ComplexL2
from sedistill.workflows.advising.nearness import ClipErrors, Heard, Nearness, nearness_of

LOSS = ComplexL2(0.3)


def heard(seed: int, snr_db: float = 5.0, noise: str = "rain", samples: int = 2_000) -> Heard:
    random = np.random.default_rng(seed)
    return Heard(
        {name: random.normal(0, 0.1, samples).astype(np.float32) for name in ("noisy", "clean", "teacher")},
        snr_db, noise,
    )  # fmt: skip


def test_rows_against_a_slow_version() -> None:
    sample = [heard(seed) for seed in range(3)]
    found = nearness_of(sample, LOSS, 16_000)
    errors = {"noisy": 0.0, "teacher": 0.0}
    nearer = patches = 0
    for clip in sample:
        spectra = {name: Stft()(torch.from_numpy(wave)[None])[0] for name, wave in clip.waves.items()}
        for frame in range(spectra["clean"].shape[1]):
            for first in range(20, 40, 20):  # the second band: 625 to 1,250 Hz
                of_patch = {}
                for name in errors:
                    bins = slice(first, first + 20)
                    patch = LOSS(
                        spectra[name][None, bins, frame, None], spectra["clean"][None, bins, frame, None]
                    )
                    of_patch[name] = float(patch.sum())
                    errors[name] += of_patch[name]
                nearer += of_patch["teacher"] < of_patch["noisy"]
                patches += 1
    row = found.bands[1]
    assert row.name == "625 to 1,250 Hz"
    assert row.error_db["noisy"] == pytest.approx(
        10 * np.log10(errors["teacher"] / errors["noisy"]), abs=1e-4
    )
    assert row.nearer["noisy"] == pytest.approx(nearer / patches)


def test_clips_are_grouped_by_snr_and_noise() -> None:
    kinds = [heard(i, snr, noise) for i, (snr, noise) in enumerate([(-2, "rain"), (3, "rain"), (4, "hall")])]
    found = nearness_of(kinds, LOSS, 16_000)
    assert [(row.name, row.clips) for row in found.snrs] == [("-5 to 0 dB SNR", 1), ("0 to 5 dB SNR", 2)]
    assert sorted((row.name, row.clips) for row in found.noises) == [("hall", 1), ("rain", 2)]
    worst, best = (row.error_db["noisy"] for row in found.noises)
    assert worst >= best
    silent = nearness_of([heard(0, np.inf)], LOSS, 16_000)
    assert (silent.snrs, silent.noises) == ([], [])


def test_nothing_is_compared_above_the_bandwidth() -> None:
    """Noise above it in the teacher changes nothing."""
    one = heard(1, samples=4_096)
    spectrum = np.fft.rfft(np.random.default_rng(9).standard_normal(4_096))
    hiss = np.fft.irfft(np.r_[np.zeros(1_024), spectrum[1_024:]], n=4_096).astype(np.float32)
    other = Heard(one.waves | {"teacher": one.waves["teacher"] + hiss}, one.snr_db, one.noise)
    quiet, loud = (nearness_of([clip], LOSS, 16_000, bandwidth=0.49).all for clip in (one, other))
    assert quiet.error_db["noisy"] == pytest.approx(loud.error_db["noisy"], abs=1e-3)
    assert nearness_of([other], LOSS, 16_000).all.error_db["noisy"] > quiet.error_db["noisy"] + 0.1


@settings(deadline=None, max_examples=20)
@given(st.lists(st.lists(st.floats(-1, 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_the_best_patches_hold_more_the_more_they_are(gaps: list[list[float]]) -> None:
    clips = [
        ClipErrors(heard(0), {"noisy": np.array([gap]) + 2, "teacher": np.full((1, 3), 2.0)}) for gap in gaps
    ]
    found = Nearness(clips, 31.25)
    held = [found.held_by(share, "noisy") for share in (0.34, 0.67, 1.0)]
    assert held == sorted(held)
    assert held[-1] == pytest.approx(1.0)
