import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sedistill import DISPatch, Stft
from sedistill.common.errors import UserError
from sedistill.distill.frame_kl import FrameKL

from .signal_objectives import some_signals

FORMS = [FrameKL(), FrameKL(temperature=3.0), FrameKL("normalized")]


def frame(*magnitudes: float) -> Tensor:
    return torch.tensor(magnitudes, dtype=torch.float64).view(1, -1, 1)


def slow(form: FrameKL, student: list[float], target: list[float]) -> float:
    """The divergence of one frame, from its definition."""

    def distribution(magnitudes: list[float]) -> list[float]:
        if form.distribution == "softmax":
            weights = [math.exp(one / (form.temperature or 1)) for one in magnitudes]
        else:
            weights = [max(one, 1e-8) for one in magnitudes]
        return [weight / sum(weights) for weight in weights]

    s, t = distribution(student), distribution(target)
    return (form.temperature or 1) ** 2 * sum(q * math.log(q / p) for p, q in zip(s, t, strict=True))


def test_softmax_by_hand() -> None:
    # (3/4, 1/4) against (1/2, 1/2): 3/4 log 3/2 + 1/4 log 1/2
    loss = FrameKL().divergence(frame(0, 0), frame(math.log(3), 0))
    assert loss.item() == pytest.approx(0.130812, abs=1e-6)
    # At twice the temperature the same frame twice as loud, times 4.
    warm = FrameKL(temperature=2.0).divergence(frame(0, 0), frame(2 * math.log(3), 0))
    assert warm.item() == pytest.approx(4 * 0.130812, abs=4e-6)


def test_normalized_by_hand() -> None:
    # (3/4, 1/4) against (1/2, 1/2) once more
    assert FrameKL("normalized").divergence(frame(5, 5), frame(3, 1)).item() == pytest.approx(
        0.130812, abs=1e-6
    )
    # Silence is flat: (1/2, 1/2)
    assert FrameKL("normalized").divergence(frame(0, 0), frame(3, 1)).item() == pytest.approx(
        0.130812, abs=1e-6
    )


def test_is_the_mean_over_frames_of_magnitudes_of_the_spectrogram() -> None:
    signals = some_signals(samples=600, dtype=torch.float64)
    student, teacher = Stft()(signals["student"]).abs(), Stft()(signals["teacher"]).abs()
    for form in FORMS:
        expected = [
            slow(form, student[clip, :, t].tolist(), teacher[clip, :, t].tolist())
            for clip in range(2)
            for t in range(student.shape[2])
        ]
        assert form(**signals).item() == pytest.approx(sum(expected) / len(expected), rel=1e-9)


magnitudes = st.lists(
    st.tuples(*[st.floats(0, 20) | st.sampled_from([0.0, 1e-9, 1e-7])] * 2), min_size=1, max_size=8
)


@given(pairs=magnitudes)
def test_agrees_with_the_slow_version_and_is_never_negative(pairs: list[tuple[float, float]]) -> None:
    student, target = [list(side) for side in zip(*pairs, strict=True)]
    for form in FORMS:
        loss = form.divergence(frame(*student), frame(*target)).item()
        assert loss == pytest.approx(slow(form, student, target), rel=1e-6, abs=1e-9)
        assert loss >= -1e-9
        assert form.divergence(frame(*target), frame(*target)).item() == 0


@given(pairs=magnitudes, constant=st.floats(0, 20))
def test_softmax_is_blind_to_a_constant(pairs: list[tuple[float, float]], constant: float) -> None:
    student, target = (frame(*side) for side in zip(*pairs, strict=True))
    for form in FORMS[:2]:
        expected = form.divergence(student, target)
        torch.testing.assert_close(form.divergence(student + constant, target), expected)
        torch.testing.assert_close(form.divergence(student, target + constant), expected)


@given(gain=st.floats(0.1, 10))
def test_normalized_is_blind_to_the_level_of_a_frame(gain: float) -> None:
    student, target = 0.1 + torch.rand(2, 1, 7, 3, dtype=torch.float64)
    form = FrameKL("normalized")
    expected = form.divergence(student, target)
    level = gain ** torch.tensor([0.0, 1.0, -1.0])
    torch.testing.assert_close(form.divergence(level * student, target), expected)
    torch.testing.assert_close(form.divergence(student, level * target), expected)


def test_refusals() -> None:
    with pytest.raises(UserError, match="did you mean normalized"):
        FrameKL("normalised")
    with pytest.raises(UserError, match="target"):
        FrameKL(target="noisy")
    with pytest.raises(UserError, match="temperature = 0"):
        FrameKL(temperature=0)
    with pytest.raises(UserError, match="temperature belongs to distribution: softmax"):
        FrameKL("normalized", temperature=2.0)
    with pytest.raises(UserError, match="must be a bin loss"):
        DISPatch(FrameKL())  # type: ignore[arg-type]
