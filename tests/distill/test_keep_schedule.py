import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.distill.keep_schedule import share_kept
from sedistill.training.schedule import one_stage, two_stages

shares = st.floats(0.01, 1)


@given(start=shares, end=shares, one=st.floats(0, 1), other=st.floats(0, 1))
def test_goes_from_start_to_end_and_never_back(start: float, end: float, one: float, other: float) -> None:
    for schedule in ("linear", "cosine"):
        assert share_kept(schedule, start, end, 0.0) == start
        assert share_kept(schedule, start, end, 1.0) == end
        sooner, later = (share_kept(schedule, start, end, done) for done in sorted((one, other)))
        assert min(start, end) <= sooner <= max(start, end)
        assert sooner <= later + 1e-12 if start < end else sooner >= later - 1e-12


def test_by_hand() -> None:
    assert share_kept("linear", 1.0, 0.5, 0.25) == 0.875
    assert share_kept("cosine", 1.0, 0.5, 0.5) == pytest.approx(0.75)
    assert share_kept("constant", 1.0, 0.5, None) == share_kept("positive_gaps", 1.0, 0.5, None) == 0.5
    with pytest.raises(ValueError, match="needs share_done"):
        share_kept("linear", 1.0, 0.5, None)


@given(kd_steps=st.integers(1, 50), more=st.integers(1, 50))
def test_the_share_done_of_a_stage_goes_from_0_to_1(kd_steps: int, more: int) -> None:
    planned = kd_steps + more
    for stage in (*one_stage(1, 1), *two_stages(kd_steps, 1, 1)):
        steps = range(stage.start + 1, (stage.end or planned) + 1)
        shares = [stage.share_done(step, planned) for step in steps]
        assert shares == sorted(shares)
        assert shares[0] == 0
        assert shares[-1] == (1 if len(shares) > 1 else 0)
    assert one_stage(1, 1)[0].share_done(planned + 7, planned) == 1  # of a plateau that was given more
