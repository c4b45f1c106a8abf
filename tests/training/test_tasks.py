"""The terms of a step: weights, levels, and how their gradients are compared."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sedistill.distill.bin_losses import MagnitudeL2
from sedistill.distill.dispatch import DISPatch
from sedistill.training.enhancement_losses import ENHANCEMENT_LOSSES
from sedistill.training.tasks import Task, level_gain


class Gain(nn.Module):
    """The smallest enhancer: one factor."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.5))

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        return self.gain * noisy


def task(**changes: object) -> Task:
    settings: dict = {
        "student": Gain(), "se_loss": ENHANCEMENT_LOSSES["si_snr"], "se_weight": 0.5, "objectives": {},
        "kd_weight": 0.5, "teachers": {}, "kd_level_db": None,
    }  # fmt: skip
    return Task(**{**settings, **changes})


def batch(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    clean = 0.1 * torch.randn(2, 1000)
    return {"clean": clean, "noisy": clean + 0.02 * torch.randn(2, 1000), "teacher": clean * 0.9}


def test_plain_task_has_the_weighted_enhancement_loss_alone() -> None:
    losses = task().losses(batch())
    assert losses.kd is None
    torch.testing.assert_close(losses.total, 0.5 * losses.parts["se"])


def test_total_is_the_weighted_sum() -> None:
    kd = DISPatch(MagnitudeL2(), keep=1.0)
    losses = task(objectives={"l2": (2.0, kd)}).losses(batch())
    data = batch()
    expected = kd(0.5 * data["noisy"], data["teacher"], data["clean"])
    torch.testing.assert_close(losses.parts["kd/l2"], expected.detach())
    torch.testing.assert_close(losses.total, 0.5 * losses.parts["se"] + 0.5 * 2.0 * expected)


def test_a_gate_over_the_noisy_input_sees_it_at_the_level_of_all_others() -> None:
    kd = DISPatch(MagnitudeL2(), keep=0.8, gate="teacher_over_noisy")
    data = batch()
    data["teacher"] = data["clean"] + torch.linspace(0, 0.05, 1000) * torch.randn(2, 1000)
    student = 0.5 * data["noisy"]
    for level in (None, -12.0):
        losses = task(objectives={"gated": (1.0, kd)}, kd_level_db=level).losses(data)
        gain = level_gain(data["clean"], level)
        signals = [gain * one for one in (student, data["teacher"], data["clean"], data["noisy"])]
        torch.testing.assert_close(losses.parts["kd/gated"], kd(*signals))
        assert 0 < losses.parts["gated/gate_weight"] < 1


def test_kept_outputs_and_live_teacher_are_the_same() -> None:
    data = batch()
    live = {name: value for name, value in data.items() if name != "teacher"}
    objectives = {"l2": (1.0, DISPatch(MagnitudeL2(), keep=0.8))}
    kept = task(objectives=objectives).losses(data)
    asked = task(objectives=objectives, teachers={"teacher": lambda noisy: data["teacher"]}).losses(live)
    torch.testing.assert_close(kept.total, asked.total)


@given(level=st.floats(-40, 0), scale=st.floats(1e-3, 10))
def test_level_gain_brings_clean_to_the_level(level: float, scale: float) -> None:
    clean = scale * batch()["clean"]
    gain = level_gain(clean, level)
    rms = (gain * clean).std(dim=1, unbiased=False)
    expected = torch.full_like(rms, 10 ** (level / 20))
    if float(gain.max()) < 1e3:
        torch.testing.assert_close(rms, expected, rtol=1e-4, atol=0)


def test_a_weight_of_0_leaves_a_term_out() -> None:
    def never(noisy: torch.Tensor) -> torch.Tensor:
        raise AssertionError("nobody looks at the teacher")

    kd = {"l2": (1.0, DISPatch(MagnitudeL2(), keep=0.8))}
    supervised = task(objectives=kd, kd_weight=0.0, teachers={"teacher": never}).losses(
        {**batch(), "teacher": None}
    )
    assert supervised.kd is None
    distilled = task(objectives=kd, se_weight=0.0).losses(batch())
    assert distilled.se is None
    assert distilled.total is distilled.kd
    assert "se" not in distilled.parts


def test_band_teachers_come_at_the_level_of_all_others() -> None:
    seen = {}

    class Look:
        needs = ("clean", "band_teachers")

        def with_parts(self, **signals: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            seen.update(signals)
            return signals["clean"].sum(), {"loss": torch.tensor(0.0)}

    one, other = (lambda noisy: batch()["clean"]), (lambda noisy: 2 * batch()["clean"])
    task(
        objectives={"look": (1.0, Look())}, teachers={"one": one, "other": other},
        band_teachers={"look": ["one", "other"]}, kd_level_db=-6.0,
    ).losses(batch())  # fmt: skip
    assert seen.keys() == {"clean", "band_teachers"}
    torch.testing.assert_close(seen["band_teachers"], torch.stack([seen["clean"], 2 * seen["clean"]], dim=1))


def test_level_gain_by_hand_and_on_silence() -> None:
    clean = torch.tensor([0.5, -0.5]).repeat(50)[None]  # -6.02 dB, with an offset or without
    for offset in (0.0, 0.1):
        assert math.isclose(float(level_gain(clean + offset, -26.0)), 10 ** (-26 / 20) / 0.5, rel_tol=1e-5)
    assert float(level_gain(torch.zeros(1, 100), -12.0)) == 1
    assert float(level_gain(1e-9 * clean, -12.0)) == 1e3
    assert torch.equal(level_gain(clean, None), torch.ones(1, 1))


def test_loss_does_not_depend_on_the_level_of_the_files() -> None:
    objectives = {"l2": (1.0, DISPatch(MagnitudeL2(), keep=0.8))}
    quiet = {name: 0.1 * value for name, value in batch().items()}
    levelled = task(objectives=objectives, kd_level_db=-12.0)
    torch.testing.assert_close(
        levelled.losses(batch()).total, levelled.losses(quiet).total, rtol=1e-3, atol=1e-4
    )
