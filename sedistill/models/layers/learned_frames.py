"""Learned frames of the waveform, as Conv-TasNet and DPTNet have them, and back by overlap-add.

With a `memory`, pieces of a clip: whole hops of samples to as many frames, the first of which begins a hop
before its samples, and back a hop later.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.models.layers.fast_cpu import Conv1d, ConvTranspose1d, PReLU
from sedistill.models.layers.memory import Memory, delayed, with_past


class Encoder(nn.Module):
    """Waveform (B, T) to frames (B, N, F), half overlapping; zeros complete the last frame.

    `causal`: deep layers see two frames before their own, not one on each side.
    """

    def __init__(
        self, filters: int, filter_length: int, deep_layers: int, relu: bool, causal: bool = False
    ) -> None:
        super().__init__()
        self.hop = filter_length // 2
        self.relu = relu
        self.analysis = nn.Conv1d(1, filters, filter_length, stride=self.hop, bias=deep_layers > 0)
        self.deep = nn.Sequential()
        for _ in range(deep_layers):
            self.deep.extend([Conv1d(filters, filters, 3, padding=0 if causal else 1), PReLU()])

    def forward(self, waveform: Tensor, memory: Memory | None = None) -> Tensor:
        if memory is None:
            halves = self._half_frames(waveform)  # (B, L/2, F + 1)
        else:
            halves = with_past(waveform.unflatten(1, (-1, self.hop)).transpose(1, 2), 1, 2, memory)
        windows = torch.cat([halves[..., :-1], halves[..., 1:]], dim=1)  # (B, L, F)
        # The strided convolution as a matrix product over ready windows: a quarter of its time on CPU.
        frames = F.conv1d(windows, self.analysis.weight.transpose(1, 2), self.analysis.bias)
        frames = torch.relu(frames) if self.relu else frames
        return _through_deep(self.deep, frames, memory)

    def _half_frames(self, waveform: Tensor) -> Tensor:
        batch, length = waveform.shape
        halves = torch.sym_max(2, (length + self.hop - 1) // self.hop)  # in ONNX -7 // 2 would be -3
        padded = F.pad(waveform, (0, halves * self.hop - length))
        return padded.reshape(batch, halves, self.hop).transpose(1, 2)


class Decoder(nn.Module):
    """Frames (B, N, F) to waveform (B, (F + 1) L/2) by overlap-add; `causal` as in the encoder."""

    def __init__(self, filters: int, filter_length: int, deep_layers: int, causal: bool = False) -> None:
        super().__init__()
        self.hop = filter_length // 2
        self.deep = nn.Sequential()
        for _ in range(deep_layers):
            self.deep.extend([ConvTranspose1d(filters, filters, 3, padding=2 if causal else 1), PReLU()])
        self.synthesis = nn.ConvTranspose1d(filters, 1, filter_length, stride=self.hop, bias=deep_layers > 0)

    def forward(self, frames: Tensor, memory: Memory | None = None) -> Tensor:
        # As in the encoder: a matrix product, then the overlap of neighbours, in place of a strided kernel.
        frames = _through_deep(self.deep, frames, memory)
        windows = F.conv1d(frames, self.synthesis.weight.permute(2, 0, 1))  # (B, L, F)
        first, second = windows.split(self.hop, dim=1)
        if memory is None:
            halves = F.pad(first, (0, 1)) + F.pad(second, (1, 0))
        else:
            halves = first + delayed(second, 1, 2, memory)
        waveform = halves.transpose(1, 2).flatten(1)
        return waveform if self.synthesis.bias is None else waveform + self.synthesis.bias


def _through_deep(layers: nn.Sequential, frames: Tensor, memory: Memory | None) -> Tensor:
    for layer in layers:
        if memory is not None and not isinstance(layer, PReLU):
            frames = with_past(frames, 2, 2, memory)
        frames = layer(frames)
    return frames
