import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.distill.gram import GramSimilarity


def distance(student: torch.Tensor, teacher: torch.Tensor, **settings: Any) -> torch.Tensor:
    kd = GramSimilarity([("s", "t")], **settings)
    return kd(student_features={"s": student}, teacher_features={"t": teacher})


def test_frames_by_hand() -> None:
    student = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])  # frames (1, 0) and (0, 1): Gram is the identity
    teacher = torch.tensor([[[3.0, 4.0]]])  # Gram (9, 12; 12, 16), rows (0.6, 0.8) both
    by_hand = ((1 - 0.6) ** 2 + 0.8**2 + 0.6**2 + (1 - 0.8) ** 2) / 4
    torch.testing.assert_close(distance(student, teacher), torch.tensor(by_hand))


def test_batch_by_hand() -> None:
    student = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])  # two clips at right angles
    teacher = torch.tensor([[[1.0, 2.0, 2.0]], [[1.0, 2.0, 2.0]]])  # two equal ones of other size
    by_hand = 2 * ((1 - 0.5**0.5) ** 2 + 0.5) / 4
    torch.testing.assert_close(distance(student, teacher, gram="batch"), torch.tensor(by_hand))


def normalized_gram(rows: list[list[float]]) -> list[list[float]]:
    gram = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in rows] for x in rows]
    return [[g / max(math.sqrt(sum(v * v for v in row)), 1e-12) for g in row] for row in gram]


@given(
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    bins=st.integers(1, 3),
    frames=st.integers(1, 6),
    gram=st.sampled_from(["frames", "batch"]),
    seed=st.integers(0, 999),
)
def test_agrees_with_the_slow_version(
    channels: tuple[int, int], bins: int, frames: int, gram: str, seed: int
) -> None:
    torch.manual_seed(seed)
    student, teacher = (torch.randn(2, c, bins, frames, dtype=torch.float64) for c in channels)

    def mean_square(ours: list[list[float]], theirs: list[list[float]]) -> float:
        pairs = zip(normalized_gram(ours), normalized_gram(theirs), strict=True)
        squares = [(a - b) ** 2 for row in pairs for a, b in zip(*row, strict=True)]
        return sum(squares) / len(squares)

    if gram == "batch":
        expected = mean_square(student.flatten(1).tolist(), teacher.flatten(1).tolist())
    else:
        of_clips = zip(student, teacher, strict=True)
        clips = [
            mean_square(*([x[..., k].flatten().tolist() for k in range(frames)] for x in of_clip))
            for of_clip in of_clips
        ]
        expected = sum(clips) / 2
    assert float(distance(student, teacher, gram=gram)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_long_activations_are_averaged_and_the_teachers_frames_interpolated() -> None:
    student, teacher = torch.randn(1, 3, 8), torch.randn(1, 2, 12)
    averaged = [x.reshape(1, x.shape[1], 4, -1).mean(dim=-1) for x in (student, teacher)]
    torch.testing.assert_close(distance(student, teacher, frames=4), distance(*averaged, frames=None))
    halves = teacher.reshape(1, 2, 6, 2).mean(dim=-1)  # linear at half the number: midway between neighbours
    torch.testing.assert_close(distance(torch.ones(1, 1, 6), teacher), distance(torch.ones(1, 1, 6), halves))


def test_time_may_be_another_dimension() -> None:
    student, teacher = torch.randn(2, 3, 6, 5), torch.randn(2, 4, 5, 6)
    expected = distance(student, teacher.transpose(2, 3), student_time_dim=2, teacher_time_dim=2)
    torch.testing.assert_close(distance(student, teacher, student_time_dim=2), expected)
    with pytest.raises(UserError, match=r"dimension 1 of \(2, 3, 6, 5\) cannot be time"):
        distance(student, teacher, student_time_dim=1)
    with pytest.raises(UserError, match="cannot be time"):
        distance(student[..., 0], teacher, student_time_dim=3)


def test_a_batch_of_one_has_no_similarities() -> None:
    assert distance(torch.rand(1, 3, 5), torch.rand(1, 2, 5), gram="batch") == 0


@pytest.mark.parametrize("settings", [{"gram": "clip"}, {"frames": 1}, {"frames": 2.5}, {"frames": True}])
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(UserError, match=next(iter(settings))):
        GramSimilarity([("s", "t")], **settings)


def test_gradient() -> None:
    student = torch.randn(2, 2, 5, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(2, 3, 7, dtype=torch.float64)
    for gram in ("frames", "batch"):
        assert torch.autograd.gradcheck(
            lambda s, gram=gram: distance(s, teacher, gram=gram, frames=4), student
        )
