"""A network for use alone: batch norm and weight norm folded into the weights, which change no more."""

import copy
from itertools import pairwise
from types import MethodType
from typing import TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

Network = TypeVar("Network", bound=nn.Module)


@torch.no_grad()
def folded(network: Network) -> Network:
    """A copy in eval mode with the same output and fewer operations; it cannot be trained on.

    A layer that holds a norm in a form of its own folds it in `fold`; a norm behind a convolution or linear
    layer in a Sequential is folded here. A norm that stands elsewhere stays.
    """
    copied = copy.deepcopy(network).eval().requires_grad_(False)
    for module in list(copied.modules()):
        for name, child in list(module.named_children()):
            if parametrize.is_parametrized(child):
                setattr(module, name, _plain(child))
    for module in list(copied.modules()):
        if isinstance(module, nn.Sequential):
            _fold_neighbours(module)
        elif isinstance(fold := getattr(module, "fold", None), MethodType):
            fold()
    return copied


def _plain(layer: nn.Module) -> nn.Module:
    """The linear layer of a weight-normed one; torch's own removal would change the original's class, too."""
    assert isinstance(layer, nn.Linear)
    plain = nn.Linear(layer.in_features, layer.out_features, bias=False).requires_grad_(False)
    plain.weight, plain.bias = nn.Parameter(layer.weight, requires_grad=False), layer.bias
    return plain.eval()


def _fold_neighbours(layers: nn.Sequential) -> None:
    for (_, first), (name, second) in pairwise(list(layers.named_children())):
        if isinstance(second, _BatchNorm) and isinstance(first, nn.Conv1d | nn.Conv2d | nn.Linear):
            fold_into(first, second)
            setattr(layers, name, nn.Identity())


def fold_into(layer: nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear, norm: _BatchNorm) -> None:
    """Make `layer` do what `norm` in eval mode does behind it."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    bias = norm.bias - norm.running_mean * scale
    if layer.bias is not None:
        bias = bias + layer.bias * scale
    axes = layer.weight.dim() - 1
    if isinstance(layer, nn.ConvTranspose2d):  # (inputs, outputs of a group, ...), groups along the inputs
        by_group = scale.unflatten(0, (layer.groups, 1, -1))
        by_input = by_group.expand(-1, layer.in_channels // layer.groups, -1).flatten(0, 1)
        layer.weight.mul_(by_input.reshape(*by_input.shape, *[1] * (axes - 1)))
    else:
        layer.weight.mul_(scale.reshape(-1, *[1] * axes))
    layer.bias = nn.Parameter(bias, requires_grad=False)
