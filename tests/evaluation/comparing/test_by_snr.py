"""Differences within ranges of SNR: by hand, and all ranges together are the whole."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.evaluation.comparing.alignment import AlignedSet
from sedistill.evaluation.comparing.by_snr import by_snr_csv, differences_by_snr
from sedistill.evaluation.comparing.comparison import compare_methods
from tests.evaluation.comparing.test_comparison import aligned, made_up, row_of


def ranged(one: AlignedSet, labels: list[str]) -> AlignedSet:
    one.snr_ranges = {label: np.array(labels) == label for label in dict.fromkeys(labels)}
    return one


def test_by_hand() -> None:
    """kd - alone is 1, 3 | 2 with seed 0 and 3, 3 | 4 with seed 1: 2, 3 at 0 dB and 3 at 5 dB."""
    one = aligned({"alone": {0: [1, 1, 1], 1: [0, 1, 0]}, "kd": {0: [2, 4, 3], 1: [3, 4, 4]}})
    comparison = compare_methods([ranged(one, ["0 dB", "0 dB", "5 dB"])])
    low, high = differences_by_snr(comparison, one, "si_sdr", "kd")
    assert (low.snr, low.test.n, low.test.mean) == ("0 dB", 2, 2.5)
    assert low.test.high - low.test.mean == pytest.approx(
        12.7062 * 0.5, rel=1e-4
    )  # t of one degree of freedom
    assert (high.snr, high.test.n, high.test.mean) == ("5 dB", 1, 3.0)
    assert np.isnan(high.test.low)
    lines = list(csv.DictReader(io.StringIO(by_snr_csv(comparison))))
    assert [(line["snr"], float(line["difference"]), line["low"] != "") for line in lines] == [
        ("0 dB", 2.5, True), ("5 dB", 3.0, False),
    ]  # fmt: skip


@given(seed=st.integers(0, 1000), labels=st.lists(st.sampled_from("abc"), min_size=12, max_size=12))
def test_the_ranges_together_are_the_whole(seed: int, labels: list[str]) -> None:
    one = ranged(made_up(seeds=2, seed=seed), labels)
    comparison = compare_methods([one])
    found = differences_by_snr(comparison, one, "si_sdr", "kd")
    if len(set(labels)) == 1:
        assert found == []
        return
    assert sum(part.test.n for part in found) == 12
    together = sum(part.test.n * part.test.mean for part in found) / 12
    assert together == pytest.approx(row_of(comparison, "kd").over_clips.mean)


def test_an_undefined_clip_is_left_out_of_its_range() -> None:
    one = aligned({"alone": {0: [1, 1, 1, 1]}, "kd": {0: [2, np.nan, 4, 5]}})
    comparison = compare_methods([ranged(one, ["low", "low", "high", "high"])])
    assert [part.test.n for part in differences_by_snr(comparison, one, "si_sdr", "kd")] == [1, 2]
