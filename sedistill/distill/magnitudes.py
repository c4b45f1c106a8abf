"""Magnitudes of complex spectra, compressed or not, with gradients written by hand.

Autograd would take complex arithmetic apart step by step, at two to three times the cost.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Compressed magnitudes are (|z|^2 + COMPRESSION_EPS)^(p/2): a finite slope at 0, near the noise of 16 bits.
COMPRESSION_EPS = 1e-8


def squared_magnitude(spectrum: Tensor) -> Tensor:
    """|z|^2, real, (B, F, K)."""
    return _SquaredMagnitude.apply(spectrum)


def compressed_magnitude(spectrum: Tensor, power: float) -> Tensor:
    """|z|^power, real, (B, F, K). Its gradient is finite everywhere and 0 at z = 0."""
    if power == 1:
        return spectrum.abs()  # the slope of abs at 0 is 0, where that of sqrt(re^2 + im^2) is NaN
    return (squared_magnitude(spectrum) + COMPRESSION_EPS) ** (power / 2)


def compressed_spectrum(spectrum: Tensor, power: float) -> Tensor:
    """|z|^power z/|z|, complex, (B, F, K). Its gradient is finite everywhere."""
    return spectrum if power == 1 else _Compressed.apply(spectrum, power)


class _SquaredMagnitude(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, spectrum: Tensor) -> Tensor:
        ctx.save_for_backward(spectrum)
        return _squared(spectrum)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (spectrum,) = ctx.saved_tensors
        return 2 * gradient * spectrum


class _Compressed(torch.autograd.Function):
    """z s with s = (|z|^2 + eps)^((power - 1) / 2)."""

    @staticmethod
    def forward(ctx: Any, spectrum: Tensor, power: float) -> Tensor:
        squared = _squared(spectrum).add_(COMPRESSION_EPS)
        scale = squared ** ((power - 1) / 2)
        ctx.save_for_backward(spectrum, squared, scale)
        ctx.power = power
        return spectrum * scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """s (g + (power - 1) Re(g conj(z)) z / (|z|^2 + eps))."""
        spectrum, squared, scale = ctx.saved_tensors
        real, imaginary = torch.view_as_real(spectrum).unbind(-1)
        by_real, by_imaginary = torch.view_as_real(gradient.resolve_conj()).unbind(-1)
        along = (by_real * real).addcmul_(by_imaginary, imaginary).mul_(ctx.power - 1).div_(squared)
        result = torch.empty_like(spectrum)
        parts = torch.view_as_real(result)
        torch.addcmul(by_real, along, real, out=parts[..., 0])
        torch.addcmul(by_imaginary, along, imaginary, out=parts[..., 1])
        return result.mul_(scale), None


def _squared(spectrum: Tensor) -> Tensor:
    real, imaginary = torch.view_as_real(spectrum).unbind(-1)
    return (real * real).addcmul_(imaginary, imaginary)
