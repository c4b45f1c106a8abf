import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sedistill import ComplexL2, DISPatch, MagnitudeL1, MagnitudeL2, UniformPatches
from sedistill.common.errors import UserError
from sedistill.distill import BIN_LOSSES
from sedistill.distill.bin_losses import BinLoss, ComplexL1, GeneralizedKL

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
        (ComplexL1(), [20**0.5, 2, 8**0.5]),
        (ComplexL1(power=0.5), [((3 / 5**0.5 - 1) ** 2 + 16 / 5) ** 0.5, 2**0.5, 2]),
        (ComplexL2(power=1), [20, 4, 8]),
        # (3 + 4j)/sqrt(5) against 1; 0 against sqrt(2); sqrt(2) j against sqrt(2)
        (ComplexL2(power=0.5), [(3 / 5**0.5 - 1) ** 2 + 16 / 5, 2, 4]),
        # 1 log(1/5) - 1 + 5; 2 log(2/1e-8) - 2 + 1e-8; magnitudes are equal
        (GeneralizedKL(), [4 - math.log(5), 2 * math.log(2e8) - 2, 0]),
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


EVERY_LOSS = [
    *(kind() for kind in BIN_LOSSES.values()),
    MagnitudeL1(0.3),
    MagnitudeL2(0.3),
    ComplexL1(0.3),
    ComplexL2(1),
]


@pytest.mark.parametrize("loss", EVERY_LOSS, ids=repr)
class TestEveryBinLoss:
    def test_never_negative_and_0_when_equal(self, loss: BinLoss) -> None:
        estimate, target = torch.randn(2, 2, 9, 5, dtype=torch.complex64)
        assert (loss(estimate, target) >= 0).all()
        torch.testing.assert_close(loss(target, target.clone()), torch.zeros(2, 9, 5), atol=1e-6, rtol=0)

    def test_finite_with_finite_gradient_at_zero(self, loss: BinLoss) -> None:
        target = torch.randn(1, 9, 5, dtype=torch.complex64)
        for quiet in (torch.zeros_like(target), target * 1e-7, target * 1e-12, target * 1e-25):
            for other in (target, torch.zeros_like(target)):
                estimate = quiet.clone().requires_grad_()
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


@pytest.mark.parametrize("kind", [MagnitudeL1, MagnitudeL2, ComplexL1, ComplexL2])
@pytest.mark.parametrize("power", [0, -1, float("nan"), float("inf")])
def test_impossible_powers_are_refused(kind: type[BinLoss], power: float) -> None:
    with pytest.raises(UserError, match="power"):
        kind(power=power)


magnitude = st.floats(0, 1000) | st.sampled_from([0.0, 1e-9, 1e-8, 2e-8, 1e-4])


@given(pairs=st.lists(st.tuples(magnitude, magnitude, st.floats(-3, 3)), min_size=1, max_size=9))
def test_complex_distances_are_those_of_points_in_the_plane(pairs: list[tuple[float, float, float]]) -> None:
    estimates = [s * complex(math.cos(angle), math.sin(angle)) for s, _, angle in pairs]
    targets = [complex(t) for _, t, _ in pairs]
    for power in (1.0, 0.3):
        given_, wanted = [
            [
                z * (abs(z) ** 2 + (1e-8 if power < 1 else 0)) ** ((power - 1) / 2) if power < 1 else z
                for z in side
            ]
            for side in (estimates, targets)
        ]
        distances = [abs(s - t) for s, t in zip(given_, wanted, strict=True)]
        for loss, degree in ((ComplexL1(power), 1), (ComplexL2(power), 2)):
            found = loss(spectrum(estimates), spectrum(targets)).flatten().tolist()
            assert found == pytest.approx([distance**degree for distance in distances], rel=1e-9, abs=1e-9)


class TestGeneralizedKL:
    @given(pairs=st.lists(st.tuples(magnitude, magnitude), min_size=1, max_size=9))
    def test_agrees_with_the_slow_version_and_is_never_negative(
        self, pairs: list[tuple[float, float]]
    ) -> None:
        floored = [(max(s, 1e-8), max(t, 1e-8)) for s, t in pairs]
        expected = [t * math.log(t / s) - t + s for s, t in floored]
        estimates, targets = zip(*pairs, strict=True)
        found = GeneralizedKL()(spectrum(estimates), spectrum(targets)).flatten()
        assert found.tolist() == pytest.approx(expected, rel=1e-6, abs=1e-9)
        assert (found >= 0).all()

    def test_keeps_its_digits_where_spectra_are_close(self) -> None:
        # To second order (s - t)^2 / (2 t), far below the rounding of t itself in single precision.
        close = torch.tensor([100.001], dtype=torch.complex64).view(1, 1, 1)
        step = close.real.double() - 100
        loss = GeneralizedKL()(close, torch.full_like(close, 100))
        torch.testing.assert_close(loss.double(), step**2 / 200, rtol=1e-2, atol=0)

    def test_gradient_is_the_closed_form(self) -> None:
        estimate = torch.tensor([3 + 4j, 2j], dtype=torch.complex128).view(1, 2, 1).requires_grad_()
        GeneralizedKL()(estimate, torch.tensor([1, 8], dtype=torch.complex128).view(1, 2, 1)).sum().backward()
        # (1 - t / s) along S: (1 - 1/5) (0.6 + 0.8j) and (1 - 8/2) j
        expected = torch.tensor([0.48 + 0.64j, -3j], dtype=torch.complex128).view(1, 2, 1)
        torch.testing.assert_close(estimate.grad, expected)

    def test_patches_can_be_selected_by_it(self) -> None:
        student, teacher, clean = (spectrum(values) for values in ([4, 1], [1, 1], [1, 1]))
        # The gap is 0 in the second bin, so that the first alone is kept: log(1/4) - 1 + 4.
        kd = DISPatch(GeneralizedKL(), UniformPatches(1), keep=0.5)
        assert kd.on_spectra(student, teacher, clean).item() == pytest.approx(3 - math.log(4))


def spectrum(values: Sequence[complex]) -> Tensor:
    return torch.tensor(values, dtype=torch.complex128).view(1, -1, 1)
