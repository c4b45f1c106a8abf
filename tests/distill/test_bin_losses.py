import pytest
import torch

from sedistill import ComplexL2, MagnitudeL1, MagnitudeL2
from sedistill.distill import BIN_LOSSES
from sedistill.distill.bin_losses import BinLoss
from sedistill.errors import UserError

ESTIMATE = torch.tensor([3 + 4j, 0, 2j], dtype=torch.complex128).view(1, 3, 1)
TARGET = torch.tensor([1, 2, 2], dtype=torch.complex128).view(1, 3, 1)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (MagnitudeL1(), [4, 2, 0]),
        (MagnitudeL2(), [16, 4, 0]),
        # sqrt of 5, 0, 2 against sqrt of 1, 2, 2; the floor under the power law is 1e-8^(1/4) = 0.01 at 0
        (MagnitudeL1(power=0.5), [5**0.5 - 1, 2**0.5 - 0.01, 0]),
        (MagnitudeL2(power=0.5), [(5**0.5 - 1) ** 2, (2**0.5 - 0.01) ** 2, 0]),
        (ComplexL2(power=1), [20, 4, 8]),
        # (3 + 4j)/sqrt(5) against 1; 0 against sqrt(2); sqrt(2) j against sqrt(2)
        (ComplexL2(power=0.5), [(3 / 5**0.5 - 1) ** 2 + 16 / 5, 2, 4]),
    ],
    ids=repr,
)
def test_by_hand(loss: BinLoss, expected: list[float]) -> None:
    torch.testing.assert_close(
        loss(ESTIMATE, TARGET).flatten(), torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=1e-6
    )


def test_gradient_of_magnitude_l2_is_the_closed_form() -> None:
    estimate = ESTIMATE.clone().requires_grad_()
    MagnitudeL2()(estimate, TARGET).mean().backward()
    direction = torch.tensor([0.6 + 0.8j, 0, 1j], dtype=torch.complex128).view(1, 3, 1)
    expected = 2 * (ESTIMATE.abs() - TARGET.abs()) / 3 * direction
    torch.testing.assert_close(estimate.grad, expected)


EVERY_LOSS = [*(kind() for kind in BIN_LOSSES.values()), MagnitudeL1(0.3), MagnitudeL2(0.3), ComplexL2(1)]


@pytest.mark.parametrize("loss", EVERY_LOSS, ids=repr)
class TestEveryBinLoss:
    def test_never_negative_and_0_when_equal(self, loss: BinLoss) -> None:
        estimate, target = torch.randn(2, 2, 9, 5, dtype=torch.complex64)
        assert (loss(estimate, target) >= 0).all()
        torch.testing.assert_close(loss(target, target.clone()), torch.zeros(2, 9, 5), atol=1e-6, rtol=0)

    def test_finite_with_finite_gradient_at_zero(self, loss: BinLoss) -> None:
        target = torch.randn(1, 9, 5, dtype=torch.complex64)
        for given in (torch.zeros_like(target), target * 1e-7, target * 1e-12, target * 1e-25):
            for other in (target, torch.zeros_like(target)):
                estimate = given.clone().requires_grad_()
                bin_map = loss(estimate, other)
                bin_map.sum().backward()
                assert torch.isfinite(bin_map).all()
                assert torch.isfinite(estimate.grad).all()

    def test_gradient(self, loss: BinLoss) -> None:
        estimate, target = torch.randn(2, 1, 4, 3, dtype=torch.complex128)
        low_band = torch.rand(1, 4, 3) < 0.5
        assert torch.autograd.gradcheck(lambda x: loss(x, target, low_band), estimate.requires_grad_())

    def test_shapes_that_differ_are_named(self, loss: BinLoss) -> None:
        with pytest.raises(ValueError, match=r"\(1, 3, 1\) and target \(1, 2, 1\)"):
            loss(ESTIMATE, TARGET[:, :2])


@pytest.mark.parametrize("kind", [MagnitudeL1, MagnitudeL2, ComplexL2])
@pytest.mark.parametrize("power", [0, -1, float("nan"), float("inf")])
def test_impossible_powers_are_refused(kind: type[BinLoss], power: float) -> None:
    with pytest.raises(UserError, match="power"):
        kind(power=power)
