"""Gains over a baseline, by hand and against the plain difference of means."""

import csv
import io
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.common.settings import check_settings
from sedistill.workflows.reproducing.cells import block
from sedistill.workflows.reproducing.gains import Gain, gain_lines, gains_csv
from sedistill.workflows.reproducing.report_text import gain_table, gain_text, reading, teacher_sentences
from sedistill.workflows.reproducing.table import Table

from .conftest import TABLE
from .test_cells import evaluation

NAN = math.nan


def table(**view: Any) -> Table:
    """The row l2 over the row alone; the paper's gain is 0.5."""
    views = {"test": {"title": "T", "set": "test", "metrics": ["si_sdr"], **view}}
    rows = [
        {"key": "alone", "label": "Alone", "recipe": "a", "paper": {"test": [7.0]}},
        {"key": "l2", "label": "L2", "recipe": "b", "baseline": "alone", "paper": {"test": [7.5]}},
        {"key": "quoted", "label": "Quoted", "baseline": "alone", "paper": {"test": [9.0]}},
    ]
    if "groups" in view:
        rows = [{**row, "paper": {}} for row in rows]
    return check_settings(Table, {**TABLE, "views": views, "rows": rows}, "t")


def test_by_hand() -> None:
    scores = {
        "alone": {0: {"test": evaluation([1.0, 2.0])}, 1: {"test": evaluation([0.0, 4.0])}},
        "l2": {0: {"test": evaluation([2.0, 2.0])}, 1: {"test": evaluation([3.0, 5.0])}},
    }
    given_table = table()
    one = block("test", given_table, scores, {}, {})
    (line,) = gain_lines(one, given_table, scores)
    gain = line.gains[0]
    assert (line.row.key, line.baseline.key) == ("l2", "alone")
    # Clip 0 gains 1 and 3, clip 1 gains 0 and 1: over seeds 2 and 0.5, whose deviation is 1.5 / sqrt(2).
    assert list(gain.by_seed) == [0.5, 2.0]
    assert (gain.ours, gain.paper, gain.clips) == (1.25, 0.5, 2)
    assert gain.error == pytest.approx(0.75)
    shown = gain_table(one, [line])
    assert shown.header == ["", "over", "SI-SDR, dB"]
    assert shown.rows == [["L2", "Alone", "+1.25 ± 0.75 [+0.50, +2.00] (+0.50)"]]
    (row,) = csv.DictReader(io.StringIO(gains_csv([(one, [line])])))
    assert (row["row"], row["baseline"], row["seeds"], row["gain"]) == ("l2", "alone", "2", "1.25")
    assert "One within two standard errors" in " ".join(
        reading(given_table, "small", given_table.scales["small"], [one])
    )


def test_clips_that_share_recordings_have_the_error_between_them() -> None:
    # Gains 1 2 3 3 4 5 of utterances a a b b c c and noises x x x y y y: 1, as tests of clusters work out.
    scores = {
        "alone": {0: {"test": evaluation([0.0] * 6)}},
        "l2": {0: {"test": evaluation([1, 2, 3, 3, 4, 5])}},
    }
    for by_seed in scores.values():
        for row in by_seed[0]["test"].clips:
            place = [other.clip for other in by_seed[0]["test"].clips if other.model == row.model].index(
                row.clip
            )
            row.utterance, row.noise_recording = "aabbcc"[place], "xxxyyy"[place]
    given_table = table()
    (line,) = gain_lines(block("test", given_table, scores, {}, {}), given_table, scores)
    assert line.gains[0].error == pytest.approx(1.0)


def test_only_seeds_and_clips_of_both_count() -> None:
    scores = {
        "alone": {0: {"test": evaluation([1.0, 2.0, 3.0])}},
        "l2": {0: {"test": evaluation([2.0, NAN, 5.0])}, 1: {"test": evaluation([9.0, 9.0, 9.0])}},
    }
    one = block("test", table(), scores, {}, {})
    gain = gain_lines(one, table(), scores)[0].gains[0]
    assert (list(gain.by_seed), gain.clips) == ([1.5], 2)


def test_no_gain_without_a_baseline_that_is_there() -> None:
    scores = {"l2": {0: {"test": evaluation([2.0])}}}
    assert gain_lines(block("test", table(), scores, {}, {}), table(), scores) == []
    deviations = table(statistic="sd")
    assert gain_lines(block("test", deviations, scores, {}, {}), deviations, scores) == []


def test_in_the_papers_unit() -> None:
    scores = {"alone": {0: {"test": evaluation([5.0])}}, "l2": {0: {"test": evaluation([6.0])}}}
    percent = table(metrics=["stoi"], percent=["stoi"])
    (gain,) = gain_lines(block("test", percent, scores, {}, {}), percent, scores)[0].gains
    assert gain.ours == pytest.approx(10.0)
    assert math.isnan(gain.error), "one clip has no standard error"


def test_tables_by_group_show_no_gains() -> None:
    scores = {"alone": {0: {"test": evaluation([5.0])}}, "l2": {0: {"test": evaluation([6.0])}}}
    grouped = table(by="snr", groups=["5 dB"])
    assert gain_lines(block("test", grouped, scores, {}, {}), grouped, scores) == []


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=2, max_size=9))
def test_the_gain_is_the_difference_of_the_means(values: list[tuple[float, float]]) -> None:
    before, after = (list(column) for column in zip(*values, strict=True))
    scores = {"alone": {0: {"test": evaluation(before)}}, "l2": {0: {"test": evaluation(after)}}}
    one = block("test", table(), scores, {}, {})
    gain = gain_lines(one, table(), scores)[0].gains[0]
    assert gain.ours == pytest.approx(one.lines[1].cells[0].ours - one.lines[0].cells[0].ours, abs=1e-9)
    differences = np.array(after) - np.array(before)
    assert gain.error == pytest.approx(differences.std(ddof=1) / math.sqrt(len(values)), abs=1e-9)


def test_in_words() -> None:
    assert gain_text(Gain([], NAN, 0, 0.5), 2) == "–"
    assert gain_text(Gain([0.5], NAN, 1, NAN), 2) == "+0.50"
    assert gain_text(Gain([-0.5], 0.125, 9, -0.5), 3) == "-0.500 ± 0.125 (-0.500)"


@pytest.mark.parametrize("baseline", ["nobody", "l2"])
def test_a_baseline_is_another_row(baseline: str) -> None:
    rows = [{"key": "l2", "label": "L2", "recipe": "b", "baseline": baseline}]
    with pytest.raises(UserError, match=f"row l2: its baseline {baseline} is no other row"):
        check_settings(Table, {**TABLE, "rows": rows}, "t")


def test_a_teacher_that_is_not_ahead_is_told() -> None:
    one_table = check_settings(
        Table,
        {
            **TABLE,
            "views": {"test": {"title": "T", "set": "test", "metrics": ["si_sdr"]}},
            "rows": [
                {"key": "teacher", "label": "The teacher", "recipe": "t"},
                {"key": "alone", "label": "Alone", "recipe": "a"},
                {"key": "l2", "label": "L2", "recipe": "b", "baseline": "alone"},
                {"key": "l2-more", "label": "L2 more", "recipe": "c", "baseline": "l2"},
            ],
        },
        "t",
    )
    teachers = {"l2": "teacher", "l2-more": "teacher"}
    scores = {key: {0: {"test": evaluation([5.0])}} for key in ("alone", "l2", "l2-more")}

    def told(teacher: float) -> list[str]:
        scores["teacher"] = {0: {"test": evaluation([teacher])}}
        return teacher_sentences(block("test", one_table, scores, {}, {}), teachers)

    assert told(5.1) == []
    (sentence,) = told(4.9)
    assert sentence.startswith("T: in SI-SDR The teacher is not ahead of Alone; ")
    del scores["teacher"]
    assert teacher_sentences(block("test", one_table, scores, {}, {}), teachers) == []
