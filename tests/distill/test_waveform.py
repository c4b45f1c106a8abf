import pytest
import torch

from sedistill import SISNRTarget
from sedistill.audio.si_snr import negative_si_snr
from sedistill.errors import UserError


def test_is_si_snr_towards_the_chosen_target() -> None:
    student, teacher, clean = torch.randn(3, 2, 400)
    assert torch.equal(SISNRTarget()(student, teacher, clean), negative_si_snr(student, teacher).mean())
    assert torch.equal(SISNRTarget("clean")(student, None, clean), negative_si_snr(student, clean).mean())


def test_parts_and_gradient_into_the_student_only() -> None:
    student, teacher, clean = (torch.randn(2, 400, requires_grad=True) for _ in range(3))
    loss, parts = SISNRTarget().with_parts(student, teacher, clean)
    loss.backward()
    assert parts["loss"] == loss.detach()
    assert not parts["loss"].requires_grad
    assert student.grad is not None
    assert teacher.grad is None
    assert clean.grad is None


def test_needs_and_refusals() -> None:
    assert SISNRTarget().needs_teacher
    assert not SISNRTarget().needs_clean
    with pytest.raises(ValueError, match="needs the teacher"):
        SISNRTarget()(torch.zeros(1, 9), None, torch.zeros(1, 9))
    with pytest.raises(UserError, match="did you mean 'teacher'"):
        SISNRTarget("teachr")
