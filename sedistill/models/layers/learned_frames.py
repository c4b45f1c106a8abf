"""Learned frames of the waveform, as Conv-TasNet and DPTNet have them, and back by overlap-add."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.models.layers.fast_cpu import Conv1d, ConvTranspose1d, PReLU


class Encoder(nn.Module):
    """Waveform (B, T) to frames (B, N, F), half overlapping; zeros complete the last frame."""

    def __init__(self, filters: int, filter_length: int, deep_layers: int, relu: bool) -> None:
        super().__init__()
        self.hop = filter_length // 2
        self.relu = relu
        self.analysis = nn.Conv1d(1, filters, filter_length, stride=self.hop, bias=deep_layers > 0)
        self.deep = nn.Sequential()
        for _ in range(deep_layers):
            self.deep.extend([Conv1d(filters, filters, 3, padding=1), PReLU()])

    def forward(self, waveform: Tensor) -> Tensor:
        halves = self._half_frames(waveform)  # (B, L/2, F + 1)
        windows = torch.cat([halves[..., :-1], halves[..., 1:]], dim=1)  # (B, L, F)
        # The strided convolution as a matrix product over ready windows: a quarter of its time on CPU.
        frames = F.conv1d(windows, self.analysis.weight.transpose(1, 2), self.analysis.bias)
        frames = torch.relu(frames) if self.relu else frames
        return self.deep(frames)

    def _half_frames(self, waveform: Tensor) -> Tensor:
        batch, length = waveform.shape
        halves = max(2, (length + self.hop - 1) // self.hop)  # in ONNX -7 // 2 would be -3
        padded = F.pad(waveform, (0, halves * self.hop - length))
        return padded.reshape(batch, halves, self.hop).transpose(1, 2)


class Decoder(nn.Module):
    """Frames (B, N, F) to waveform (B, (F + 1) L/2) by overlap-add."""

    def __init__(self, filters: int, filter_length: int, deep_layers: int) -> None:
        super().__init__()
        self.hop = filter_length // 2
        self.deep = nn.Sequential()
        for _ in range(deep_layers):
            self.deep.extend([ConvTranspose1d(filters, filters, 3, padding=1), PReLU()])
        self.synthesis = nn.ConvTranspose1d(filters, 1, filter_length, stride=self.hop, bias=deep_layers > 0)

    def forward(self, frames: Tensor) -> Tensor:
        # As in the encoder: a matrix product, then the overlap of neighbours, in place of a strided kernel.
        windows = F.conv1d(self.deep(frames), self.synthesis.weight.permute(2, 0, 1))  # (B, L, F)
        first, second = windows.split(self.hop, dim=1)
        halves = F.pad(first, (0, 1)) + F.pad(second, (1, 0))
        waveform = halves.transpose(1, 2).flatten(1)
        return waveform if self.synthesis.bias is None else waveform + self.synthesis.bias
