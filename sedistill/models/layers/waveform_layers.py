"""Strided layers down and up on the waveform, and clip lengths that fit them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.models.layers.memory import Memory, carried_over, with_past

FIRST_DEVIATION = 0.1  # of weights, which fresh ones are brought halfway to, on a logarithmic scale


class EncoderLayer(nn.Module):
    """Strided convolution, ReLU, 1x1 convolution and gate.

    (B, C, T) to (B, C', (T - kernel) / stride + 1); pieces of a clip (B, C, n stride) to (B, C', n).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.down = nn.Conv1d(inputs, outputs, kernel, stride)
        self.mix = nn.Conv1d(outputs, 2 * outputs, 1)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        if memory is not None:
            x = with_past(x, self.down.kernel_size[0] - self.down.stride[0], 2, memory)
        return F.glu(self.mix(torch.relu(self.down(x))), dim=1)


class DecoderLayer(nn.Module):
    """1x1 convolution and gate, transposed convolution, ReLU except in the last layer: the encoder's back.

    Pieces of a clip (B, C', n) to (B, C, n stride), later by kernel - stride.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, last: bool) -> None:
        super().__init__()
        self.mix = nn.Conv1d(inputs, 2 * inputs, 1)
        self.up = nn.ConvTranspose1d(inputs, outputs, kernel, stride)
        self.last = last

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        x = F.glu(self.mix(x), dim=1)
        x = self.up(x) if memory is None else self._continued(x, memory)
        return x if self.last else torch.relu(x)

    def _continued(self, x: Tensor, memory: Memory) -> Tensor:
        stride = self.up.stride[0]
        whole = F.conv_transpose1d(x, self.up.weight, stride=stride)
        assert self.up.bias is not None
        return carried_over(whole, stride * x.shape[-1], memory) + self.up.bias[:, None]


def fitting_length(length: int, depth: int, kernel: int, stride: int) -> int:
    """The least length, not below `length`, that `depth` layers down and up give back.

    Lengths that fit lie a hop of the deepest layer apart. In one formula, and without a division of negative
    numbers, which ONNX rounds in another way, so that exporters follow it.
    """
    hop = stride**depth
    late = (kernel - stride) * sum(stride**layer for layer in range(depth))  # a frame's span beyond its hop
    return hop * torch.sym_max(1, (length - late + hop - 1) // hop) + late


@torch.no_grad()
def rescale(network: nn.Module) -> None:
    """Divide weights and bias of every fresh convolution by the root of the weights' deviation over 0.1.

    Without norms the signal would otherwise fade from layer to layer.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            scale = (module.weight.std() / FIRST_DEVIATION).sqrt()
            for parameter in module.parameters():
                parameter.div_(scale)
