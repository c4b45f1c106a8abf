"""FastEnhancer (Ahn et al., 2026) from PyTorch's own modules, frames in the batch of 1-d convolutions."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

WINDOW, BINS, POSITIONS, HEADS, POWER = 512, 256, 64, 4, 0.3


class PlainFastEnhancer(nn.Module):
    def __init__(
        self, channels: int, convolutions: int, blocks: int, units: int, bands: int, hop_length: int
    ) -> None:
        super().__init__()
        self.hop = hop_length
        window = torch.hann_window(WINDOW).sqrt()
        around = F.pad(window**2, (WINDOW, WINDOW))
        starts = range(WINDOW % hop_length, 2 * WINDOW + 1, hop_length)
        power = torch.stack([around[start : start + WINDOW] for start in starts]).sum(0)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("dual", window / power, persistent=False)
        self.entrance = Convolution(2, channels, 8, stride=4, padding=2)
        self.encoder = nn.ModuleList(
            [Convolution(channels, channels, 3, padding=1) for _ in range(convolutions)]
        )
        triangles = triangles_over(bands)
        self.register_buffer("triangles", triangles / triangles.sum(1, keepdim=True), persistent=False)
        back = triangles.T
        self.register_buffer("back", back / back.sum(1, keepdim=True), persistent=False)
        self.to_bands = Convolution(channels, units, 1, activation=False)
        self.blocks = nn.ModuleList([Block(units, bands if number == 0 else 0) for number in range(blocks)])
        self.from_bands = Convolution(units, channels, 1, activation=False)
        self.decoder = nn.ModuleList(
            [
                nn.Sequential(
                    Convolution(2 * channels, channels, 1), Convolution(channels, channels, 3, padding=1)
                )
                for _ in range(convolutions)
            ]
        )
        self.exit = Convolution(2 * channels, channels, 1)
        self.mask = weight_norm(nn.ConvTranspose1d(channels, 2, 8, stride=4, padding=2), dim=None)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:  # type: ignore[override]
        """Take the library's weights, which are matrices for the rows of all frames."""
        own = self.state_dict()
        renamed = {plain_name(name): as_kernel(name, tensor) for name, tensor in state.items()}
        super().load_state_dict(
            {name: renamed[name].reshape(own[name].shape) for name in own if name in renamed}
        )

    def forward(self, noisy: Tensor) -> Tensor:
        batch, length = noisy.shape
        edge = WINDOW - self.hop
        last_start = (edge + length - 1) // self.hop * self.hop
        padded = F.pad(noisy, (edge, last_start + WINDOW - edge - length))
        frames = padded.unfold(1, WINDOW, self.hop) * self.window
        spectrum = torch.fft.rfft(frames)[..., :BINS]
        magnitude = spectrum.abs().clamp(min=1e-5)
        compressed = spectrum * magnitude ** (POWER - 1)
        x = torch.stack([compressed.real, compressed.imag], dim=2).flatten(0, 1)  # (B K, 2, 256)
        x = self.entrance(x)
        skips = [x]
        for convolution in self.encoder:
            x = convolution(x)
            skips.append(x)
        x = self.to_bands(x @ self.triangles.T)
        x = x.unflatten(0, (batch, -1)).permute(0, 1, 3, 2)  # (B, K, F, D)
        for block in self.blocks:
            x = block(x)
        x = self.from_bands(x.permute(0, 1, 3, 2).flatten(0, 1) @ self.back.T)
        for convolution in self.decoder:
            x = convolution(torch.cat([x, skips.pop()], dim=1))
        x = self.mask(self.exit(torch.cat([x, skips.pop()], dim=1))).unflatten(0, (batch, -1))
        product = compressed * torch.complex(x[:, :, 0], x[:, :, 1])
        masked = product * product.abs().clamp(min=1e-5) ** (1 / POWER - 1)
        frames = torch.fft.irfft(F.pad(masked, (0, 1)), WINDOW) * self.dual
        whole = F.fold(frames.transpose(1, 2), (1, padded.shape[1]), (1, WINDOW), stride=(1, self.hop))
        return whole[:, 0, 0, edge : edge + length]


class Convolution(nn.Sequential):
    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0,
        activation: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(
            nn.Conv1d(inputs, outputs, kernel, stride, padding, bias=False),
            nn.BatchNorm1d(outputs),
            nn.SiLU() if activation else nn.Identity(),
        )


class Block(nn.Module):
    def __init__(self, units: int, bands: int) -> None:
        super().__init__()
        self.gru = nn.GRU(units, units, batch_first=True)
        for name in ("weight_ih_l0", "weight_hh_l0"):
            weight_norm(self.gru, name)
        self.after_gru = nn.Linear(units, units, bias=False)
        self.gru_norm = nn.BatchNorm1d(units)
        self.position = nn.Parameter(torch.zeros(bands, units)) if bands else None
        self.qkv = weight_norm(nn.Linear(units, 3 * units, bias=False))
        self.after_attention = nn.Linear(units, units, bias=False)
        self.attention_norm = nn.BatchNorm1d(units)

    def forward(self, x: Tensor) -> Tensor:
        batch, frames, bands, units = x.shape
        along_time = x.transpose(1, 2).flatten(0, 1)
        y = self.after_gru(self.gru(along_time)[0])
        y = self.gru_norm(y.flatten(0, 1)).reshape(batch, bands, frames, units).transpose(1, 2)
        x = x + y
        if self.position is not None:
            x = x + self.position
        heads = self.qkv(x).reshape(batch * frames, bands, HEADS, 3, -1).permute(3, 0, 2, 1, 4)
        y = F.scaled_dot_product_attention(*heads.unbind(0)).transpose(1, 2).reshape(x.shape)
        return x + self.attention_norm(self.after_attention(y).flatten(0, 2)).reshape(x.shape)


RENAMED = (
    (".rows.", "."), (".after_gru.linear.", ".after_gru."), (".after_gru.norm.", ".gru_norm."),
    (".after_attention.linear.", ".after_attention."), (".after_attention.norm.", ".attention_norm."),
    (".from_input.bias", ".gru.bias_ih_l0"), (".from_state.bias", ".gru.bias_hh_l0"),
    (".from_input.parametrizations.weight.", ".gru.parametrizations.weight_ih_l0."),
    (".from_state.parametrizations.weight.", ".gru.parametrizations.weight_hh_l0."),
    (".to_heads.", ".qkv."), (".positions", ".position"), (".join.", ".0."), (".convolve.", ".1."),
    ("exit.direction", "mask.parametrizations.weight.original1"),
    ("exit.scale", "mask.parametrizations.weight.original0"), ("exit.bias", "mask.bias"),
    ("join.", "exit."), (".linear.", ".0."), (".norm.", ".1."),
)  # fmt: skip


def plain_name(name: str) -> str:
    """What a parameter of the library is called here."""
    for one, other in RENAMED:
        name = name.replace(one, other)
    return name


def as_kernel(name: str, tensor: Tensor) -> Tensor:
    """A matrix of the library with its values in the order of a kernel."""
    if name == "exit.direction":
        return tensor.permute(2, 1, 0)
    if name.endswith("linear.weight") and (name.startswith("encoder.") or ".convolve." in name):
        return tensor.unflatten(1, (3, -1)).transpose(1, 2)
    return tensor


def triangles_over(bands: int) -> Tensor:
    centres = torch.linspace(0, POSITIONS - 1, bands)
    distance = (torch.arange(POSITIONS) - centres[:, None]).abs()
    return (1 - distance * (bands - 1) / (POSITIONS - 1)).clamp(min=0)
