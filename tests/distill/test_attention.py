import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.distill.attention import AttentionTransfer

STUDENT = torch.tensor([[[1.0, 1.0, 1.0]]])
TEACHER = torch.tensor([[[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])


def distance(student: torch.Tensor, teacher: torch.Tensor, **settings: Any) -> float:
    kd = AttentionTransfer([("s", "t")], **settings)
    return float(kd(student_features={"s": student}, teacher_features={"t": teacher}))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # F = (4, 1, 0) and (1, 1, 1), so Q = (4, 1, 0) / sqrt(17) and (1, 1, 1) / sqrt(3)
        ({}, 0.434986),
        ({"reduction": "sum"}, 1.304957),
        ({"distance": "l2", "reduction": "sum"}, 0.774416),
        ({"distance": "l2"}, 0.774416 / 3**0.5),
        ({"distance": "mse", "reduction": "sum"}, 0.774416**2),
        ({"distance": "mse"}, 0.774416**2 / 3),
        # F = (2, 1, 0): Q = (2, 1, 0) / sqrt(5)
        ({"map_power": 1}, ((2 / 5**0.5 - 3**-0.5) + (3**-0.5 - 5**-0.5) + 3**-0.5) / 3),
    ],
    ids=repr,
)
def test_by_hand(settings: dict, expected: float) -> None:
    assert distance(STUDENT, TEACHER, **settings) == pytest.approx(expected, abs=2e-6)


def test_the_longer_map_is_interpolated_before_it_is_normalized() -> None:
    student = torch.tensor([[[1.0, 1.0]]])
    teacher = torch.tensor([[[2.0, 0.0, 2.0, 4.0]]])  # F = (4, 0, 4, 16)
    # to two frames: the centres lie midway between neighbours, so (2, 10), and its norm is sqrt(104)
    by_hand = (abs(2**-0.5 - 2 / 104**0.5) + abs(2**-0.5 - 10 / 104**0.5)) / 2
    assert distance(student, teacher) == pytest.approx(by_hand, abs=1e-6)
    # the student's stays flat on four frames: 1/2 against (4, 0, 4, 16) / sqrt(288)
    by_hand = sum(abs(0.5 - f / 288**0.5) for f in (4, 0, 4, 16)) / 4
    assert distance(student, teacher, interpolate_to="teacher") == pytest.approx(by_hand, abs=1e-6)


def slowly(student: list, teacher: list, power: float) -> float:
    """L1 averaged over frames, for one clip as nested lists [channel][frame]; the student's length."""

    def energies(values: list) -> list[float]:
        return [sum(abs(channel[t]) ** power for channel in values) for t in range(len(values[0]))]

    def at(values: list[float], place: float) -> float:
        place = min(max(place, 0.0), len(values) - 1.0)
        left = min(int(place), len(values) - 1)
        right = min(left + 1, len(values) - 1)
        return values[left] + (place - left) * (values[right] - values[left])

    ours, theirs = energies(student), energies(teacher)
    ratio = len(theirs) / len(ours)
    theirs = [at(theirs, (t + 0.5) * ratio - 0.5) for t in range(len(ours))]
    norms = [max(math.sqrt(sum(f * f for f in map_)), 1e-12) for map_ in (ours, theirs)]
    return sum(abs(a / norms[0] - b / norms[1]) for a, b in zip(ours, theirs, strict=True)) / len(ours)


@given(
    sizes=st.tuples(*[st.integers(1, 8)] * 4),
    power=st.sampled_from([1.0, 2.0, 3.0]),
    seed=st.integers(0, 999),
)
def test_agrees_with_the_slow_version(sizes: tuple[int, ...], power: float, seed: int) -> None:
    torch.manual_seed(seed)
    student = torch.randn(1, *sizes[:2], dtype=torch.float64)
    teacher = torch.randn(1, *sizes[2:], dtype=torch.float64)
    expected = slowly(student[0].tolist(), teacher[0].tolist(), power)
    assert distance(student, teacher, map_power=power) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(frames=st.integers(1, 30), seed=st.integers(0, 999))
def test_bounds_of_the_literal_sum(frames: int, seed: int) -> None:
    torch.manual_seed(seed)
    student, teacher = torch.randn(2, 1, 3, frames)
    assert 0 <= distance(student, teacher, reduction="sum") <= 2 * math.sqrt(frames) + 1e-5


@given(frames=st.integers(1, 30), seed=st.integers(0, 999))
def test_l1_and_l2_stand_on_one_footing(frames: int, seed: int) -> None:
    """As norms the first is never below the second (nor above sqrt(t) times it), as means never above it."""
    torch.manual_seed(seed)
    maps = torch.randn(2, 1, 3, frames, dtype=torch.float64)
    norms = [distance(*maps, distance=one, reduction="sum") for one in ("l1", "l2")]
    means = [distance(*maps, distance=one, reduction="mean") for one in ("l1", "l2")]
    assert norms[1] <= norms[0] + 1e-12
    assert norms[0] <= math.sqrt(frames) * norms[1] + 1e-12
    assert means[0] <= means[1] + 1e-12
    assert means == pytest.approx([norms[0] / frames, norms[1] / math.sqrt(frames)], abs=1e-12)


def test_pairs_add_up() -> None:
    features = {name: torch.randn(2, 3, 8) for name in "stu"}
    both = AttentionTransfer([["s", "t"], ["s", "u"]])  # lists, as a recipe gives them
    single = [AttentionTransfer([("s", teacher)]) for teacher in "tu"]
    given_ = {"student_features": features, "teacher_features": features}
    torch.testing.assert_close(both(**given_), sum(kd(**given_) for kd in single))
    assert both.student_taps == ("s",)
    assert both.teacher_taps == ("t", "u")


def test_spectral_maps_are_compared_over_all_bins() -> None:
    student, teacher = torch.randn(1, 4, 5, 6), torch.randn(1, 3, 5, 6)
    assert distance(student, teacher) == pytest.approx(distance(student.flatten(2), teacher.flatten(2)))
    with pytest.raises(UserError, match=r"'s' of the student and 't' of the teacher: their maps \(5, 6\)"):
        distance(student, torch.randn(1, 3, 5, 7))


def test_gradient() -> None:
    norm = {"distance": "l2", "reduction": "sum"}
    for settings in ({}, {"distance": "l2"}, norm, {"distance": "mse"}, {"interpolate_to": "teacher"}):
        kd = AttentionTransfer([("s", "t")], **settings)
        teacher = {"t": torch.randn(2, 3, 7, dtype=torch.float64)}
        student = torch.randn(2, 2, 5, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(
            lambda s, kd=kd, t=teacher: kd(student_features={"s": s}, teacher_features=t), student
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"map_power": 0.5}, "map_power"),
        ({"map_power": float("nan")}, "map_power"),
        ({"distance": "l3"}, "distance"),
        ({"reduction": "man"}, "did you mean mean"),
        ({"interpolate_to": "clean"}, "interpolate_to"),
        ({"pairs": []}, "pairs is empty"),
        ({"pairs": ["encoder.3"]}, "no pair"),
        ({"pairs": [("a", "b", "c")]}, "no pair"),
        ({"pairs": [("a", "b"), ("a", "b")]}, "twice"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        AttentionTransfer(**{"pairs": [("a", "b")], **settings})


def test_activations_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match=r"'s' of the student has the shape \(2, 3\)"):
        distance(torch.randn(2, 3), torch.randn(2, 3, 4))
    with pytest.raises(UserError, match=r"first dimension \(2 and 3\)"):
        distance(torch.randn(2, 3, 4), torch.randn(3, 3, 4))
