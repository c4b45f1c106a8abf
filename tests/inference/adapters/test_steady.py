"""Chunks in their own length, late by what is said, whatever they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedistill.inference.adapters.steady import Steady
from sedistill.inference.streaming import Stream
from sedistill.models.saving import load_model
from tests.inference.enhancing.conftest import music

NETWORK = load_model("fastenhancer-t")


@settings(max_examples=10, deadline=None)
@given(sizes=st.lists(st.integers(0, 700), min_size=1, max_size=20), rate=st.sampled_from([16_000, 48_000]))
def test_any_chunks_come_back_late_by_the_latency(sizes: list[int], rate: int) -> None:
    sound = music(sum(sizes), 2, rate).T
    steady = Steady(Stream(NETWORK, rate, resampling="LQ"))
    pieces = np.split(sound, np.cumsum(sizes)[:-1], axis=1)
    got = [steady.process(piece) for piece in pieces]
    assert [piece.shape for piece in got] == [piece.shape for piece in pieces]
    assert steady.shortages == 0
    stream = Stream(NETWORK, rate, resampling="LQ")
    wanted = np.concatenate([stream.process(sound), stream.flush()], axis=1)
    late = int(np.ceil(steady.latency_ms * rate / 1000))
    whole = np.pad(wanted, [(0, 0), (late, 0)])[:, : sound.shape[1]]
    np.testing.assert_allclose(np.concatenate(got, axis=1), whole, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.int16, np.float64])
def test_kinds_are_kept(dtype: type) -> None:
    got = Steady(Stream(NETWORK)).process(np.zeros(1000, dtype))
    assert (got.dtype, got.shape) == (dtype, (1000,))
