"""Looking at a network without changing it, also from several threads at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import torch
from torch import nn

_lock = threading.Lock()
_looking: "WeakKeyDictionary[nn.Module, tuple[int, bool]]" = WeakKeyDictionary()
"""Of every module that is looked at: how many look, and the mode it was in before the first."""


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients inside; afterwards every module is in the mode it was in.

    Whoever leaves last gives the modes back, so that one network may be looked at by several threads.
    """
    with in_eval_mode(network), torch.no_grad():
        yield


@contextmanager
def in_eval_mode(network: nn.Module) -> Iterator[None]:
    """`evaluating` without a word about gradients."""
    modules = list(network.modules())
    with _lock:
        for module in modules:
            count, before = _looking.get(module, (0, module.training))
            _looking[module] = (count + 1, before)
        if any(module.training for module in modules):
            network.eval()
    try:
        yield
    finally:
        with _lock:
            for module in modules:
                count, before = _looking.pop(module)
                if count > 1:
                    _looking[module] = (count - 1, before)
                else:
                    module.training = before


@contextmanager
def on_device(network: nn.Module, device: str | torch.device) -> Iterator[None]:
    """The network on `device` inside, and afterwards where it was, whatever happens."""
    before = next((parameter.device for parameter in network.parameters()), torch.device(device))
    network.to(device)
    try:
        yield
    finally:
        network.to(before)


@contextmanager
def keeping_buffers(network: nn.Module) -> Iterator[None]:
    """Running means and their like are afterwards what they were."""
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    try:
        yield
    finally:
        for name, buffer in network.named_buffers():
            buffer.copy_(before[name])
