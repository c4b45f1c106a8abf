"""Ours beside the paper's, by hand from made-up evaluations."""

import csv
import io
import math
from typing import Any

import numpy as np
import pytest

from sedistill.common.settings import check_settings
from sedistill.evaluation.scores import NOISY, ClipScore, SetScores
from sedistill.workflows.reproducing.cells import (
    Cell,
    block,
    digits_of,
    label_of,
    numbers_csv,
    two_sample_t_test,
)
from sedistill.workflows.reproducing.report_text import (
    cell_text,
    noisy_first,
    reading,
    seed_sentences,
    text_table,
)
from sedistill.workflows.reproducing.table import Scale, Table, View

from .conftest import TABLE


def evaluation(
    values: list[float], snrs: list[float] | None = None, noises: list[str] | None = None
) -> SetScores:
    """Scores of one network on clips whose noisy input scores 0."""
    rows = []
    for model, scores in ((NOISY, [0.0] * len(values)), ("student", values)):
        for number, value in enumerate(scores):
            snr_db = snrs[number] if snrs else 5.0
            noise = noises[number] if noises else ""
            rows.append(
                ClipScore(model, f"c{number}", 1.0, snr_db, noise, {"si_sdr": value, "stoi": value / 10})
            )
    return SetScores("test", ["si_sdr", "stoi"], rows, {"models": {}})


def table(**view: Any) -> Table:
    views = {"test": {"title": "T", "set": "test", "metrics": ["si_sdr"], **view}}
    rows = [{**row, "paper": {}} for row in TABLE["rows"]]
    return check_settings(Table, {**TABLE, "views": views, "rows": rows}, "t")


def with_paper(given: Table, **numbers: list[float | None]) -> Table:
    rows = [row.model_copy(update={"paper": {"test": numbers.get(row.key, [])}}) for row in given.rows]
    return given.model_copy(update={"rows": rows})


def test_mean_spread_and_difference_by_hand() -> None:
    given = with_paper(noisy_first(table()), alone=[7.0], quoted=[5.0])
    scores = {
        "noisy": {0: {"test": SetScores("test", ["si_sdr"], evaluation([1.0, 2.0]).clips[:2], {})}},
        "alone": {0: {"test": evaluation([6.0, 8.0])}, 1: {"test": evaluation([9.0, 11.0])}},
    }
    one = block("test", given, scores, {}, {})
    lines = {line.row.key: line for line in one.lines}
    assert list(lines) == ["noisy", "teacher", "alone", "l2", "quoted"]
    alone = lines["alone"].cells[0]
    assert list(alone.by_seed) == [7.0, 10.0]
    assert (alone.ours, alone.paper, alone.difference) == (8.5, 7.0, 1.5)
    assert alone.spread == pytest.approx(1.5 * math.sqrt(2))
    assert (lines["alone"].seeds, lines["alone"].clips) == (2, 2)
    assert lines["noisy"].cells[0].ours == 0.0
    assert lines["noisy"].seeds == 0
    assert math.isnan(lines["l2"].cells[0].ours)
    text = text_table(one, given.scales["small"])
    assert text.header == ["", "seeds", "SI-SDR, dB"]
    assert [row[-1] for row in text.rows] == ["0.00", "–", "8.50 ± 2.12 (7.00, +1.50)", "–", "– (5.00)"]
    assert text.note == "A few mixtures, 2 clips."
    lacking = text_table(one, given.scales["small"], missing=True)
    assert lacking.note == "A few mixtures; not scored, as it is not there."


def test_cells_in_words() -> None:
    nan = math.nan
    assert cell_text(Cell([2.5], 3.0), 2) == "2.50 (3.00, -0.50)"
    assert cell_text(Cell([2.5], nan), 2) == "2.50"
    assert cell_text(Cell([2.5], 3.0, 298, 300), 2) == "2.50 (3.00, -0.50) [298 of 300 clips]"
    assert cell_text(Cell([], nan, 0, 3), 2) == "– [0 of 3 clips]"
    assert cell_text(Cell([2.5], nan, 3, 3), 2) == "2.50"
    assert cell_text(Cell([], 3.0), 1) == "– (3.0)"
    assert cell_text(Cell([], nan), 1) == "–"
    assert cell_text(Cell([1.0, 3.0], nan), 1) == "2.0 ± 1.4"


def test_percent_is_the_papers_unit() -> None:
    given = with_paper(table(metrics=["stoi"], percent=["stoi"]), alone=[96.0])
    one = block("test", given, {"alone": {0: {"test": evaluation([9.5, 9.7])}}}, {}, {})
    cell = one.lines[1].cells[0]
    assert cell.ours == pytest.approx(96.0)
    assert label_of(one.view, ("stoi", "")) == "STOI (%)"
    assert digits_of(one.view, ("stoi", "")) == 2


def test_a_mean_that_leaves_clips_out_says_so() -> None:
    scores = {
        "alone": {0: {"test": evaluation([1.0, math.nan, 3.0])}, 1: {"test": evaluation([1.0, 2.0, 3.0])}},
    }
    one = block("test", table(), scores, {}, {})
    cell = one.lines[1].cells[0]
    assert (cell.ours, cell.clips, cell.of) == (2.0, 2, 3)
    assert cell_text(cell, 1).endswith("[2 of 3 clips]")
    told = {row["row"]: row["clips"] for row in csv.DictReader(io.StringIO(numbers_csv([one])))}
    assert told["alone"] == "2"
    assert any("undefined on the others" in text for text in reading(table(), "full", Scale(), [one]))
    whole = block("test", table(), {"alone": {0: {"test": evaluation([1.0, 2.0])}}}, {}, {})
    assert not any("undefined on the others" in text for text in reading(table(), "full", Scale(), [whole]))


def test_groups_by_snr_and_by_noise() -> None:
    values, snrs = [1.0, 2.0, 3.0, 5.0], [-5.0, -5.0, 5.0, 5.0]
    scores = {"alone": {0: {"test": evaluation(values, snrs, ["a", "b", "a", "b"])}}}
    by_snr = with_paper(table(by="snr", groups=["-5 dB", "5 dB"]), alone=[1.0, 4.5])
    cells = block("test", by_snr, scores, {}, {}).lines[1].cells
    assert [(cell.ours, cell.paper) for cell in cells] == [(1.5, 1.0), (4.0, 4.5)]
    by_noise = with_paper(table(by="noise", groups=["b", "c"]), alone=[1.0, 2.0])
    cells = block("test", by_noise, scores, {}, {}).lines[1].cells
    assert cells[0].ours == 3.5
    assert math.isnan(cells[1].ours), "a noise of the paper's that our set lacks"


def test_other_groups_than_the_papers_stand_without_its_numbers() -> None:
    given = with_paper(table(by="noise", groups=["pink", "volvo"]), alone=[1.0, 2.0])
    scores = {"alone": {0: {"test": evaluation([1.0, 2.0, 3.0], noises=["a", "b", "b"])}}}
    one = block("test", given, scores, {}, {})
    assert one.columns == [("si_sdr", "a"), ("si_sdr", "b")]
    assert [cell.ours for cell in one.lines[1].cells] == [1.0, 2.5]
    assert all(math.isnan(cell.paper) for cell in one.lines[1].cells)
    assert "other groups than the paper" in text_table(one, given.scales["small"]).note
    nothing = block("test", given, {}, {}, {})
    assert nothing.columns == one.view.columns, "without numbers of ours the paper's columns stay"


def test_standard_deviation_over_clips() -> None:
    given = with_paper(table(statistic="sd"), alone=[1.0])
    one = block("test", given, {"alone": {0: {"test": evaluation([1.0, 3.0])}}}, {}, {})
    assert one.lines[1].cells[0].ours == pytest.approx(math.sqrt(2))


def test_the_t_test_is_the_papers() -> None:
    """KDRL's tables 13 and 14 follow from the means and deviations of its table 12, over 824 clips each."""

    def clips(mean: float, sd: float) -> np.ndarray:
        around = np.random.default_rng(0).standard_normal(824)
        return mean + sd * (around - around.mean()) / around.std(ddof=1)

    found = two_sample_t_test(clips(2.640, 0.631), clips(2.523, 0.596))
    assert found["t"] == pytest.approx(3.866, abs=0.01)
    assert found["p"] == pytest.approx(1e-4, abs=5e-5)
    assert two_sample_t_test(clips(18.639, 3.804), clips(18.116, 3.977))["t"] == pytest.approx(
        2.726, abs=0.005
    )
    assert two_sample_t_test(clips(2.589, 0.608), clips(2.523, 0.596))["p"] == pytest.approx(0.025, abs=0.002)


def test_the_t_test_by_hand() -> None:
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0])
    # means 2 and 3, pooled variance (2 + 2) / 3, so t = -1 / sqrt(4/3 * 5/6)
    assert two_sample_t_test(a, b)["t"] == pytest.approx(-1 / math.sqrt(10 / 9))
    # with 3 degrees of freedom p = 1 - 2 / pi (atan(|t| / sqrt 3) + |t| sqrt 3 / (3 + t^2))
    angle, rest = math.atan(math.sqrt(0.3)), math.sqrt(0.9) * math.sqrt(3) / 3.9
    assert two_sample_t_test(a, b)["p"] == pytest.approx(1 - 2 / math.pi * (angle + rest))
    assert math.isnan(two_sample_t_test(a, b[:1])["t"])
    assert math.isnan(two_sample_t_test(np.ones(3), np.ones(3))["p"])


def test_a_t_test_view_compares_with_its_row() -> None:
    given = table(statistic="t_test", against="alone")
    scores = {
        "alone": {0: {"test": evaluation([1.0, 2.0, 3.0])}, 1: {"test": evaluation([0.0, 1.0, 5.0])}},
        "l2": {0: {"test": evaluation([2.0, 4.0, 6.0])}},
    }
    one = block("test", given, scores, {}, {})
    lines = {line.row.key: line for line in one.lines}
    expected = two_sample_t_test(np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0]))
    assert [cell.ours for cell in lines["l2"].cells] == [expected["t"], expected["p"]]
    assert math.isnan(lines["alone"].cells[0].ours)
    assert "against Alone" in text_table(one, given.scales["small"]).note


def test_sizes_and_ratios() -> None:
    views = {"size": {"title": "S", "statistic": "size"}, "ratio": {"title": "R", "statistic": "ratio"}}
    rows = [{"key": "alone", "label": "A", "recipe": "x", "paper": {"size": [1.75, None], "ratio": [0.4]}}]
    given = check_settings(Table, {**TABLE, "views": views, "rows": rows}, "t")
    size = block("size", given, {}, {"alone": {"parameters": 1.7515, "macs": 1.012}}, {})
    assert [cell.ours for cell in size.lines[0].cells] == [1.7515, 1.012]
    assert text_table(size, given.scales["small"]).rows == [["A", "1.752 (1.750, +0.002)", "1.01"]]
    ratio = block("ratio", given, {}, {}, {"alone": {0: {"ratio": 0.3}, 1: {"ratio": 0.4}}})
    assert text_table(ratio, given.scales["small"]).rows == [["A", "2", "0.35 ± 0.07 (0.40, -0.05)"]]


def test_the_csv_has_every_number_in_full() -> None:
    given = with_paper(table(), alone=[7.0])
    one = block("test", given, {"alone": {0: {"test": evaluation([1.0, 1.1])}}}, {}, {})
    rows = list(csv.DictReader(io.StringIO(numbers_csv([one]))))
    alone = next(row for row in rows if row["row"] == "alone")
    assert float(alone["ours"]) == 1.05
    assert (alone["paper"], alone["spread_over_seeds"], alone["by_seed"]) == ("7.0", "", "1.05")
    assert float(alone["difference"]) == pytest.approx(-5.95)
    assert next(row for row in rows if row["row"] == "l2")["ours"] == ""


def test_what_the_number_of_seeds_forbids_is_said() -> None:
    given = table()
    one_seed = {"teacher": {0: {"test": evaluation([1.0])}}, "alone": {0: {"test": evaluation([1.0])}}}
    three = {**one_seed, "alone": {seed: {"test": evaluation([1.0])} for seed in range(3)}}
    only_teacher = {"teacher": one_seed["teacher"]}
    assert "One seed: " in seed_sentences([block("test", given, one_seed, {}, {})])[0]
    assert "3 seeds: " in seed_sentences([block("test", given, three, {}, {})])[0]
    assert seed_sentences([block("test", given, only_teacher, {}, {})]) == []


def test_the_reading_marks_the_small_scale_and_names_notes() -> None:
    given = table()
    blocks = [block("test", given, {}, {}, {})]
    small = reading(given, "small", given.scales["small"], blocks)
    assert small[0].startswith("Small scale: ")
    assert "L2: Remarkable." in small
    assert not reading(given, "full", given.scales["full"], blocks)[0].startswith("Small scale")


def test_the_noisy_row_is_added_where_it_says_something() -> None:
    added = noisy_first(table(rows=["alone"]))
    assert [row.key for row in added.shown("test")] == ["noisy", "alone"]
    assert noisy_first(added) is added
    views = {"size": {"title": "S", "statistic": "size"}}
    sizes = check_settings(Table, {**TABLE, "views": views, "rows": [{"key": "a", "label": "A"}]}, "t")
    assert noisy_first(sizes) is sizes
    assert View(title="S", statistic="size").columns[0][0] == "parameters"
