"""Means with n and spread, improvements, SNR ranges, and the files they are kept in."""

import csv
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.errors import UserError
from sedistill.evaluation.scores import (
    NOISY,
    ClipScore,
    SetScores,
    Statistic,
    full_cell,
    load_scores,
    summary_text,
    write_scores,
)

NAN = math.nan


def row(model: str, clip: str, snr_db: float, si_sdr: float, reason: str = "") -> ClipScore:
    reasons = {"si_sdr": reason} if reason else {}
    return ClipScore(model, clip, 2.0, snr_db, "babble", {"si_sdr": si_sdr}, reasons)


@pytest.fixture
def scores() -> SetScores:
    """Four clips at 2, 4, 12 and 15 dB; the model has no score on the last."""
    return SetScores(
        "test",
        ["si_sdr"],
        [
            row(NOISY, "a", 2.0, 2.0),
            row(NOISY, "b", 4.0, 4.0),
            row(NOISY, "c", 12.0, 12.0),
            row(NOISY, "d", 14.9999, 15.0),
            row("student", "a", 2.0, 5.0),
            row("student", "b", 4.0, 9.0),
            row("student", "c", 12.0, 13.0),
            row("student", "d", 14.9999, NAN, "the estimate is silent"),
        ],
        {"metrics": {"si_sdr": "SI-SDR"}, "level_correction": "on", "models": {}},
    )


def test_a_mean_says_over_how_many_clips() -> None:
    statistic = Statistic.over([1.0, 3.0, NAN])
    assert (statistic.mean, statistic.n, statistic.of) == (2.0, 2, 3)
    assert statistic.sd == pytest.approx(math.sqrt(2.0))
    nothing = Statistic.over([NAN])
    assert math.isnan(nothing.mean)
    assert (nothing.n, nothing.of) == (0, 1)


@given(st.lists(st.floats(-100, 100), min_size=2), st.integers(0, 5))
def test_undefined_clips_change_n_and_nothing_else(values: list[float], undefined: int) -> None:
    all_defined = Statistic.over(values)
    with_holes = Statistic.over([*values, *[NAN] * undefined])
    assert (with_holes.mean, with_holes.sd, with_holes.n) == (all_defined.mean, all_defined.sd, len(values))
    assert with_holes.of == len(values) + undefined


def test_improvement_is_paired_with_the_same_noisy_clip(scores: SetScores) -> None:
    gain = scores.improvement_statistic("student", "si_sdr")
    assert (gain.mean, gain.n, gain.of) == (3.0, 3, 4)  # 3, 5 and 1 dB; clip d takes no part
    assert scores.mean("student", "si_sdr") == 9.0
    assert scores.improvement_statistic(NOISY, "si_sdr").mean == 0.0


def test_ranges_of_snr(scores: SetScores) -> None:
    assert scores.snr_bins == ["0 to 5 dB", "10 to 15 dB", "15 to 20 dB"]
    assert scores.statistic("student", "si_sdr", "0 to 5 dB").mean == 7.0
    assert scores.statistic("student", "si_sdr", "15 to 20 dB").of == 1  # 14.9999 was mixed at 15
    total = sum(scores.statistic("student", "si_sdr", snr).of for snr in scores.snr_bins)
    assert total == scores.statistic("student", "si_sdr").of


def test_wide_ranges_of_snr_get_wide_bins_and_unknown_ones_a_bin_of_their_own() -> None:
    clips = [row(NOISY, str(snr), snr, 0.0) for snr in (-20.0, 25.0, math.inf, NAN)]
    assert SetScores("x", ["si_sdr"], clips, {}).snr_bins == ["-20 to -10 dB", "20 to 30 dB", "SNR unknown"]


def test_cells_name_missing_clips(scores: SetScores) -> None:
    assert full_cell(scores, "student", "si_sdr") == "9.00 [n = 3 of 4] ± 4.00 (+3.00)"
    assert full_cell(scores, NOISY, "si_sdr") == "8.25 ± 6.24"


def test_the_summary_says_why_a_clip_is_missing(scores: SetScores) -> None:
    text = summary_text(scores)
    assert "n = 3 of 4" in text
    assert "SI-SDR of student on d: the estimate is silent" in text
    assert "| student | 7.00 | 13.00 | - [n = 0 of 1] |" in text


def test_what_is_written_is_read_back(scores: SetScores, tmp_path: Path) -> None:
    place = tmp_path / "test"
    place.mkdir()
    write_scores(place, scores)
    for folder in (tmp_path, place):
        read = load_scores(folder)["test"]
        assert repr(read) == repr(scores)  # NaN included
    with (place / "summary.csv").open() as file:
        lines = list(csv.DictReader(file))
    overall = next(line for line in lines if line["model"] == "student" and line["snr"] == "all")
    assert (overall["n"], overall["of"], overall["mean"], overall["improvement"]) == ("3", "4", "9.0", "3.0")


def test_a_folder_that_is_no_evaluation_is_named(tmp_path: Path, scores: SetScores) -> None:
    with pytest.raises(UserError, match="holds no evaluation"):
        load_scores(tmp_path)
    write_scores(tmp_path, scores)
    (tmp_path / "clips.csv").unlink()
    with pytest.raises(UserError, match="is not a whole evaluation"):
        load_scores(tmp_path)
