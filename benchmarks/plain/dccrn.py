"""DCCRN with complex LSTM (Hu et al., 2020) from PyTorch's own modules, part by part."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PlainDCCRN(nn.Module):
    def __init__(
        self, channels: Sequence[int], lstm_units: int, lstm_layers: int, window_length: int, hop_length: int
    ) -> None:
        super().__init__()
        assert window_length == 2 * hop_length, "torch.stft's own centring is that of a hop of half a window"
        self.window_length, self.hop_length = window_length, hop_length
        self.register_buffer("window", torch.hann_window(window_length), persistent=False)
        widths = [2, *channels]
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for i in range(len(channels)):
            self.encoder.append(EncoderLayer(widths[i], widths[i + 1]))
        for i in range(len(channels), 0, -1):
            self.decoder.append(DecoderLayer(2 * widths[i], widths[i - 1], last=i == 1))
        bins_left = window_length // 2 // 2 ** len(channels)
        self.recurrent = ComplexRecurrent(channels[-1] // 2 * bins_left, lstm_units // 2, lstm_layers)

    def load_state_dict(self, state: dict[str, Tensor], *args: Any, **options: Any) -> Any:
        """Takes the library's names: kernels and biases of a complex convolution are layers of their own."""
        renamed = state.items()
        for part in ("real", "imag"):
            for kind in ("weight", "bias"):
                old, new = f"convolution.{part}_{kind}", f"convolution.{part}.{kind}"
                renamed = [(name.replace(old, new), tensor) for name, tensor in renamed]
        return super().load_state_dict(dict(renamed), *args, **options)

    def forward(self, noisy: Tensor) -> Tensor:
        length = noisy.shape[-1]
        padded = F.pad(noisy, (0, -length % self.hop_length))
        spectrum = torch.stft(
            padded, self.window_length, self.hop_length, window=self.window, pad_mode="constant",
            return_complex=True,
        )  # fmt: skip
        real, imag = spectrum.real[:, None, 1:], spectrum.imag[:, None, 1:]
        skips = []
        for layer in self.encoder:
            real, imag = layer(real, imag)
            skips.append((real, imag))
        real, imag = self.recurrent(real, imag)
        for layer in self.decoder:
            skip_real, skip_imag = skips.pop()
            real, imag = layer(torch.cat([real, skip_real], dim=1), torch.cat([imag, skip_imag], dim=1))
        real, imag = F.pad(real[:, 0], (0, 0, 1, 0)), F.pad(imag[:, 0], (0, 0, 1, 0))
        magnitude = torch.sqrt(real**2 + imag**2 + 1e-8)
        bounded = torch.tanh(magnitude)
        mask = torch.complex(bounded * (real / magnitude), bounded * (imag / magnitude))
        enhanced = spectrum * mask
        return torch.istft(
            enhanced, self.window_length, self.hop_length, window=self.window, length=padded.shape[-1]
        )[:, :length]


class ComplexConv2d(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.real = nn.Conv2d(inputs // 2, outputs // 2, (5, 2), (2, 1), padding=(2, 0))
        self.imag = nn.Conv2d(inputs // 2, outputs // 2, (5, 2), (2, 1), padding=(2, 0))

    def forward(self, real: Tensor, imag: Tensor) -> tuple[Tensor, Tensor]:
        return self.real(real) - self.imag(imag), self.imag(real) + self.real(imag)


class ComplexConvTranspose2d(ComplexConv2d):
    def __init__(self, inputs: int, outputs: int) -> None:
        nn.Module.__init__(self)
        shape: Any = {"kernel_size": (5, 2), "stride": (2, 1), "padding": (2, 0), "output_padding": (1, 0)}
        self.real = nn.ConvTranspose2d(inputs // 2, outputs // 2, **shape)
        self.imag = nn.ConvTranspose2d(inputs // 2, outputs // 2, **shape)


class EncoderLayer(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = ComplexConv2d(inputs, outputs)
        self.rest = nn.Sequential(nn.BatchNorm2d(outputs), nn.PReLU())

    def forward(self, real: Tensor, imag: Tensor) -> tuple[Tensor, Tensor]:
        real, imag = self.convolution(F.pad(real, (1, 0)), F.pad(imag, (1, 0)))
        real, imag = self.rest(torch.cat([real, imag], dim=1)).chunk(2, dim=1)
        return real, imag


class DecoderLayer(nn.Module):
    def __init__(self, inputs: int, outputs: int, last: bool) -> None:
        super().__init__()
        self.convolution = ComplexConvTranspose2d(inputs, outputs)
        self.rest = nn.Sequential() if last else nn.Sequential(nn.BatchNorm2d(outputs), nn.PReLU())

    def forward(self, real: Tensor, imag: Tensor) -> tuple[Tensor, Tensor]:
        real, imag = self.convolution(real, imag)
        real, imag = self.rest(torch.cat([real, imag], dim=1)[..., 1:]).chunk(2, dim=1)
        return real, imag


class ComplexRecurrent(nn.Module):
    def __init__(self, features: int, units: int, layers: int) -> None:
        super().__init__()
        self.real, self.imag = nn.ModuleList(), nn.ModuleList()
        for i in range(layers):
            self.real.append(nn.LSTM(units if i else features, units))
            self.imag.append(nn.LSTM(units if i else features, units))
        self.project_real = nn.Linear(units, features)
        self.project_imag = nn.Linear(units, features)

    def forward(self, real: Tensor, imag: Tensor) -> tuple[Tensor, Tensor]:
        shape = real.shape  # (B, C, bins, K)
        real, imag = real.flatten(1, 2).permute(2, 0, 1), imag.flatten(1, 2).permute(2, 0, 1)
        for real_lstm, imag_lstm in zip(self.real, self.imag, strict=True):
            new_real = real_lstm(real)[0] - imag_lstm(imag)[0]
            imag = real_lstm(imag)[0] + imag_lstm(real)[0]
            real = new_real
        real, imag = self.project_real(real), self.project_imag(imag)
        return real.permute(1, 2, 0).reshape(shape), imag.permute(1, 2, 0).reshape(shape)
