import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sedistill import MultiScalePatches, UniformPatches
from sedistill.common.errors import UserError
from sedistill.distill.patches import partition

from .reference import multi_scale, uniform


def test_the_paper_s_bands() -> None:
    spectrum = torch.zeros(1, 257, 2)
    for size, bands, top in ((20, 13, 17), (4, 65, 1), (10, 26, 7), (40, 7, 17), (257, 1, 257)):
        counts = partition(UniformPatches(size), spectrum).counts
        assert counts.shape == (1, bands, 2)
        assert counts[0, -1, 0] == top


def test_multi_scale_by_hand() -> None:
    cut = partition(MultiScalePatches(3, 4), torch.zeros(1, 10, 1), torch.tensor([[4]]))
    assert cut.ids[0, :, 0].tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2, 3]
    assert [count for count in cut.counts[0, :, 0].tolist() if count] == [3, 2, 4, 1]
    assert cut.low[0, :4, 0].tolist() == [True, True, False, False]


def test_the_highest_crossover_leaves_a_high_band_of_one_bin() -> None:
    cut = partition(MultiScalePatches(10, 40), torch.zeros(1, 257, 1), torch.tensor([[255]]))
    assert cut.counts[0, :, 0].tolist()[-2:] == [6, 1]
    assert cut.ids[0, -1, 0] == 26


def test_equal_sizes_are_the_uniform_grid() -> None:
    crossover = torch.randint(0, 255, (2, 3))
    ids = partition(MultiScalePatches(20, 20), torch.zeros(2, 257, 3), crossover).ids
    assert torch.equal(ids, partition(UniformPatches(20), torch.zeros(2, 257, 3)).ids)
    assert not MultiScalePatches(20, 20).needs_crossover


@given(st.integers(2, 40), st.integers(1, 15), st.integers(1, 15), st.integers(0, 10_000))
def test_every_partition_agrees_with_the_slow_version(bins: int, low: int, high: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    crossover = torch.randint(0, bins - 1, (2, 3), generator=generator)
    values = torch.rand(2, bins, 3, generator=generator, dtype=torch.float64)
    cases = ((UniformPatches(low), uniform(low)), (MultiScalePatches(low, high), multi_scale(low, high)))
    for patches, slow in cases:
        if patches == MultiScalePatches(low, low):
            slow = uniform(low)
        cut = partition(patches, values, crossover)
        sums = cut.sums(values)
        assert (cut.counts.sum(dim=1) == bins).all()
        for clip in range(2):
            for frame in range(3):
                ids = slow(bins, int(crossover[clip, frame]))
                assert cut.ids[clip, :, frame].tolist() == ids
                for patch in range(cut.counts.shape[1]):
                    members = [f for f in range(bins) if ids[f] == patch]
                    assert cut.counts[clip, patch, frame] == len(members)
                    assert sums[clip, patch, frame].item() == pytest.approx(
                        sum(values[clip, members, frame].tolist())
                    )
        if patches.needs_crossover:
            bin_is_low = torch.arange(bins).view(1, -1, 1) <= crossover.unsqueeze(1)
            assert torch.equal(cut.low.gather(1, cut.ids), bin_is_low)  # no patch straddles


def test_first_use_in_inference_mode_does_not_spoil_training() -> None:
    with torch.inference_mode():
        partition(UniformPatches(7), torch.zeros(1, 31, 2))
    values = torch.rand(1, 31, 2, requires_grad=True)
    partition(UniformPatches(7), values).sums(values).sum().backward()
    assert torch.equal(values.grad, torch.ones_like(values))


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "20"])
def test_impossible_sizes_are_refused(size: int) -> None:
    with pytest.raises(UserError, match="size"):
        UniformPatches(size)
    with pytest.raises(UserError, match="low"):
        MultiScalePatches(size, 40)
    with pytest.raises(UserError, match="high"):
        MultiScalePatches(10, size)
