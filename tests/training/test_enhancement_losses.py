"""The networks' own losses: by hand, one clip at a time, whatever the precision."""

import numpy as np
import pytest
import torch

from sedistill.audio.multi_resolution import multi_resolution_distance
from sedistill.audio.si_snr import negative_si_snr
from sedistill.models.network_classes import NETWORKS
from sedistill.training.enhancement_losses import ENHANCEMENT_LOSSES


def clips(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    clean, noise, error = 0.1 * torch.randn(3, 3, 3000, dtype=torch.float64, generator=generator)
    return (clean + 0.3 * error).to(dtype), clean.to(dtype), (clean + noise).to(dtype)


def test_every_network_has_its_loss() -> None:
    assert {network.se_loss for network in NETWORKS.values()} <= ENHANCEMENT_LOSSES.keys()


def test_mean_squared_error_by_hand() -> None:
    estimate, clean = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 4.0], [0.0, 0.0]])
    assert ENHANCEMENT_LOSSES["mse"](estimate, clean, clean).tolist() == [2.5, 0.0]


@pytest.mark.parametrize(("name", "weight"), [("demucs", 0.1), ("clean_unet", 0.5)])
def test_waveform_and_resolutions(name: str, weight: float) -> None:
    estimate, clean, noisy = clips()
    expected = [
        np.abs((a - b).numpy()).mean() + weight * multi_resolution_distance(a[None], b[None]).item()
        for a, b in zip(estimate, clean, strict=True)
    ]
    assert ENHANCEMENT_LOSSES[name](estimate, clean, noisy).tolist() == pytest.approx(expected)


def spectrum(clip: torch.Tensor, window: np.ndarray) -> np.ndarray:
    """Frames of 512 samples every 256, centred, with reflected edges."""
    padded = np.pad(clip.numpy(), 256, mode="reflect")
    return np.fft.rfft([padded[i : i + 512] * window for i in range(0, len(clip) + 1, 256)])


def test_spectral_parts_with_numpy() -> None:
    estimate, clean, noisy = clips()
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(512) / 512)
    losses = ENHANCEMENT_LOSSES["tstnn"](estimate, clean, noisy)
    for i in range(3):
        a, b = (np.abs(s.real) + np.abs(s.imag) for s in (spectrum(c[i], window) for c in (estimate, clean)))
        expected = 0.4 * ((estimate[i] - clean[i]) ** 2).mean().item() + 0.6 * np.abs(a - b).mean()
        assert losses[i].item() == pytest.approx(expected, rel=1e-9)


def test_spectral_parts_of_one_impulse_by_hand() -> None:
    # One sample of 1 in the middle of 257, which the edge reflects: each of the two frames sees it twice, at
    # the places 128 and 384, where the window is 0.54. Bin k is 0.54 * 2 cos(k pi / 2): 1.08 in even bins.
    clean = torch.zeros(1, 257, dtype=torch.float64)
    estimate = clean.clone()
    estimate[0, 128] = 1
    expected = 0.4 / 257 + 0.6 * 1.08 * 129 / 257
    assert ENHANCEMENT_LOSSES["tstnn"](estimate, clean, clean).item() == pytest.approx(expected)


def test_si_snr_does_not_see_noisy() -> None:
    estimate, clean, noisy = clips()
    assert torch.equal(ENHANCEMENT_LOSSES["si_snr"](estimate, clean, noisy), negative_si_snr(estimate, clean))


def test_compressed_spectra_with_numpy() -> None:
    estimate, clean, noisy = clips()
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512))
    gtcrn, e3net = (ENHANCEMENT_LOSSES[name](estimate, clean, noisy) for name in ("gtcrn", "e3net"))
    for i in range(3):
        spectra = [spectrum(clip[i], window) for clip in (estimate, clean)]
        a, b = (np.abs(s) ** 0.3 * np.exp(1j * np.angle(s)) for s in spectra)
        parts, magnitudes = np.mean(np.abs(a - b) ** 2), np.mean((np.abs(a) - np.abs(b)) ** 2)
        bel = negative_si_snr(estimate, clean)[i].item() / 10
        assert gtcrn[i].item() == pytest.approx(30 * parts + 70 * magnitudes + bel, rel=1e-6)
        assert e3net[i].item() == pytest.approx(0.5 * parts + 0.5 * magnitudes, rel=1e-6)


@pytest.mark.parametrize("name", ENHANCEMENT_LOSSES)
def test_clips_do_not_mix(name: str) -> None:
    loss = ENHANCEMENT_LOSSES[name]
    together = loss(*clips())
    alone = [loss(*(part[i : i + 1] for part in clips())) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone))
    assert together.shape == (3,)


@pytest.mark.parametrize("name", ENHANCEMENT_LOSSES)
def test_precision(name: str) -> None:
    loss = ENHANCEMENT_LOSSES[name]
    assert loss(*clips()).dtype == torch.float64
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = loss(*clips(torch.bfloat16))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.double(), loss(*clips()), rtol=0.02, atol=0.05)


@pytest.mark.parametrize("name", ENHANCEMENT_LOSSES)
@pytest.mark.parametrize("length", [1, 50, 2000])
def test_silence_stays_finite(name: str, length: int) -> None:
    estimate, silent = torch.zeros(2, length, requires_grad=True), torch.zeros(2, length)
    losses = ENHANCEMENT_LOSSES[name](estimate, silent, silent)
    losses.sum().backward()
    assert losses.isfinite().all()
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()


@pytest.mark.parametrize("name", ENHANCEMENT_LOSSES)
def test_better_is_lower(name: str) -> None:
    estimate, clean, noisy = clips()
    loss = ENHANCEMENT_LOSSES[name]
    assert (loss((estimate + clean) / 2, clean, noisy) < loss(estimate, clean, noisy)).all()
