"""GTCRN (Rong et al., 2024) from PyTorch's own modules."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WINDOW_LENGTH, HOP_LENGTH = 512, 256
LOW_BINS = 65


class PlainGTCRN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(WINDOW_LENGTH).sqrt(), persistent=False)
        self.bands = FilterBank()
        self.encoder = nn.ModuleList(
            [
                ConvBlock(nn.Conv2d(9, 16, (1, 5), (1, 2), (0, 2))),
                ConvBlock(nn.Conv2d(16, 16, (1, 5), (1, 2), (0, 2), groups=2)),
                TemporalBlock(1),
                TemporalBlock(2),
                TemporalBlock(5),
            ]
        )
        self.recurrent = nn.Sequential(DualPath(), DualPath())
        self.decoder = nn.ModuleList(
            [
                TemporalBlock(5),
                TemporalBlock(2),
                TemporalBlock(1),
                ConvBlock(nn.ConvTranspose2d(16, 16, (1, 5), (1, 2), (0, 2), groups=2)),
                ConvBlock(nn.ConvTranspose2d(16, 2, (1, 5), (1, 2), (0, 2)), nn.Tanh()),
            ]
        )
        self.neighbours = Neighbours()

    def forward(self, noisy: Tensor) -> Tensor:
        length = noisy.shape[-1]
        padded = F.pad(noisy, (0, -length % HOP_LENGTH))
        spectrum = torch.stft(
            padded, WINDOW_LENGTH, HOP_LENGTH, window=self.window, pad_mode="constant", return_complex=True
        )
        real, imag = spectrum.real.transpose(1, 2), spectrum.imag.transpose(1, 2)  # (B, K, bins)
        magnitude = torch.sqrt(real**2 + imag**2 + 1e-12)
        x = self.neighbours(self.bands.join(torch.stack([magnitude, real, imag], dim=1)))
        skips = []
        for layer in self.encoder:
            x = layer(x)
            skips.append(x)
        x = self.recurrent(x)
        for layer in self.decoder:
            x = layer(x + skips.pop())
        mask = self.bands.part(x)
        mask_real, mask_imag = mask[:, 0], mask[:, 1]
        enhanced = torch.complex(real * mask_real - imag * mask_imag, imag * mask_real + real * mask_imag)
        return torch.istft(
            enhanced.transpose(1, 2), WINDOW_LENGTH, HOP_LENGTH, window=self.window, length=padded.shape[-1]
        )[:, :length]


class FilterBank(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Parameter(torch.empty(64, 192), requires_grad=False)
        self.inverse_filters = nn.Parameter(torch.empty(192, 64), requires_grad=False)

    def join(self, x: Tensor) -> Tensor:
        high = F.linear(x[..., LOW_BINS:], self.filters)
        return torch.cat([x[..., :LOW_BINS], high], dim=-1)

    def part(self, x: Tensor) -> Tensor:
        high = F.linear(x[..., LOW_BINS:], self.inverse_filters)
        return torch.cat([x[..., :LOW_BINS], high], dim=-1)


class Neighbours(nn.Module):
    """Each band joined by its two neighbours, (B, C, K, F) to (B, 3C, K, F)."""

    def __init__(self) -> None:
        super().__init__()
        self.unfold = nn.Unfold((1, 3), padding=(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, frames, bands = x.shape
        return self.unfold(x).reshape(batch, 3 * channels, frames, bands)


class ConvBlock(nn.Module):
    def __init__(
        self, convolution: nn.Conv2d | nn.ConvTranspose2d, activation: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = nn.BatchNorm2d(convolution.out_channels)
        self.activation = activation or nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.convolution(x)))


class TemporalBlock(nn.Module):
    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.neighbours = Neighbours()
        self.before = nn.Sequential(nn.Conv2d(24, 16, 1), nn.BatchNorm2d(16), nn.PReLU())
        self.pad = nn.ZeroPad2d((0, 0, 2 * dilation, 0))
        self.depthwise = nn.Sequential(
            nn.Conv2d(16, 16, 3, padding=(0, 1), dilation=(dilation, 1), groups=16),
            nn.BatchNorm2d(16),
            nn.PReLU(),
        )
        self.after = nn.Sequential(nn.Conv2d(16, 8, 1), nn.BatchNorm2d(8))
        self.attention = TemporalAttention()

    def forward(self, x: Tensor) -> Tensor:
        first, second = torch.chunk(x, 2, dim=1)
        first = self.before(self.neighbours(first))
        first = self.attention(self.after(self.depthwise(self.pad(first))))
        return torch.stack([first, second], dim=2).reshape(x.shape)


class TemporalAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.GRU(8, 16, batch_first=True)
        self.weigh = nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        energies = torch.mean(x.pow(2), dim=-1)
        weights = torch.sigmoid(self.weigh(self.recurrent(energies.transpose(1, 2))[0]))
        return x * weights.transpose(1, 2).unsqueeze(-1)


class DualPath(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.along_bands = GroupedGRU(4, bidirectional=True)
        self.band_linear = nn.Linear(16, 16)
        self.band_norm = nn.LayerNorm((33, 16), eps=1e-8)
        self.along_frames = GroupedGRU(8, bidirectional=False)
        self.frame_linear = nn.Linear(16, 16)
        self.frame_norm = nn.LayerNorm((33, 16), eps=1e-8)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)  # (B, K, F, C)
        batch, frames, bands, channels = x.shape
        y = self.along_bands(x.reshape(batch * frames, bands, channels))
        x = x + self.band_norm(self.band_linear(y).reshape(batch, frames, bands, channels))
        x = x.permute(0, 2, 1, 3)  # (B, F, K, C)
        y = self.along_frames(x.reshape(batch * bands, frames, channels))
        y = self.frame_linear(y).reshape(batch, bands, frames, channels)
        x = x.permute(0, 2, 1, 3) + self.frame_norm(y.permute(0, 2, 1, 3))
        return x.permute(0, 3, 1, 2)


class GroupedGRU(nn.Module):
    def __init__(self, units: int, bidirectional: bool) -> None:
        super().__init__()
        self.first = nn.GRU(8, units, batch_first=True, bidirectional=bidirectional)
        self.second = nn.GRU(8, units, batch_first=True, bidirectional=bidirectional)

    def forward(self, x: Tensor) -> Tensor:
        first, second = torch.chunk(x, 2, dim=-1)
        return torch.cat([self.first(first)[0], self.second(second)[0]], dim=-1)
