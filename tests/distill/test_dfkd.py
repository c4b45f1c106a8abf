import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sedistill import DFKDLoss, DISPatch, FrequencyAdapter, MagnitudeL2, UniformPatches
from sedistill.audio.spectrum import Stft
from sedistill.common.errors import UserError

from .reference import ascending_crossover, descending_crossover


def column(*values: complex) -> Tensor:
    dtype = torch.complex128 if any(isinstance(value, complex) for value in values) else torch.float64
    return torch.tensor(values, dtype=dtype).view(1, -1, 1)


TEACHER, STUDENT = column(1 + 0j, 2j, 8), column(1j, 2j, -2)


class TestFrequencyAdapter:
    def test_by_hand(self) -> None:
        # Running maximum 1 1 3 3 3 6, relative jumps 0 2 0 0 1.
        assert FrequencyAdapter()(column(1, 1, 3, 3, 2, 6)).item() == 1

    def test_descending_by_hand(self) -> None:
        # Flipped: 6 2 3 3 1 1 never rises, so its first jump counts: between the two highest bins.
        assert FrequencyAdapter(scan="descending")(column(1, 1, 3, 3, 2, 6)).item() == 4
        # Flipped: 1 1 4 2 8 9, jumps 0 3 0 1 0.125: from bin 4 to bin 3 of the original.
        assert FrequencyAdapter(scan="descending")(column(9, 8, 2, 4, 1, 1)).item() == 3

    def test_silence_and_a_zero_dc_bin(self) -> None:
        assert FrequencyAdapter()(column(0, 0, 0)).item() == 0
        assert FrequencyAdapter()(column(0, 1, 5, 9)).item() == 0

    def test_min_bin(self) -> None:
        rising = column(1, 9, 10, 20, 21)  # relative jumps 8, 0.11, 1, 0.05
        assert FrequencyAdapter()(rising).item() == 0
        assert FrequencyAdapter(min_bin=1)(rising).item() == 2
        # From above the same numbers: 8 is the jump from bin 4 to bin 3.
        assert FrequencyAdapter(scan="descending")(rising.flip(1)).item() == 3
        # From above 1, 1, 1, 40: the only jump leads to bin 0; else none, and the first counts.
        assert FrequencyAdapter(scan="descending")(column(40, 1, 1, 1)).item() == 0
        assert FrequencyAdapter(scan="descending", min_bin=1)(column(40, 1, 1, 1)).item() == 2

    @given(st.integers(0, 10_000), st.integers(2, 20))
    def test_agrees_with_the_slow_version(self, seed: int, bins: int) -> None:
        magnitudes = torch.rand(
            2, bins, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        for scan, slow in (("ascending", ascending_crossover), ("descending", descending_crossover)):
            found = FrequencyAdapter(scan=scan)(magnitudes)
            assert found.shape == (2, 3)
            for clip in range(2):
                for frame in range(3):
                    assert found[clip, frame] == slow(magnitudes[clip, :, frame].tolist())
            assert ((found >= 0) & (found <= bins - 2)).all()
            assert torch.equal(
                FrequencyAdapter(scan=scan, eps=0)(magnitudes * 8),
                FrequencyAdapter(scan=scan, eps=0)(magnitudes),
            )

    def test_low_band_and_swapped(self) -> None:
        crossover = torch.tensor([[1, 0]])
        expected = torch.tensor([[[1, 1], [1, 0], [0, 0]]], dtype=torch.bool)
        assert torch.equal(FrequencyAdapter().low_band(crossover, 3), expected)
        assert torch.equal(FrequencyAdapter(swap_bands=True).low_band(crossover, 3), ~expected)

    def test_has_no_gradient(self) -> None:
        assert not FrequencyAdapter()(torch.rand(1, 4, 2, requires_grad=True)).requires_grad

    def test_refusals(self) -> None:
        with pytest.raises(UserError, match="did you mean descending"):
            FrequencyAdapter(scan="decending")
        with pytest.raises(UserError, match="min_bin"):
            FrequencyAdapter(min_bin=-1)
        with pytest.raises(UserError, match="eps"):
            FrequencyAdapter(eps=-1e-8)
        with pytest.raises(ValueError, match="3 bins"):
            FrequencyAdapter(min_bin=2)(torch.ones(1, 3, 1))
        with pytest.raises(UserError, match="min_bin = 256"):
            DISPatch(DFKDLoss(adapter=FrequencyAdapter(min_bin=256)))


class TestDFKD:
    def test_by_hand(self) -> None:
        # Crossover 1; 1 - cos = 1, 0, 2; amplitude in bin 2: 36; beta 0.5.
        torch.testing.assert_close(DFKDLoss()(STUDENT, TEACHER).flatten(), column(1, 0, 19).flatten())
        assert DISPatch(DFKDLoss(), keep=1.0).on_spectra(STUDENT, TEACHER).item() == pytest.approx(20 / 3)

    def test_swapped_bands_by_hand(self) -> None:
        loss = DFKDLoss(adapter=FrequencyAdapter(swap_bands=True))
        torch.testing.assert_close(loss(STUDENT, TEACHER).flatten(), column(0.5, 0, 2).flatten())
        assert DISPatch(loss, keep=1.0).on_spectra(STUDENT, TEACHER).item() == pytest.approx(2.5 / 3)

    def test_beta_1_removes_the_amplitude_and_0_leaves_phase_only_in_low_bins(self) -> None:
        torch.testing.assert_close(DFKDLoss(beta=1)(STUDENT, TEACHER).flatten(), column(1, 0, 2).flatten())
        torch.testing.assert_close(DFKDLoss(beta=0)(STUDENT, TEACHER).flatten(), column(1, 0, 36).flatten())

    @given(st.integers(0, 10_000), st.floats(0, 6.3), st.floats(0.01, 100))
    def test_phase_term_alone(self, seed: int, angle: float, scale: float) -> None:
        generator = torch.Generator().manual_seed(seed)
        s, t = torch.randn(2, 1, 6, 4, dtype=torch.complex128, generator=generator)
        low = torch.ones(1, 6, 4, dtype=torch.bool)
        loss = DFKDLoss()
        phase = loss(s, t, low)
        assert ((phase >= 0) & (phase <= 2)).all()
        torch.testing.assert_close(phase, 1 - torch.cos(s.angle() - t.angle()))
        turn = complex(math.cos(angle), math.sin(angle))
        torch.testing.assert_close(loss(s * turn, t * turn, ~low), loss(s, t, ~low))
        torch.testing.assert_close(loss(scale * s, t, low), phase)
        torch.testing.assert_close(loss(-t, t, low), torch.full((1, 6, 4), 2.0, dtype=torch.float64))

    def test_a_step_along_the_gradient_turns_the_phase_towards_the_target(self) -> None:
        s, t = torch.randn(2, 1, 6, 4, dtype=torch.complex128)
        low = torch.ones(1, 6, 4, dtype=torch.bool)
        before = DFKDLoss()(s.requires_grad_(), t, low)
        before.sum().backward()
        radial = (s.grad * s.detach().conj()).real
        torch.testing.assert_close(radial, torch.zeros_like(radial))  # the phase term cannot change |S|
        after = DFKDLoss()(s.detach() - 1e-3 * s.grad, t, low)
        assert after.sum() < before.sum()

    @pytest.mark.parametrize("silent", ["estimate", "target"])
    def test_silent_bins_have_no_phase_loss_and_no_gradient(self, silent: str) -> None:
        s, t = torch.randn(2, 1, 3, 2, dtype=torch.complex64)
        (s if silent == "estimate" else t)[0, 1, 1] = 0
        s.requires_grad_()
        phase = DFKDLoss()(s, t, torch.ones(1, 3, 2, dtype=torch.bool))
        phase.sum().backward()
        assert phase[0, 1, 1] == 0
        assert s.grad[0, 1, 1] == 0
        assert torch.isfinite(s.grad).all()
        assert (s.grad != 0).sum() == 5

    @pytest.mark.parametrize("beta", [-0.1, 1.1, float("nan")])
    def test_impossible_beta_is_refused(self, beta: float) -> None:
        with pytest.raises(UserError, match="beta"):
            DFKDLoss(beta=beta)


class TestEquation10AsPrinted:
    """`reduction="bands"`: the mean over the low bins plus the mean over the high ones."""

    def test_by_hand(self) -> None:
        # Low bins 0, 1: phases 1, 0; high bin 2: 0.5 * 2 + 0.5 * 36.
        bands = DISPatch(DFKDLoss(), keep=1, reduction="bands")
        assert bands.on_spectra(STUDENT, TEACHER).item() == pytest.approx(0.5 + 19)
        assert DISPatch(DFKDLoss(), keep=1).on_spectra(STUDENT, TEACHER).item() == pytest.approx(20 / 3)

    @given(st.integers(0, 10_000), st.sampled_from([1.0, 0.5]), st.sampled_from(["random", "kgs"]))
    def test_agrees_with_the_slow_version(self, seed: int, keep: float, score: str) -> None:
        generator = torch.Generator().manual_seed(seed)
        waves = [torch.randn(2, 90, generator=generator, dtype=torch.float64) for _ in range(3)]
        stft, patches = Stft(38, 19), UniformPatches(7)
        kd = DISPatch(DFKDLoss(), patches=patches, keep=keep, score=score, reduction="bands", stft=stft)
        torch.manual_seed(seed)
        found = kd(*waves)
        torch.manual_seed(seed)
        selected = kd.explain(*waves).selected_bins
        student, teacher = stft(waves[0]), stft(waves[1])
        low = FrequencyAdapter().low_band(FrequencyAdapter()(teacher.abs()), stft.bins)
        losses = DFKDLoss()(student, teacher, low)
        expected = 0.0
        for clip in range(2):
            for band in (low, ~low):
                places = (band & selected)[clip].nonzero().tolist()
                expected += sum(losses[clip, f, k].item() for f, k in places) / max(len(places), 1) / 2
        assert found.item() == pytest.approx(expected)

    def test_refusals(self) -> None:
        with pytest.raises(UserError, match="two bands"):
            DISPatch(MagnitudeL2(), reduction="bands")
        with pytest.raises(UserError, match="normalizer"):
            DISPatch(DFKDLoss(), reduction="bands", normalizer="eq6")
        with pytest.raises(UserError, match="did you mean bands"):
            DISPatch(DFKDLoss(), reduction="band")
