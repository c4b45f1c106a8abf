"""One update of the student, and the stages that weigh its terms."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sedistill.distill.bin_losses import MagnitudeL2
from sedistill.distill.dispatch import DISPatch
from sedistill.models.presets import build_model
from sedistill.training.enhancement_losses import ENHANCEMENT_LOSSES
from sedistill.training.kd_balance import KDBalance
from sedistill.training.schedule import one_stage, stage_of, two_stages
from sedistill.training.steps import PlainStep
from sedistill.training.tasks import Task

STUDENT = {"preset": "convtasnet-tiny", "filters": 8, "blocks": 2, "repeats": 1}
EXACT = torch.autocast("cpu", enabled=False)


def stepped(
    measure_balance: bool, steps: int = 3, clip_norm: float | None = 5.0,
    kd_balance: KDBalance | None = None, speech: float = 0.1,
) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:  # fmt: skip
    """The weights after a few steps of distillation, and the log of the last."""
    torch.manual_seed(0)
    student = build_model(STUDENT)
    kd = {"l2": (1.0, DISPatch(MagnitudeL2(), keep=0.8))}
    task = Task(student, ENHANCEMENT_LOSSES["si_snr"], 0.5, kd, 0.5, {}, None)
    optimiser = torch.optim.Adam(student.parameters(), lr=1e-3, fused=True)
    step = PlainStep(task, student, optimiser, clip_norm, EXACT, kd_balance=kd_balance)
    log: dict[str, torch.Tensor] = {}
    for _ in range(steps):
        clean = speech * torch.randn(2, 1000)
        log = step(
            {"clean": clean, "noisy": clean + 0.05 * torch.randn(2, 1000), "teacher": 0.9 * clean},
            measure_balance,
        )
    return [parameter.detach() for parameter in student.parameters()], log


def test_looking_at_the_balance_does_not_change_the_step() -> None:
    (plain, _), (measured, log) = stepped(False), stepped(True)
    assert "gradient/kd_over_se" in log
    for a, b in zip(plain, measured, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_without_a_limit_the_step_is_that_of_a_limit_never_reached() -> None:
    free, log = stepped(False, clip_norm=None)
    wide, clipped = stepped(False, clip_norm=1e9)
    assert all(torch.equal(a, b) for a, b in zip(free, wide, strict=True))
    assert log["gradient/norm"] == clipped["gradient/norm"] > 0
    assert "gradient/clipped_share" in clipped
    assert "gradient/clipped_share" not in log


@given(step=st.integers(1, 100), kd_steps=st.integers(1, 99))
def test_every_step_belongs_to_one_stage(step: int, kd_steps: int) -> None:
    assert stage_of(step, one_stage(0.5, 0.5)) == 0
    stages = two_stages(kd_steps, se_weight=0.3, kd_weight=0.7)
    stage = stages[stage_of(step, stages)]
    assert (stage.se_weight, stage.kd_weight) == ((0.0, 0.7) if step <= kd_steps else (0.3, 0.0))


@pytest.mark.parametrize(("number", "planned", "length"), [(0, 10, 4), (1, 10, 6)])
def test_length_of_a_stage(number: int, planned: int, length: int) -> None:
    assert two_stages(4, 1, 1)[number].length(planned) == length


def test_of_noise_alone_nothing_is_learnt_about_the_weight_of_distillation() -> None:
    """SI-SNR towards exact silence has no gradient with which to compare."""
    balance = KDBalance(1.0)
    _, log = stepped(True, steps=2, kd_balance=balance)
    learnt, measured = balance.factor, balance.measured
    assert log["gradient/kd_factor"] == pytest.approx(learnt)
    _, log = stepped(True, steps=1, kd_balance=balance, speech=0.0)
    assert (balance.factor, balance.measured) == (learnt, measured)
    assert not {"gradient/kd_over_se", "gradient/cosine"} & log.keys()
    assert log["gradient/norm"] > 0
