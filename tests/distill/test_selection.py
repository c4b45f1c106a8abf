import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sedistill.distill.selection import keep_top


@st.composite
def scores(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Scores with many ties, and in each clip some absent patches."""
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 100_000)))
    levels = draw(st.integers(1, 40))
    score = torch.randint(-levels, levels, shape, generator=generator).float() / 3
    present = torch.rand(shape, generator=generator) < draw(st.floats(0.05, 1.0))
    present[:, 0, 0] = True
    return score, present


def slow(score: Tensor, present: Tensor, keep: float) -> Tensor:
    selected = torch.zeros_like(present)
    for clip in range(len(score)):
        flat = [(-value, i) for i, value in enumerate(score[clip].flatten().tolist())]
        there = [flat[i] for i, is_there in enumerate(present[clip].flatten().tolist()) if is_there]
        m = max(1, min(len(there), math.floor(keep * len(there) + 1e-6)))
        for _, i in sorted(there)[:m]:
            selected[clip].view(-1)[i] = True
    return selected


@given(scores(), st.floats(0.001, 1.0))
def test_exactly_the_top_share_with_stable_ties(given_scores: tuple[Tensor, Tensor], keep: float) -> None:
    assert torch.equal(keep_top(*given_scores, keep), slow(*given_scores, keep))


@given(scores(), st.floats(0.001, 1.0), st.floats(0.001, 1.0))
def test_a_larger_share_never_drops_a_patch(
    given_scores: tuple[Tensor, Tensor], one: float, other: float
) -> None:
    smaller, larger = sorted((one, other))
    assert not (keep_top(*given_scores, smaller) & ~keep_top(*given_scores, larger)).any()


def test_rounding_trap() -> None:
    # 0.29 * 100 is 28.999999999999996
    score = torch.rand(1, 10, 10)
    assert keep_top(score, torch.ones(1, 10, 10, dtype=torch.bool), 0.29).sum() == 29


def test_all_equal_takes_the_first_patch_major() -> None:
    selected = keep_top(torch.zeros(1, 3, 4), torch.ones(1, 3, 4, dtype=torch.bool), 0.5)
    assert selected[0].int().tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]]


def test_at_the_size_of_four_seconds_with_clips_of_different_numbers_of_patches() -> None:
    score = torch.randn(4, 27, 501).round(decimals=1)
    present = torch.rand(4, 27, 501) < torch.tensor([0.2, 0.5, 0.9, 1.0]).view(4, 1, 1)
    assert torch.equal(keep_top(score, present, 0.8), slow(score, present, 0.8))
