"""A network's step, as fast as PyTorch can make it without a compiler."""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sedistill.models.base import SpeechEnhancer
from sedistill.models.network_classes import NETWORKS

States = Sequence[Tensor]
Step = Callable[[Tensor, States], tuple[Tensor, States]]


class Stepping:
    """Steps of one network in eval mode that does not change any more.

    In a small network Python's calls between the operations cost more than the operations. So the first
    step alone is recorded (`torch.jit.trace`), for each number of channels, and those after it are played
    from the record, in half the time. That is right for networks whose course depends on shapes alone, as
    all of this package do; others, and several steps at a time, are computed in the ordinary way.
    """

    def __init__(self, network: SpeechEnhancer) -> None:
        self.network = network
        self._can_record = type(network) in NETWORKS.values()
        self._records: dict[int, Step] = {}

    def __call__(self, noisy: Tensor, states: States, beyond: int = 0) -> tuple[Tensor, States]:
        """As `SpeechEnhancer.step`, without gradients."""
        with torch.inference_mode():
            if beyond or not self._can_record or noisy.shape[1] != self.network.step_samples:
                return self.network.step(noisy, states, beyond)
            channels = len(noisy)
            if channels not in self._records:
                self._records[channels] = recorded(self.network, noisy, states)
            return self._records[channels](noisy, states)


def recorded(network: SpeechEnhancer, noisy: Tensor, states: States) -> Step:
    """A step of just these shapes; run a few times, since PyTorch improves a record while it is used."""

    def flat(noisy: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        output, following = network.step(noisy, states)
        return output, *following

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that shapes are fixed, and that the function is an old one
        record = torch.jit.trace(flat, (noisy, *states), check_trace=False)
    for _ in range(3):
        record(noisy, *states)

    def step(noisy: Tensor, states: States) -> tuple[Tensor, States]:
        output, *following = record(noisy, *states)
        return output, following

    return step
