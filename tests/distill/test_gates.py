"""Gates: which patches count, and by how much."""

from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sedistill import (
    DFKDLoss,
    DISPatch,
    FrequencyAdapter,
    MagnitudeL1,
    MagnitudeL2,
    MultiScalePatches,
    Stft,
    UniformPatches,
)
from sedistill.distill import BIN_LOSSES
from sedistill.distill.bin_losses import BinLoss
from sedistill.distill.gates import RIVALS, Gate, gate_weight

from . import reference
from .signal_objectives import some_signals
from .test_dispatch import CLEAN, SLOW, STUDENT, TEACHER

GATES = get_args(Gate)
PATCHES = [UniformPatches(20), MultiScalePatches(10, 40)]
NAMES = ("student", "teacher", "clean", "noisy")
every_gate = pytest.mark.parametrize("gate", GATES)
every_softness = pytest.mark.parametrize("softness", [0.0, 0.5, 1.0])
every_bin_loss = pytest.mark.parametrize("name", BIN_LOSSES)


def waves(**settings: object) -> dict[str, Tensor]:
    signals = some_signals(**settings)  # type: ignore[arg-type]
    return {name: signals[name] for name in NAMES}


class TestByHand:
    # Errors of the four patches: student .5, 2, 0, 4; teacher 0, .5, 1, 0; and of this noisy input:
    NOISY = torch.tensor([[[1, 2], [2, 1], [5, 2]]], dtype=torch.complex128)  # 0, 2, 4, 0
    # KD sums 1, 5, 1, 4 over 2, 2, 1, 1 bins.

    @pytest.mark.parametrize(
        ("gate", "softness", "loss"),
        [
            ("teacher_over_student", 0.0, (1 + 5 + 4) / 5),  # all but the third
            ("teacher_over_noisy", 0.0, (5 + 1) / 3),  # the second and third
            ("teacher_over_both", 0.0, 5 / 2),  # the second
            ("teacher_over_student", 1.0, (1 + 0.6 * 5 + 4) / 5),  # relative gaps 1, .6, -1, 1
            ("teacher_over_noisy", 0.8, (0.75 * 5 + 0.75 * 1) / 3),  # 0, .6, .6, 0
            ("teacher_over_both", 1.0, 0.6 * 5 / 2),
        ],
    )
    def test_losses(self, gate: Gate, softness: float, loss: float) -> None:
        kd = DISPatch(MagnitudeL2(), UniformPatches(2), gate=gate, gate_softness=softness)
        assert kd.on_spectra(STUDENT, TEACHER, CLEAN, self.NOISY).item() == pytest.approx(loss)

    def test_beside_the_top_patches(self) -> None:
        # Half are kept, the fourth and second; against the noisy input the second stays.
        kd = DISPatch(MagnitudeL2(), UniformPatches(2), keep=0.5, gate="teacher_over_noisy")
        assert kd.on_spectra(STUDENT, TEACHER, CLEAN, self.NOISY).item() == pytest.approx(5 / 2)


errors = st.floats(0, 1e6)


class TestWeight:
    @given(rival=errors, more=errors, teacher=errors, softness=st.floats(0, 1), softer=st.floats(0, 1))
    def test_between_0_and_1_and_monotone(
        self, rival: float, more: float, teacher: float, softness: float, softer: float
    ) -> None:
        def weight(rival: float, teacher: float, softness: float) -> float:
            one, other = torch.tensor([rival, teacher], dtype=torch.float64)
            return gate_weight(one, other, softness).item()

        here = weight(rival, teacher, softness)
        assert 0 <= here <= 1
        assert (here > 0) == (rival > teacher) or abs(rival - teacher) < 1e-12 * rival
        assert weight(rival + more, teacher, softness) >= here - 1e-12
        assert weight(rival, teacher + more, softness) <= here + 1e-12
        assert weight(rival, teacher, max(softness, softer)) <= here + 1e-12

    @given(rival=errors, teacher=errors, softness=st.floats(0, 1), exponent=st.integers(-20, 20))
    def test_level_does_not_matter(
        self, rival: float, teacher: float, softness: float, exponent: int
    ) -> None:
        one, other = torch.tensor([rival, teacher], dtype=torch.float64).round(decimals=6)
        scaled = gate_weight(one * 2.0**exponent, other * 2.0**exponent, softness)
        assert torch.equal(scaled, gate_weight(one, other, softness))

    @pytest.mark.parametrize("softness", [0.0, 0.5])
    def test_what_is_not_finite_shows(self, softness: float) -> None:
        rival = torch.tensor([torch.nan, torch.inf, 1.0, 1.0, torch.inf])
        teacher = torch.tensor([1.0, 1.0, torch.nan, torch.inf, torch.inf])
        assert gate_weight(rival, teacher, softness).isnan().all()

    def test_nothing_to_beat_is_closed(self) -> None:
        zero = torch.zeros(1)
        assert gate_weight(zero, zero, 0.0) == gate_weight(zero, zero, 0.5) == 0


@every_bin_loss
@every_softness
@pytest.mark.parametrize("keep", [0.5, 1.0])
@pytest.mark.parametrize("patches", PATCHES, ids=str)
class TestWithEveryBinLoss:
    def test_all_closed_is_0_with_a_gradient_of_0(
        self, name: str, softness: float, keep: float, patches: UniformPatches
    ) -> None:
        signals = waves()
        for gate in GATES:
            kd = DISPatch(BIN_LOSSES[name](), patches, keep, gate=gate, gate_softness=softness)
            rivals = {rival: signals["clean"].clone() for rival in RIVALS[gate]}  # nobody beats clean
            given = {**signals, **rivals}
            given["student"] = given["student"].requires_grad_()
            loss = kd(**given)
            loss.backward()
            assert loss == 0
            assert (given["student"].grad == 0).all()

    def test_all_open_is_no_gate(
        self, name: str, softness: float, keep: float, patches: UniformPatches
    ) -> None:
        # A teacher that is the clean speech leads by a relative gap of 1 wherever nobody else is right.
        parts = torch.randn(3, 2, 257, 6, dtype=torch.complex64)
        signals = dict(zip(("student", "clean", "noisy"), parts, strict=True))
        signals["teacher"] = signals["clean"]
        plain = DISPatch(BIN_LOSSES[name](), patches, keep).on_spectra(**signals)
        for gate in GATES:
            kd = DISPatch(BIN_LOSSES[name](), patches, keep, gate=gate, gate_softness=softness)
            torch.testing.assert_close(kd.on_spectra(**signals), plain)

    def test_a_softer_gate_never_costs_more(
        self, name: str, softness: float, keep: float, patches: UniformPatches
    ) -> None:
        signals = waves()
        losses = [
            DISPatch(BIN_LOSSES[name](), patches, keep, gate="teacher_over_both", gate_softness=one)(
                **signals
            )
            for one in (softness, 1.0)
        ]
        assert losses[1] <= losses[0] * (1 + 1e-6)


@given(
    kind=st.sampled_from(list(SLOW)),
    gate=st.sampled_from(GATES),
    softness=st.one_of(st.just(0.0), st.floats(0.01, 1)),
    sizes=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    keep=st.floats(0.01, 1.0),
    score=st.sampled_from(["kgs", "teacher_bottom", "student_top"]),
    normalizer=st.sampled_from(["bins", "patches", "eq6"]),
    shape=st.tuples(st.integers(1, 3), st.integers(2, 17), st.integers(1, 5)),
    seed=st.integers(0, 100_000),
)
def test_agrees_with_the_slow_version(
    kind: type[BinLoss],
    gate: Gate,
    softness: float,
    sizes: tuple[int, int],
    keep: float,
    score: str,
    normalizer: str,
    shape: tuple[int, int, int],
    seed: int,
) -> None:
    student, teacher, clean = reference.random_spectra(seed, *shape, dtype=torch.complex128)
    noisy = clean + reference.random_spectra(seed + 1, *shape, dtype=torch.complex128)[2] / 2
    slow = reference.uniform(sizes[0]) if sizes[0] == sizes[1] else reference.multi_scale(*sizes)
    kd = DISPatch(
        kind(), MultiScalePatches(*sizes), keep, score=score, normalizer=normalizer,
        gate=gate, gate_softness=softness,
    )  # fmt: skip
    expected = reference.dispatch(
        SLOW[kind], slow, keep, student, teacher, clean, normalizer=normalizer, score=score,
        noisy=noisy, gate=gate, softness=softness,
    )  # fmt: skip
    found = kd.on_spectra(student, teacher, clean, noisy).item()
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@every_gate
@every_softness
@pytest.mark.parametrize("loss", [MagnitudeL1(), DFKDLoss()], ids=str)
class TestInvariances:
    def kd(self, loss: BinLoss, gate: Gate, softness: float, **settings: object) -> DISPatch:
        return DISPatch(loss, MultiScalePatches(), 0.8, gate=gate, gate_softness=softness, **settings)

    def test_clips_do_not_know_each_other(self, loss: BinLoss, gate: Gate, softness: float) -> None:
        signals, kd = waves(batch=3, dtype=torch.float64), self.kd(loss, gate, softness)
        losses = kd.explain(**signals).parts["loss"]
        order = torch.tensor([2, 0, 1])
        shuffled = kd.explain(**{name: wave[order] for name, wave in signals.items()}).parts["loss"]
        torch.testing.assert_close(shuffled, losses[order])
        alone = [kd(**{name: wave[i : i + 1] for name, wave in signals.items()}) for i in range(3)]
        torch.testing.assert_close(torch.stack(alone), losses)

    def test_level(self, loss: BinLoss, gate: Gate, softness: float) -> None:
        if loss != MagnitudeL1():
            return  # phases have no level
        signals, kd = waves(dtype=torch.float64), self.kd(loss, gate, softness)
        plain, scaled = kd.explain(**signals), kd.explain(**{n: 4 * wave for n, wave in signals.items()})
        assert torch.equal(plain.weight_per_bin, scaled.weight_per_bin)
        torch.testing.assert_close(scaled.parts["loss"], 4 * plain.parts["loss"])

    def test_the_gradient_is_of_the_student_alone(self, loss: BinLoss, gate: Gate, softness: float) -> None:
        signals, kd = waves(dtype=torch.float64), self.kd(loss, gate, softness)
        spectra = {name: Stft()(wave).requires_grad_() for name, wave in signals.items()}
        kd.on_spectra(**spectra).backward()
        assert all(spectra[name].grad is None for name in NAMES[1:])
        # It is that of the loss with the weights as they are: the gate itself is not learnt.
        seen = kd.explain(**signals)
        weight, student = seen.weight_per_bin, spectra["student"].detach().requires_grad_()
        assert 0 < (weight == 0).float().mean() < 1
        low = FrequencyAdapter().low_band(seen.crossover, 257)
        bins = loss(student, spectra["teacher"].detach(), low)
        ((bins * weight).sum(dim=(1, 2)) / seen.selected_bins.sum(dim=(1, 2))).mean().backward()
        torch.testing.assert_close(spectra["student"].grad, student.grad)
        assert (spectra["student"].grad[weight == 0] == 0).all()

    def test_finite_on_silence(self, loss: BinLoss, gate: Gate, softness: float) -> None:
        for silent in (*[[name] for name in NAMES], list(NAMES)):
            signals = waves() | {name: torch.zeros(2, 1200) for name in silent}
            signals["student"] = signals["student"].requires_grad_()
            value = self.kd(loss, gate, softness)(**signals)
            value.backward()
            assert value.isfinite()
            assert signals["student"].grad.isfinite().all()


@every_gate
def test_needs(gate: Gate) -> None:
    for settings in ({}, {"keep": 0.8}, {"keep": 0.8, "score": "random"}, {"target": "clean"}):
        kd = DISPatch(MagnitudeL2(), gate=gate, **settings)
        assert kd.needs == ("student", "teacher", "clean", *["noisy"] * (gate != "teacher_over_student"))
        signals = waves()
        signals.pop(kd.needs[-1])
        with pytest.raises(ValueError, match=f"needs the {kd.needs[-1]} signal"):
            kd(**signals)


def test_the_gate_over_the_student_is_that_of_the_knowledge_gap() -> None:
    signals = waves()
    for name, kind in BIN_LOSSES.items():
        seen = DISPatch(kind(), MultiScalePatches(), 0.8, gate="teacher_over_student").explain(**signals)
        plain = DISPatch(kind(), MultiScalePatches(), 0.8).explain(**signals)
        assert torch.equal(seen.selected, plain.selected & (plain.gap > 0)), name


@every_softness
def test_with_a_sum_of_two_bands_and_patches_of_each_band(softness: float) -> None:
    signals = waves()
    settings = {"gate": "teacher_over_noisy", "gate_softness": softness}
    of_bands = DISPatch(DFKDLoss(), MultiScalePatches(), 0.5, per_band=True, reduction="bands", **settings)
    seen = of_bands.explain(**signals)
    plain = DISPatch(DFKDLoss(), MultiScalePatches(), 0.5, per_band=True).explain(**signals)
    assert torch.equal(seen.selected, plain.selected & (seen.gate > 0))
    spectra = {name: Stft()(wave) for name, wave in signals.items()}
    low = of_bands.loss.adapter.low_band(seen.crossover, 257)
    losses = DFKDLoss()(spectra["student"], spectra["teacher"], low) * seen.weight_per_bin
    means = [
        (losses * band).sum(dim=(1, 2)) / (seen.selected_bins & band).sum(dim=(1, 2)).clamp(min=1)
        for band in (low, ~low)
    ]
    torch.testing.assert_close(seen.parts["loss"], means[0] + means[1])


def test_what_is_logged() -> None:
    kd = DISPatch(MagnitudeL2(), MultiScalePatches(), 0.8, gate="teacher_over_noisy", gate_softness=0.5)
    seen = kd.explain(**waves())
    present = seen.gap.isfinite()
    assert torch.equal(seen.gate.isfinite(), present)
    means = seen.gate.nansum(dim=(1, 2)) / present.sum(dim=(1, 2))
    torch.testing.assert_close(seen.parts["gate_weight"], means)
    _, parts = kd.with_parts(**waves())
    assert "gate_weight" in parts
    assert "gate_weight" not in DISPatch(MagnitudeL2(), keep=0.8).with_parts(**waves())[1]
