"""Magnitudes of complex spectra have the gradients that autograd finds, and finite differences."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sedistill.distill.magnitudes import (
    COMPRESSION_EPS,
    compressed_magnitude,
    compressed_spectrum,
    squared_magnitude,
)


def slow_square(z: Tensor) -> Tensor:
    return (z * z.conj()).real


def slow_compressed(z: Tensor, power: float) -> Tensor:
    return z * (slow_square(z) + COMPRESSION_EPS) ** ((power - 1) / 2)


def slow_magnitude(z: Tensor, power: float) -> Tensor:
    return (slow_square(z) + COMPRESSION_EPS) ** (power / 2)


CASES: list[tuple[Callable, Callable, tuple]] = [
    (squared_magnitude, slow_square, ()),
    *((compressed_spectrum, slow_compressed, (power,)) for power in (0.3, 0.7, 2.0)),
    *((compressed_magnitude, slow_magnitude, (power,)) for power in (0.3, 2.0)),
]


@pytest.mark.parametrize(("fast", "slow", "arguments"), CASES)
def test_by_hand_and_by_autograd(fast: Callable, slow: Callable, arguments: tuple) -> None:
    z = torch.randn(2, 5, 3, dtype=torch.complex128).transpose(1, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda one: fast(one, *arguments), z)
    found, expected = fast(z, *arguments), slow(z, *arguments)
    torch.testing.assert_close(found, expected)
    weight = torch.randn(found.shape, dtype=found.dtype)
    of_each = [torch.autograd.grad((one * weight.conj()).real.sum(), z)[0] for one in (found, expected)]
    torch.testing.assert_close(*of_each)


@pytest.mark.parametrize(("fast", "slow", "arguments"), CASES)
def test_finite_at_zero_and_not_where_the_spectrum_is_not(
    fast: Callable, slow: Callable, arguments: tuple
) -> None:
    z = torch.tensor([[[0j, 1 + 1j, complex(torch.nan, 0), complex(0, torch.inf)]]]).requires_grad_()
    value = fast(z, *arguments)
    value.abs().sum().backward()
    assert value.isfinite().flatten().tolist() == [True, True, False, False]
    assert z.grad[0, 0, :2].isfinite().all()
