import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sedistill.audio.si_snr import negative_si_snr


def related_signals(samples: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(samples)
    target, noise = torch.randn(2, 3, samples, dtype=torch.float64, generator=generator)
    return target + 0.3 * noise, target


def test_by_hand() -> None:
    # Zero-mean target (1, -1, 1, -1); the estimate is twice it plus an orthogonal (1, 1, -1, -1):
    # energies 16 and 4, so 10 log10(4) dB; the constant 5 does not count.
    target = torch.tensor([[1.0, -1, 1, -1]], dtype=torch.float64) + 3
    estimate = 2 * (target - 3) + torch.tensor([[1.0, 1, -1, -1]], dtype=torch.float64) + 5
    assert negative_si_snr(estimate, target).item() == pytest.approx(-10 * math.log10(4), abs=1e-7)


@given(st.floats(-10, 10).filter(lambda scale: abs(scale) > 0.1))
def test_level_and_sign_do_not_matter(scale: float) -> None:
    estimate, target = related_signals(800)
    torch.testing.assert_close(
        negative_si_snr(scale * estimate, target), negative_si_snr(estimate, target), atol=1e-6, rtol=0
    )


def test_agrees_with_the_slow_formula_and_clips_do_not_mix() -> None:
    estimate, target = related_signals(500)
    for i in range(3):
        x = [value - sum(estimate[i].tolist()) / 500 for value in estimate[i].tolist()]
        s = [value - sum(target[i].tolist()) / 500 for value in target[i].tolist()]
        scale = sum(a * b for a, b in zip(x, s, strict=True)) / sum(b * b for b in s)
        noise = sum((a - scale * b) ** 2 for a, b in zip(x, s, strict=True))
        expected = -10 * math.log10(sum((scale * b) ** 2 for b in s) / noise)
        assert negative_si_snr(estimate, target)[i].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("silent", ["estimate", "target", "both", "neither, but equal"])
def test_finite_on_silence(silent: str) -> None:
    estimate, target = torch.randn(2, 1, 400)
    if silent in ("estimate", "both"):
        estimate = torch.zeros(1, 400)
    if silent in ("target", "both"):
        target = torch.zeros(1, 400)
    if silent.startswith("neither"):
        estimate = target.clone()
    estimate.requires_grad_()
    loss = negative_si_snr(estimate, target).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(estimate.grad).all()


def test_gradient_and_precision() -> None:
    estimate, target = torch.randn(2, 2, 20, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: negative_si_snr(x, target), estimate.requires_grad_())
    assert negative_si_snr(estimate.bfloat16(), target.bfloat16()).dtype == torch.float32


def test_shapes_that_differ_are_named() -> None:
    with pytest.raises(ValueError, match=r"\(1, 5\) and target \(1, 6\)"):
        negative_si_snr(torch.zeros(1, 5), torch.zeros(1, 6))
