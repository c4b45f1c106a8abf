"""Looking at a network leaves no trace: modes, gradients, devices, buffers."""

import random
import threading

import pytest
import torch
from torch import nn

from sedistill.models.eval_mode import evaluating, in_eval_mode, keeping_buffers, on_device


def mixed() -> nn.Module:
    network = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)), nn.Dropout())
    network.train()
    network[1][0].eval()
    return network


def modes(network: nn.Module) -> list[bool]:
    return [module.training for module in network.modules()]


def test_modes_come_back_one_by_one_also_after_an_error() -> None:
    network = mixed()
    before = modes(network)
    with pytest.raises(KeyError), evaluating(network):  # noqa: PT012
        assert not any(modes(network))
        assert not torch.is_grad_enabled()
        raise KeyError
    assert modes(network) == before
    assert torch.is_grad_enabled()


def test_looks_within_looks_and_at_parts_of_a_network() -> None:
    network = mixed()
    before = modes(network)
    with evaluating(network):
        with in_eval_mode(network[1]), evaluating(network):
            pass
        assert not any(modes(network))
    assert modes(network) == before


def test_threads_that_come_and_go_never_see_training_mode_nor_leave_another() -> None:
    network, seen = mixed(), []
    before = modes(network)

    def look(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(100):
            with in_eval_mode(network if rng.random() < 0.5 else network[1]):
                seen.append(any(modes(network[1])))

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(seen)
    assert modes(network) == before


def test_device_and_buffers_come_back_after_an_error() -> None:
    network = mixed()
    values = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(KeyError), on_device(network, "cpu"), keeping_buffers(network):  # noqa: PT012
        network[1][1].running_mean += 1
        raise KeyError
    assert next(network.parameters()).device.type == "cpu"
    assert all(torch.equal(value, values[name]) for name, value in network.state_dict().items())
