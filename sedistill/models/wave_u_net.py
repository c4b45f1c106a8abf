"""Wave-U-Net: a convolutional encoder-decoder on the waveform itself, without norms. Not causal.

Source: D. Stoller, S. Ewert and S. Dixon, "Wave-U-Net: A Multi-Scale Neural Network for End-to-End Audio
Source Separation" (2018), in the shape that fits all five parameter counts of KDRL (2023): kernels of 15 taps
down and 5 up, filters growing linearly, though KDRL's text speaks of 5 everywhere and of doubling.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.models.base import SampleRate, Size, SpeechEnhancer, check_odd


class WaveUNet(SpeechEnhancer):
    """Wave-U-Net for one source.

    Arguments
        filters: channels of the first layer (F); layer i has F i.
        layers: layers down, and as many up; each halves the rate (KDRL's table can also be read as 7 of 12
            layers doing so; the parameters are the same).
        down_kernel: taps of the layers down and of the one at the bottom, odd.
        up_kernel: taps of the layers up, odd.
        sample_rate: Hz.

    A clip is completed with zeros to a multiple of 2 ** layers samples. Between two layers up, new samples
    are put halfway between the old ones, which stay where they were.

    Raises UserError on impossible settings.
    """

    causal = False
    se_loss = "mse"

    def __init__(
        self,
        filters: Size = 12,
        layers: Annotated[int, Field(ge=1, le=16)] = 12,
        down_kernel: Size = 15,
        up_kernel: Size = 5,
        sample_rate: SampleRate = 16_000,
    ) -> None:
        super().__init__()
        check_odd("down_kernel", down_kernel)
        check_odd("up_kernel", up_kernel)
        widths = [1, *(filters * i for i in range(1, layers + 2))]
        self.down = nn.ModuleList(_conv(widths[i - 1], widths[i], down_kernel) for i in range(1, layers + 1))
        self.bottom = _conv(widths[layers], widths[layers + 1], down_kernel)
        self.up = nn.ModuleList(
            _conv(widths[i + 1] + widths[i], widths[i], up_kernel) for i in range(layers, 0, -1)
        )
        self.output = nn.Conv1d(filters + 1, 1, 1)
        self.multiple = 2**layers
        self.latency_samples = _lookahead(layers, down_kernel, up_kernel) + 1

    def forward(self, noisy: Tensor) -> Tensor:
        """Enhance `noisy` (B, T), T >= 1; returns (B, T), within [-1, 1]."""
        length = noisy.shape[-1]
        fitting = self.multiple * ((length + self.multiple - 1) // self.multiple)  # as exporters follow it
        waveform = F.pad(noisy, (0, fitting - length))[:, None]
        x, skips = waveform, []
        for down in self.down:
            full = F.leaky_relu(down(x), 0.2)
            skips.append(full)
            x = full[..., ::2]
        x = F.leaky_relu(self.bottom(x), 0.2)
        for up in self.up:
            x = F.leaky_relu(up(torch.cat([doubled(x), skips.pop()], dim=1)), 0.2)
        enhanced = torch.tanh(self.output(torch.cat([x, waveform], dim=1)))
        return enhanced[:, 0, :length]

    def output_layer(self) -> nn.Module:
        return self.output


def doubled(x: Tensor) -> Tensor:
    """Linear interpolation to twice the rate, (B, C, T) to (B, C, 2T): x0, (x0 + x1)/2, x1, ...

    Sample 2k is sample k, so that what decimation by keeping every second sample took comes back in place.
    """
    following = torch.cat([x[..., 1:], x[..., -1:]], dim=-1)
    return torch.stack([x, x.lerp(following, 0.5)], dim=-1).flatten(-2)


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Conv1d:
    return nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2)


def _lookahead(layers: int, down_kernel: int, up_kernel: int) -> int:
    """Samples behind its own position that an output sample may depend on.

    In units of its layer's rate a layer down sees half a kernel ahead, and one up half a kernel and the
    neighbour for interpolation.
    """
    all_rates = 2**layers - 1  # 1 + 2 + 4 + ...
    down, up = down_kernel // 2, up_kernel // 2 + 1
    return (down + up) * all_rates + down * 2**layers
