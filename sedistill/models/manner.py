"""MANNER: a convolutional encoder-decoder on the waveform, with attention in three views. Not causal.

Source: H. J. Park et al., "MANNER: Multi-view Attention Network for Noise Erasure" (2022), in the shape of
its authors' code, which fits all five parameter counts of "Multi-View Attention Transfer for Efficient Speech
Enhancement" (2022).
"""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.models.base import WIDEST, SampleRate, SpeechEnhancer
from sedistill.models.layers.multi_view_attention import SLOW_MOMENTUM, Gate, MultiViewAttention
from sedistill.models.layers.waveform_layers import fitting_length

KERNEL, STRIDE = 8, 4


class MANNER(SpeechEnhancer):
    """MANNER, base ("B": attention in every layer) or small ("S": in the deepest layers alone).

    Arguments
        channels: of the first layer; the width doubles with each layer down.
        depth: layers down, and as many up; each divides the rate by 4.
        attention: "all" layers have the attention block or only the "deepest" encoder and decoder.
        chunk: frames of a chunk of global and local attention, even.
        sample_rate: Hz.

    Layers are named by their depth, 1 nearest to the waveform, in `encoder` and `decoder`: the global view in
    the second layer up is `decoder.2.attention.global`.

    The clip is brought to a deviation of about 1 and back, so the output follows the input's level. In
    training a batch must hold more than one value of each channel in the deepest layer, as batch norm needs.
    As in the authors' code some batch norms remember ten times as long as the others (momentum 0.01): those
    of the attention's branches, joint, shortcut and local weights, and each block's last and its shortcut's.

    Differs from the authors' code in that weights begin as PyTorch's layers do, not rescaled.

    Raises UserError on impossible settings.
    """

    causal = False  # normalized over the clip; global attention sees all of it
    latency_samples = None
    se_loss = "manner"

    def __init__(
        self,
        channels: Annotated[int, Field(ge=3, le=WIDEST)] = 12,
        depth: Annotated[int, Field(ge=1, le=8)] = 3,
        attention: Literal["all", "deepest"] = "deepest",
        chunk: Annotated[int, Field(ge=2, le=8192, multiple_of=2)] = 64,
        sample_rate: SampleRate = 16_000,
    ) -> None:
        super().__init__()
        self.input = nn.Sequential(nn.Conv1d(1, channels, 3, padding=1), nn.BatchNorm1d(channels), nn.ReLU())
        self.encoder, self.decoder = nn.ModuleDict(), nn.ModuleDict()
        for layer in range(1, depth + 1):
            attends = attention == "all" or layer == depth
            width = channels * 2 ** (layer - 1)
            self.encoder[str(layer)] = EncoderLayer(width, chunk if attends else None)
            self.decoder[str(layer)] = DecoderLayer(width, chunk if attends else None)
        self.bridge = nn.Linear(channels * 2**depth, channels * 2**depth, bias=False)
        self.mask = Gate(channels)
        self.output = nn.Conv1d(channels, 1, 3, padding=1)

    def forward(self, noisy: Tensor) -> Tensor:
        """Enhance `noisy` (B, T), T >= 1; returns (B, T)."""
        length = noisy.shape[-1]
        deviation = noisy.std(dim=-1, keepdim=True, correction=0)  # defined for one sample too
        padding = fitting_length(length, len(self.encoder), KERNEL, STRIDE) - length
        scaled = F.pad(noisy / (1e-3 + deviation), (0, padding))
        features = self.input(scaled[:, None])
        x, skips = features, []
        for encode in self.encoder.values():
            x = encode(x)
            skips.append(x)
        x = F.relu(self.bridge(x.transpose(1, 2))).transpose(1, 2)
        for decode in reversed(list(self.decoder.values())):
            x = decode(x + skips.pop())
        enhanced = self.output(features * self.mask(x))
        return deviation * enhanced[:, 0, :length]

    def output_layer(self) -> nn.Module:
        return self.output


class EncoderLayer(nn.Module):
    """(B, C, T) to (B, 2C, (T - 8) / 4 + 1)."""

    def __init__(self, channels: int, chunk: int | None) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv1d(channels, channels, KERNEL, STRIDE), nn.BatchNorm1d(channels), nn.ReLU()
        )
        self.block = ResidualConformer(channels, 2 * channels)
        self.attention = nn.Identity() if chunk is None else MultiViewAttention(2 * channels, chunk)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(self.block(self.down(x)))


class DecoderLayer(nn.Module):
    """(B, 2C, T) to (B, C, 4 (T - 1) + 8)."""

    def __init__(self, channels: int, chunk: int | None) -> None:
        super().__init__()
        self.block = ResidualConformer(2 * channels, channels)
        self.up = nn.Sequential(
            nn.ConvTranspose1d(channels, channels, KERNEL, STRIDE), nn.BatchNorm1d(channels), nn.ReLU()
        )
        self.attention = nn.Identity() if chunk is None else MultiViewAttention(channels, chunk)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(self.up(self.block(x)))


class ResidualConformer(nn.Module):
    """The Conformer's convolution module with one more 1x1 and a shortcut, (B, C, T) to (B, C', T)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(inputs, 2 * inputs, 1),
            nn.BatchNorm1d(2 * inputs),
            nn.GLU(dim=1),
            nn.Conv1d(inputs, inputs, 31, padding=15, groups=inputs, bias=False),
            nn.BatchNorm1d(inputs),
            nn.SiLU(),
            nn.Conv1d(inputs, outputs, 1),
            nn.BatchNorm1d(outputs),
            nn.SiLU(),
            nn.Conv1d(outputs, outputs, 1, bias=False),
            nn.BatchNorm1d(outputs, momentum=SLOW_MOMENTUM),
        )
        self.shortcut = nn.Sequential(
            nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs, momentum=SLOW_MOMENTUM)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))
