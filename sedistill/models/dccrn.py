"""DCCRN-CL: a complex ratio mask from a complex convolutional encoder-decoder around a complex LSTM.

Source: Y. Hu et al., "DCCRN: Deep Complex Convolution Recurrent Network for Phase-Aware Speech Enhancement"
(2020), in the shape of its authors' code with the complex LSTM and ordinary batch norm, which DISPatch's
parameter counts fit.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.common.argument_checks import as_given, check_declared
from sedistill.common.errors import UserError
from sedistill.models.base import EvenSize, SampleRate, Size, SpeechEnhancer, in_whole_steps
from sedistill.models.folding import fold_into
from sedistill.models.frames import Frames, complex_product
from sedistill.models.layers.memory import Memory, delayed, recurred, with_past


class DCCRN(SpeechEnhancer):
    """DCCRN with complex LSTM ("CL"); mask mode E.

    Arguments
        channels: of each encoder layer, real and imaginary together, so even. Every layer halves the
            frequency axis: window_length / 2 must be a multiple of 2 ** len(channels).
        lstm_units: units of each complex LSTM layer, real and imaginary together.
        lstm_layers: number of complex LSTM layers.
        window_length: samples of the periodic Hann window of the network's own spectrogram.
        hop_length: samples; must divide `window_length`. The papers name neither; with 256 the printed
            multiply-accumulates fit (the authors' code defaults to 400 and 100, which do not), and 512 is
            the length that leaves the 256 bins of the network without zero padding.
        sample_rate: Hz.

    Encoder and LSTM look at the past only, but each decoder layer drops its first frame, as in the authors'
    code, and so looks one frame ahead: the network is not causal, but works with a bounded latency, and
    streams frame by frame. Behind a clip's end a decoder layer sees zeros.

    Differs from the authors' code in that the output is not clipped to [-1, 1] (a gradient of zero for loud
    clips, and SI-SNR leaves the level free), and in that a clip's end is padded so that no sample is lost.

    Raises UserError on impossible settings.
    """

    causal = False
    se_loss = "si_snr"

    def __init__(
        self,
        channels: Sequence[int] = (32, 64, 128, 128, 256, 256),
        lstm_units: EvenSize = 128,
        lstm_layers: Annotated[int, Field(ge=1, le=32)] = 1,
        window_length: EvenSize = 512,
        hop_length: Size = 256,
        sample_rate: SampleRate = 16_000,
    ) -> None:
        super().__init__()
        channels = _even_widths(channels)
        _check_together(len(channels), window_length, hop_length)
        self.frames = Frames(window_length, hop_length, power=1.0)
        pairs = list(pairwise([2, *channels]))
        self.encoder = nn.ModuleList(EncoderLayer(before, after) for before, after in pairs)
        bins_left = window_length // 2 >> len(channels)
        self.recurrent = ComplexRecurrent(channels[-1] // 2 * bins_left, lstm_units // 2, lstm_layers)
        self.decoder = nn.ModuleList(
            DecoderLayer(2 * after, before, last=before == 2) for before, after in reversed(pairs)
        )
        self.lookahead_samples = len(channels) * hop_length
        self.latency_samples = window_length + self.lookahead_samples
        self.step_samples = hop_length

    def forward(self, noisy: Tensor) -> Tensor:
        """Enhance `noisy` (B, T), T >= 1; returns (B, T)."""
        length, delay = noisy.shape[1], self.frames.delay
        frames = self.frames(in_whole_steps(noisy, delay, self.frames.hop), Memory())
        enhanced = complex_product(frames, self.mask(frames, None))
        return self.frames.inverse(enhanced, Memory())[:, delay : delay + length]

    def piece(self, noisy: Tensor, memory: Memory) -> Tensor:
        frames = self.frames(noisy, memory)
        mask = self.mask(frames, memory)
        enhanced = complex_product(delayed(frames, len(self.decoder), 1, memory), mask)
        return self.frames.inverse(enhanced, memory)

    def mask(self, frames: Tensor, memory: Memory | None) -> Tensor:
        """Of frames (B, K, bins, 2), in the same shape; of those of a piece `lookahead_samples` later."""
        looking_back = memory or Memory()
        x = frames[:, :, 1:].permute(0, 3, 2, 1)  # (B, 2, bins - 1, K); nothing of the DC bin passes
        skips = []
        for encode in self.encoder:
            x = encode(x, looking_back)
            skips.append(x)
        x = self.recurrent(x, looking_back)
        beyond = 0 if memory is None else max(0, memory.beyond - self.frames.delay) // self.frames.hop
        for late, decode in enumerate(self.decoder):
            skip = skips.pop() if memory is None else delayed(skips.pop(), late, 3, memory)
            x = decode(silent_end(_complex_concat(x, skip), beyond - late), memory)
        return F.pad(_bounded_mask(x.to(frames.dtype)).permute(0, 3, 2, 1), (0, 0, 1, 0))

    def output_layer(self) -> nn.Module:
        return self.decoder[-1]


def silent_end(x: Tensor, count: int) -> Tensor:
    """Zeros in place of the last `count` frames of (..., K), where it is above 0."""
    return x if count <= 0 else F.pad(x[..., :-count], (0, min(count, x.shape[-1])))


class ComplexConv2d(nn.Module):
    """Two real kernels of half the channels: real = Wr r - Wi i, imaginary = Wi r + Wr i, each with its bias.

    Kernel (5, 2), stride (2, 1) on (frequency, time); channels hold real halves, then imaginary halves.
    The four real convolutions run as one with the block kernel [[Wr, -Wi], [Wi, Wr]].
    """

    def __init__(self, inputs: int, outputs: int, transposed: bool) -> None:
        super().__init__()
        shape = (inputs // 2, outputs // 2) if transposed else (outputs // 2, inputs // 2)
        self.transposed = transposed
        self.real_weight = nn.Parameter(torch.randn(*shape, 5, 2) * 0.05)
        self.imag_weight = nn.Parameter(torch.randn(*shape, 5, 2) * 0.05)
        self.real_bias = nn.Parameter(torch.zeros(outputs // 2))
        self.imag_bias = nn.Parameter(torch.zeros(outputs // 2))

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.joined()
        if self.transposed:
            return F.conv_transpose2d(x, weight, bias, (2, 1), padding=(2, 0), output_padding=(1, 0))
        return F.conv2d(x, weight, bias, (2, 1), padding=(2, 0))

    def joined(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the one real convolution that does the same."""
        real, imag = self.real_weight, self.imag_weight
        bias = torch.cat([self.real_bias - self.imag_bias, self.real_bias + self.imag_bias])
        if self.transposed:  # a transposed kernel is stored (inputs, outputs, ...)
            return torch.cat([torch.cat([real, imag], 1), torch.cat([-imag, real], 1)]), bias
        return torch.cat([torch.cat([real, -imag], 1), torch.cat([imag, real], 1)]), bias

    def plain(self) -> nn.Conv2d | nn.ConvTranspose2d:
        """That convolution; it does not learn."""
        weight, bias = self.joined()
        first, second = weight.shape[:2]
        layer: nn.Conv2d | nn.ConvTranspose2d = (
            nn.ConvTranspose2d(first, second, (5, 2), (2, 1), padding=(2, 0), output_padding=(1, 0))
            if self.transposed
            else nn.Conv2d(second, first, (5, 2), (2, 1), padding=(2, 0))
        )
        layer.weight, layer.bias = (nn.Parameter(one, requires_grad=False) for one in (weight, bias))
        return layer


class ComplexLayer(nn.Module):
    """Complex convolution, batch norm and PReLU; the last layer is a convolution alone."""

    def __init__(self, inputs: int, outputs: int, transposed: bool, last: bool = False) -> None:
        super().__init__()
        self.convolution: nn.Module = ComplexConv2d(inputs, outputs, transposed)
        self.rest = nn.Sequential() if last else nn.Sequential(nn.BatchNorm2d(outputs), nn.PReLU())

    def fold(self) -> None:
        assert isinstance(self.convolution, ComplexConv2d)
        self.convolution = self.convolution.plain()
        if len(self.rest):
            norm = self.rest[0]
            assert isinstance(norm, nn.BatchNorm2d)
            fold_into(self.convolution, norm)
            self.rest = nn.Sequential(self.rest[1])


class EncoderLayer(ComplexLayer):
    """Over this frame and the one before; half the bins."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, transposed=False)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        return self.rest(self.convolution(with_past(x, 1, 3, memory)))


class DecoderLayer(ComplexLayer):
    """Transposed, over this frame and the next; twice the bins. Of a piece of a clip one frame later."""

    def __init__(self, inputs: int, outputs: int, last: bool) -> None:
        super().__init__(inputs, outputs, transposed=True, last=last)

    def forward(self, x: Tensor, memory: Memory | None) -> Tensor:
        if memory is None:
            return self.rest(self.convolution(x)[..., 1:])
        return self.rest(self.convolution(with_past(x, 1, 3, memory))[..., 1:-1])


class ComplexRecurrent(nn.Module):
    """Complex LSTM layers and a projection back, (B, C, bins, K) to the same shape.

    Each layer has two real LSTMs, both run on both parts: real = R(r) - I(i), imaginary = R(i) + I(r).
    The projection is real: one Linear for each part.
    """

    def __init__(self, features: int, units: int, layers: int) -> None:
        super().__init__()
        inputs = [features] + [units] * (layers - 1)
        self.real = nn.ModuleList(nn.LSTM(size, units) for size in inputs)
        self.imag = nn.ModuleList(nn.LSTM(size, units) for size in inputs)
        self.project_real = nn.Linear(units, features)
        self.project_imag = nn.Linear(units, features)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        batch, channels, bins, frames = x.shape
        parts = x.reshape(batch, 2, channels // 2 * bins, frames).permute(3, 1, 0, 2)  # (K, 2, B, features)
        real, imag = parts[:, 0], parts[:, 1]
        for real_lstm, imag_lstm in zip(self.real, self.imag, strict=True):
            both = torch.cat([real, imag], dim=1)  # one run over 2 B sequences instead of two over B
            (from_real, from_imag), (across_real, across_imag) = (
                recurred(lstm, both, memory).split(batch, dim=1) for lstm in (real_lstm, imag_lstm)
            )
            real, imag = from_real - across_imag, from_imag + across_real
        parts = torch.stack([self.project_real(real), self.project_imag(imag)], dim=1)
        return parts.permute(2, 1, 3, 0).reshape(batch, channels, bins, frames)


def _complex_concat(a: Tensor, b: Tensor) -> Tensor:
    """Real halves of both, then imaginary halves."""
    (a_real, a_imag), (b_real, b_imag) = a.chunk(2, dim=1), b.chunk(2, dim=1)
    return torch.cat([a_real, b_real, a_imag, b_imag], dim=1)


def _bounded_mask(x: Tensor) -> Tensor:
    """Mask mode E: the magnitude of (B, 2, F, K) through tanh, the phase kept.

    As one factor tanh(|m|) / |m| instead of through angles, whose gradients explode near zero.
    """
    magnitude = (x.square().sum(1, keepdim=True) + 1e-8).sqrt()
    return x * (torch.tanh(magnitude) / magnitude)


def _even_widths(channels: Sequence[int]) -> list[int]:
    if not isinstance(channels, list | tuple) or not channels:
        raise UserError(
            f"channels = {as_given(channels)}: it must be a list of even numbers, one for each layer."
        )
    for width in channels:
        check_declared("channels", width, EvenSize)
    return list(channels)


def _check_together(layers: int, window_length: int, hop_length: int) -> None:
    if window_length % hop_length or window_length == hop_length:
        raise UserError(
            f"hop_length = {hop_length}: it must divide window_length = {window_length}, at least in two."
        )
    if (window_length // 2) % 2**layers:
        raise UserError(
            f"window_length = {window_length}: half of it must be a multiple of {2**layers}, "
            f"since {layers} layers halve the frequency axis."
        )
