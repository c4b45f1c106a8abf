"""The gradient of a step: clipped, laid out in memory, and the balance of two terms."""

import math

import pytest
import torch
from torch import nn

from sedistill.models.presets import build_model
from sedistill.training.gradients import clip_gradients, gradient_balance, gradients_of


def test_without_a_limit_gradients_stay_as_they_are_and_their_norm_is_logged() -> None:
    weights = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    weights[0].grad, weights[1].grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    assert clip_gradients(weights, None) == {"gradient/norm": torch.tensor(5.0)}
    assert (weights[0].grad.tolist(), weights[1].grad.tolist()) == ([3.0, 0.0], [4.0])
    assert clip_gradients(weights, 1.0) == {"gradient/norm": 5.0, "gradient/clipped_share": 1.0}
    assert weights[1].grad.tolist() == pytest.approx([0.8])


def test_gradients_lie_in_memory_as_their_parameters_do() -> None:
    network = build_model({"preset": "convtasnet-tiny", "filters": 8, "blocks": 2, "repeats": 1})
    parameters = list(network.parameters())
    loss = network(torch.randn(2, 900)).square().mean()
    raw = torch.autograd.grad(loss, parameters, retain_graph=True)
    assert any(a.stride() != b.stride() for a, b in zip(raw, parameters, strict=True)), (
        "nothing to mend any more"
    )
    for gradient, by_autograd, parameter in zip(gradients_of(loss, parameters), raw, parameters, strict=True):
        assert gradient.stride() == parameter.stride()
        assert torch.equal(gradient, by_autograd)


def test_gradients_and_their_balance_by_hand() -> None:
    a = nn.Parameter(torch.tensor([3.0, 4.0]))
    unused = nn.Parameter(torch.tensor(1.0))
    se = gradients_of((a * torch.tensor([3.0, 4.0])).sum(), [a, unused])
    kd = gradients_of((a * torch.tensor([4.0, 3.0])).sum() * 2, [a, unused])
    assert se[1] == 0
    balance = gradient_balance(se, kd)
    assert math.isclose(float(balance["gradient/kd_over_se"]), 2.0)
    assert math.isclose(float(balance["gradient/cosine"]), 24 / 25, rel_tol=1e-6)
