"""How large and how costly a network is: parameters, and multiply-accumulates per second of audio."""

import copy
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

# PyTorch's counter takes a recurrent layer as one unknown operation or as its parts, depending on device and
# version. So they are replaced by a layer of the same shapes without operations, and counted by formula.


def parameters(model: nn.Module) -> int:
    """Number of values in parameters, frozen ones too (buffers such as running means are not included)."""
    return sum(p.numel() for p in model.parameters())


def macs_per_second(model: Any) -> int:
    """True multiply-accumulates for exactly one second of one channel, `model.sample_rate` samples.

    Convolutions, matrix products and recurrent layers; not element-wise work, norms and Fourier transforms.
    Nothing is computed (PyTorch's meta device), so large networks take no longer than small ones.
    Networks of one form are counted once.
    """
    if not hasattr(model, "settings"):
        return _count(model)
    form = (type(model), model.sample_rate, str(model.settings), repr(model))
    if form not in _KNOWN:
        _KNOWN[form] = _count(model)
    return _KNOWN[form]


_KNOWN: dict[tuple[type, int, str, str], int] = {}
"""By class, rate, settings and layers, which a program may have changed since the settings built them."""


def _count(model: Any) -> int:
    shadow = copy.deepcopy(model).to("meta").eval()
    recurrent = [module for module in shadow.modules() if isinstance(module, nn.LSTM | nn.GRU)]
    counted = [_Counted.put_in_place_of(layer, shadow) for layer in recurrent]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        shadow(torch.empty(1, model.sample_rate, device="meta"))
    return counter.get_total_flops() // 2 + sum(layer.macs for layer in counted)


class _Counted(nn.Module):
    """Stands in for an nn.LSTM or nn.GRU: outputs of its shapes, and the multiply-accumulates of its inputs.

    A step of one layer and direction costs gh (in + h) with g = 4 gates (GRU: 3); with an LSTM's projection
    to p outputs gh (in + p) + hp.
    """

    def __init__(self, layer: nn.LSTM | nn.GRU) -> None:
        super().__init__()
        self.has_cell = isinstance(layer, nn.LSTM)
        self.directions = 2 if layer.bidirectional else 1
        self.batch_first = layer.batch_first
        self.layers, self.hidden, self.inputs = layer.num_layers, layer.hidden_size, layer.input_size
        self.projected = layer.proj_size
        self.macs = 0

    @classmethod
    def put_in_place_of(cls, layer: nn.LSTM | nn.GRU, root: nn.Module) -> "_Counted":
        stand_in = cls(layer)
        for parent in root.modules():
            for name, child in parent.named_children():
                if child is layer:
                    setattr(parent, name, stand_in)
        return stand_in

    def forward(self, x: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        gates = 4 if self.has_cell else 3
        steps = x[..., 0].numel()
        output = self.projected or self.hidden
        inputs = self.inputs
        for _ in range(self.layers):
            one = gates * self.hidden * (inputs + output) + self.hidden * self.projected
            self.macs += steps * self.directions * one
            inputs = self.directions * output
        batch = x.shape[0 if self.batch_first else 1]
        last = x.new_empty(self.layers * self.directions, batch, output)
        cell = x.new_empty(self.layers * self.directions, batch, self.hidden)
        return x.new_empty(*x.shape[:-1], inputs), (last, cell) if self.has_cell else last
