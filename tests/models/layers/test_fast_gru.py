"""The GRU with its own backward against PyTorch's, outputs and every gradient."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from sedistill.models.layers.fast_gru import GRU


def pair(inputs: int, units: int, bidirectional: bool) -> tuple[GRU, nn.GRU]:
    torch.manual_seed(0)
    own = GRU(inputs, units, bidirectional).double()
    stock = nn.GRU(inputs, units, batch_first=True, bidirectional=bidirectional).double()
    stock.load_state_dict(own.state_dict())
    return own, stock


def results(gru: nn.GRU, x: Tensor) -> list[Tensor]:
    """Outputs, last states, and gradients of a loss of both for the input and all parameters."""
    x = x.clone().requires_grad_()
    outputs, last = gru(x)
    loss = (outputs * torch.arange(outputs.numel()).reshape(outputs.shape).cos()).sum() + last.square().sum()
    return [outputs, last, *torch.autograd.grad(loss, [x, *gru.parameters()])]


@given(
    batch=st.integers(1, 4), steps=st.integers(1, 6), inputs=st.integers(1, 4), units=st.integers(1, 4),
    bidirectional=st.booleans(),
)  # fmt: skip
def test_as_the_stock_layer(batch: int, steps: int, inputs: int, units: int, bidirectional: bool) -> None:
    own, stock = pair(inputs, units, bidirectional)
    x = torch.randn(batch, steps, inputs, dtype=torch.float64)
    torch.testing.assert_close(results(own, x), results(stock, x))


def test_gradients_by_differences() -> None:
    own, _ = pair(2, 3, bidirectional=True)
    x = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: own(x)[0], (x, *own.parameters()))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_own_backward_only_in_training(bidirectional: bool) -> None:
    own, _ = pair(3, 2, bidirectional)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    trained = own(x)[0]
    with torch.no_grad():
        torch.testing.assert_close(own(x)[0], trained.detach())


def test_goes_on_from_a_state_as_the_stock_layer_does() -> None:
    own, stock = pair(3, 2, bidirectional=False)
    x, state = torch.randn(2, 5, 3, dtype=torch.float64), torch.randn(1, 2, 2, dtype=torch.float64)
    torch.testing.assert_close(own(x, state), stock(x, state))


def test_saturated_gates_stay_finite() -> None:
    own, _ = pair(2, 3, bidirectional=True)
    for tensor in results(own, 1e4 * torch.randn(1, 4, 2, dtype=torch.float64)):
        assert torch.isfinite(tensor).all()
