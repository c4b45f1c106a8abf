"""Recurrent layers of a network in a form that is exported for every length of a clip."""

from typing import Any

from torch import Tensor, nn

from sedistill.models.layers.onnx_operators import onnx_recurrence


def with_onnx_recurrence(network: nn.Module) -> None:
    """Replace every nn.LSTM and nn.GRU, in place; the network is good for tracing then, and nothing else."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.LSTM | nn.GRU):
                setattr(module, name, OnnxRecurrence(child))


class OnnxRecurrence(nn.Module):
    """Gives what a layer gives from zero states, and no last states."""

    def __init__(self, layer: nn.LSTM | nn.GRU) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, _: Any = None) -> tuple[Tensor, tuple[()]]:
        layer, weights = self.layer, self.layer.all_weights
        directions = 2 if layer.bidirectional else 1
        x = x.transpose(0, 1) if layer.batch_first else x
        for first in range(0, len(weights), directions):
            x = onnx_recurrence(layer.mode, x, weights[first : first + directions])  # type: ignore[arg-type]
        return (x.transpose(0, 1) if layer.batch_first else x), ()
