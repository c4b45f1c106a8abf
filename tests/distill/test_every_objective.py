"""What holds for every DISPatch objective: batches, gradients, silence; and what none of them takes."""

import pytest
import torch

from sedistill import (
    ComplexL2,
    DFKDLoss,
    DISPatch,
    FrameKL,
    FrequencyAdapter,
    MagnitudeL2,
    MultiScalePatches,
    SISNRTarget,
    UniformPatches,
)
from sedistill.common.errors import UserError
from sedistill.distill import BIN_LOSSES

from .test_dispatch import RANKED_BY_CLEAN, waves

EVERY_OBJECTIVE = [
    SISNRTarget(),
    SISNRTarget("clean"),
    *(DISPatch(kind(), keep=1.0) for kind in BIN_LOSSES.values()),
    *(DISPatch(kind(), UniformPatches(20), keep=0.8) for kind in BIN_LOSSES.values()),
    *(DISPatch(kind(), MultiScalePatches(10, 40), keep=0.5) for kind in BIN_LOSSES.values()),
    *(DISPatch(MagnitudeL2(), keep=0.3, score=score) for score in RANKED_BY_CLEAN),
    DISPatch(ComplexL2(), target="clean", keep=0.5),
    DISPatch(DFKDLoss(), MultiScalePatches(), keep=0.8, per_band=True, normalizer="patches"),
    DISPatch(
        DFKDLoss(adapter=FrequencyAdapter("descending")),
        MultiScalePatches(),
        0.8,
        gate="teacher_over_student",
    ),
    DISPatch(MagnitudeL2(power=0.3), keep=0.8, score_reduction="sum", normalizer="eq6"),
]
every_objective = pytest.mark.parametrize("objective", EVERY_OBJECTIVE, ids=str)


class TestEveryObjective:
    @every_objective
    def test_a_batch_is_the_mean_of_its_clips(self, objective: DISPatch) -> None:
        signals = waves(dtype=torch.float64)
        alone = [objective(*(signal[i : i + 1] for signal in signals)) for i in range(3)]
        torch.testing.assert_close(objective(*signals), torch.stack(alone).mean())

    @every_objective
    def test_gradient_is_that_of_finite_differences_and_goes_to_the_student_alone(
        self, objective: DISPatch
    ) -> None:
        student, teacher, clean = (signal.requires_grad_() for signal in waves(1, 400, torch.float64))
        assert objective(student, teacher, clean).dtype == torch.float64
        assert torch.autograd.gradcheck(
            lambda x: objective(x, teacher, clean), student, fast_mode=True, eps=1e-7, atol=1e-4
        )
        objective(student, teacher, clean).backward()
        assert teacher.grad is None
        assert clean.grad is None

    @every_objective
    def test_finite_on_silence(self, objective: DISPatch) -> None:
        for silent in ([0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]):
            signals = list(waves(2))
            for i in silent:
                signals[i] = torch.zeros_like(signals[i])
            signals[0].requires_grad_()
            loss = objective(*signals)
            loss.backward()
            assert torch.isfinite(loss)
            assert torch.isfinite(signals[0].grad).all()

    @every_objective
    def test_autocast_changes_nothing(self, objective: DISPatch) -> None:
        student, teacher, clean = waves(2)
        plain = objective(student, teacher, clean)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(objective(student, teacher, clean), plain)
            mixed = objective(student.bfloat16(), teacher, clean)
        assert mixed.dtype == torch.float32
        torch.testing.assert_close(mixed, plain, rtol=0.1, atol=0.1)

    @every_objective
    def test_parts_are_those_of_the_same_loss(self, objective: DISPatch) -> None:
        signals = waves(2)
        loss, parts = objective.with_parts(*signals)
        assert torch.equal(loss, objective(*signals))
        assert torch.equal(parts["loss"], loss)
        for value in parts.values():
            assert value.shape == ()
            assert value.dtype == torch.float32
            assert not value.requires_grad

    @every_objective
    def test_what_is_not_needed_may_be_none(self, objective: DISPatch) -> None:
        student, teacher, clean = waves(2)
        given = (
            teacher if "teacher" in objective.needs else None,
            clean if "clean" in objective.needs else None,
        )
        assert torch.equal(objective(student, *given), objective(student, teacher, clean))
        for i, name in enumerate(("teacher", "clean")):
            if given[i] is not None:
                without = [None if j == i else one for j, one in enumerate(given)]
                with pytest.raises(ValueError, match=name):
                    objective(student, *without)


class TestRefusals:
    @pytest.mark.parametrize("keep", [0, -0.1, 1.5, float("nan")])
    def test_keep(self, keep: float) -> None:
        with pytest.raises(UserError, match=r"keep = .*above 0 and up to 1"):
            DISPatch(MagnitudeL2(), keep=keep)

    def test_patch_larger_than_the_bins(self) -> None:
        with pytest.raises(UserError, match=r"a patch of 258 bins .* at most 257"):
            DISPatch(MagnitudeL2(), UniformPatches(258))
        with pytest.raises(UserError, match="a patch of 300 bins"):
            DISPatch(MagnitudeL2(), MultiScalePatches(10, 300))

    @pytest.mark.parametrize(
        ("settings", "sentence"),
        [
            ({"score": "kgss"}, "did you mean kgs"),
            ({"score": "teacher-top"}, "did you mean teacher_top"),
            ({"score": "zzz"}, "known are kgs, teacher_top"),
            ({"target": "noisy"}, "target = 'noisy' is unknown"),
            ({"normalizer": "bin"}, "did you mean bins"),
            ({"score_reduction": "total"}, "known are mean, sum"),
            ({"loss": "l2"}, "must be a bin loss"),
            ({"loss": MagnitudeL2}, "must be a bin loss"),
            ({"gate": "teacher_over_nosy"}, "did you mean teacher_over_noisy"),
            ({"gate_softness": 0.5}, "gate_softness = 0.5 belongs to a gate"),
            ({"per_band": True}, "two different sizes"),
            ({"loss": DFKDLoss(), "adapter": FrequencyAdapter("descending")}, "different frequency adapters"),
        ],
        ids=str,
    )
    def test_settings(self, settings: dict, sentence: str) -> None:
        with pytest.raises(UserError, match=sentence):
            DISPatch(**{"loss": MagnitudeL2(), **settings})

    def test_shapes_that_differ_are_named(self) -> None:
        kd = DISPatch(MagnitudeL2(), keep=0.8)
        a, b = torch.zeros(2, 600), torch.zeros(2, 601)
        with pytest.raises(ValueError, match=r"student \(2, 600\) and teacher \(2, 601\)"):
            kd(a, b, a)
        with pytest.raises(ValueError, match=r"student \(2, 600\) and clean \(2, 601\)"):
            kd(a, a, b)
        with pytest.raises(ValueError, match=r"complex .* not float32 \(2, 600\)"):
            kd.on_spectra(a, a, a)


def test_kl_of_frames_is_refused_with_the_reason() -> None:
    with pytest.raises(UserError, match=r"only a sum over independent bins.*GeneralizedKL"):
        DISPatch(FrameKL())  # type: ignore[arg-type]


def test_needs() -> None:
    assert "clean" not in DISPatch(MagnitudeL2(), keep=1.0).needs
    assert "teacher" not in DISPatch(MagnitudeL2(), keep=1.0, target="clean").needs
    assert "teacher" in DISPatch(MagnitudeL2(), keep=0.8, target="clean").needs
    assert "teacher" not in DISPatch(MagnitudeL2(), keep=0.8, target="clean", score="random").needs
    assert "teacher" not in DISPatch(MagnitudeL2(), keep=0.8, target="clean", score="student_top").needs
