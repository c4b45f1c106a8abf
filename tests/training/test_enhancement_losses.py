"""The networks' own losses: by hand, one clip at a time, whatever the precision."""

import numpy as np
import pytest
import torch

from sedistill.audio.si_snr import negative_si_snr
from sedistill.models.presets import NETWORKS
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


def test_si_snr_does_not_see_noisy() -> None:
    estimate, clean, noisy = clips()
    assert torch.equal(ENHANCEMENT_LOSSES["si_snr"](estimate, clean, noisy), negative_si_snr(estimate, clean))


def test_compressed_spectrum_with_numpy() -> None:
    estimate, clean, noisy = clips()
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512))
    losses = ENHANCEMENT_LOSSES["gtcrn"](estimate, clean, noisy)
    for i in range(3):
        spectra = []
        for clip in (estimate[i].numpy(), clean[i].numpy()):
            padded = np.pad(clip, 256, mode="reflect")
            spectra.append(np.fft.rfft([padded[j : j + 512] * window for j in range(0, 3001, 256)]))
        a, b = (np.abs(s) ** 0.3 * np.exp(1j * np.angle(s)) for s in spectra)
        missed = 30 * np.mean(np.abs(a - b) ** 2) + 70 * np.mean((np.abs(a) - np.abs(b)) ** 2)
        expected = missed + negative_si_snr(estimate, clean)[i].item() / 10
        assert losses[i].item() == pytest.approx(expected, rel=1e-6)


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
