"""Wave-U-Net (Stoller et al., 2018) from PyTorch's own modules."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PlainWaveUNet(nn.Module):
    def __init__(self, filters: int, layers: int, down_kernel: int, up_kernel: int) -> None:
        super().__init__()
        widths = [1] + [filters * (i + 1) for i in range(layers + 1)]
        self.layers = layers
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        for i in range(layers):
            self.down.append(nn.Conv1d(widths[i], widths[i + 1], down_kernel, padding=down_kernel // 2))
        self.bottom = nn.Conv1d(widths[-2], widths[-1], down_kernel, padding=down_kernel // 2)
        for i in range(layers, 0, -1):
            self.up.append(nn.Conv1d(widths[i + 1] + widths[i], widths[i], up_kernel, padding=up_kernel // 2))
        self.output = nn.Conv1d(filters + 1, 1, 1)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, noisy: Tensor) -> Tensor:
        length = noisy.shape[-1]
        waveform = F.pad(noisy.unsqueeze(1), (0, -length % 2**self.layers))
        x = waveform
        skips = []
        for down in self.down:
            x = self.activation(down(x))
            skips.append(x)
            x = x[:, :, ::2]
        x = self.activation(self.bottom(x))
        for up, skip in zip(self.up, reversed(skips), strict=True):
            x = F.pad(x, (0, 1), mode="replicate")
            x = F.interpolate(x, size=2 * x.shape[-1] - 1, mode="linear", align_corners=True)[:, :, :-1]
            x = self.activation(up(torch.cat([x, skip], dim=1)))
        x = torch.tanh(self.output(torch.cat([x, waveform], dim=1)))
        return x[:, 0, :length]
