import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sedistill import SISNRTarget
from sedistill.audio.si_snr import negative_si_snr
from sedistill.common.errors import UserError
from sedistill.distill.waveform import WaveformDistance, WaveformL1, WaveformL2

from .signal_objectives import some_signals

STUDENT = torch.tensor([[1.0, 2.0, -3.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
TEACHER = torch.tensor([[1.0, 0.0, 3.0, 1.0], [2.0, 0.0, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("objective", "expected"),
    # Differences 0, 2, -6, -1 and -2, 0, 0, 0: means over four samples, then over both clips.
    [(WaveformL1(), (9 / 4 + 2 / 4) / 2), (WaveformL2(), (41 / 4 + 4 / 4) / 2)],
    ids=repr,
)
def test_by_hand(objective: WaveformDistance, expected: float) -> None:
    assert objective(STUDENT, TEACHER).item() == pytest.approx(expected)
    assert type(objective)("clean")(STUDENT, clean=TEACHER).item() == pytest.approx(expected)


def test_is_si_snr_towards_the_chosen_target() -> None:
    student, teacher, clean = torch.randn(3, 2, 400)
    assert torch.equal(SISNRTarget()(student, teacher, clean), negative_si_snr(student, teacher).mean())
    assert torch.equal(SISNRTarget("clean")(student, None, clean), negative_si_snr(student, clean).mean())


@given(gain=st.floats(0.01, 100).flatmap(lambda g: st.sampled_from([g, -g])))
def test_levels(gain: float) -> None:
    signals = some_signals(samples=60, dtype=torch.float64)
    student, teacher = signals["student"], signals["teacher"]
    for objective, degree in ((WaveformL1(), 1), (WaveformL2(), 2)):
        expected = abs(gain) ** degree * objective(student, teacher)
        torch.testing.assert_close(objective(gain * student, gain * teacher), expected)
    si_snr = SISNRTarget()
    torch.testing.assert_close(si_snr(gain * student, teacher), si_snr(student, teacher), atol=1e-2, rtol=0)


@pytest.mark.parametrize("kind", [SISNRTarget, WaveformL1, WaveformL2])
def test_needs_and_refusals(kind: type[WaveformDistance]) -> None:
    assert kind().needs == ("student", "teacher")
    assert kind("clean").needs == ("student", "clean")
    with pytest.raises(UserError, match="did you mean teacher"):
        kind("teachr")
