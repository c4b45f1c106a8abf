"""table.yaml: what is refused, in one sentence that names the place."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from sedistill.common.errors import UserError
from sedistill.common.settings import check_settings
from sedistill.workflows.reproducing.table import Table, load_table

from .conftest import TABLE


def changed(*keys: Any, value: Any) -> dict[str, Any]:
    """The tiny table with one value set."""
    table = copy.deepcopy(TABLE)
    place: Any = table
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return table


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (changed("rows", 1, "key", value="teacher"), "two rows have the key teacher"),
        (
            changed("rows", 1, "paper", value={"test": [1.0, 2.0]}),
            "row alone, view test: 2 numbers, 1 columns",
        ),
        (changed("rows", 1, "paper", value={"tset": [1.0]}), "row alone: there is no view tset"),
        (changed("rows", 1, "recipy", value="x"), "unknown key rows.1.recipy; did you mean recipe?"),
        (changed("views", "test", "metrics", value=["pesk"]), "there is no metric 'pesk'"),
        (changed("views", "test", "set", value="other"), "there is no set other at full scale"),
        (changed("views", "test", "statistic", value="t_test"), "`against` goes with t_test"),
        (changed("views", "test", "statistic", value="size"), "`set` and `metrics` go with mean"),
        (changed("views", "test", "by", value="snr"), "`by` and `groups` go together"),
        (changed("views", "test", "rows", value=["nobody"]), "view test: there is no row nobody"),
        (changed("scales", "small", "sets", "test", "corpus", value="other"), "is not among corpora"),
        (changed("scales", "small", "sets", "test", "pairs", value="p"), "give one of them"),
        (
            changed("scales", "full", "corpora", "speech", "layout", value="dns2021"),
            "unknown layout 'dns2021'",
        ),
        (changed("scales", "tiny", value={}), "scales"),
    ],
)
def test_a_mistake_is_named(table: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_settings(Table, table, "table.yaml")


def test_folders_that_hold_no_table_are_refused(paper: Path) -> None:
    with pytest.raises(UserError, match=r"has no table.yaml; it holds the tables table1"):
        load_table(paper)
    empty = paper / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match=r"has no table.yaml; give a folder"):
        load_table(empty)


def test_columns_are_in_the_order_of_the_papers_numbers() -> None:
    views = {
        "snr": {
            "title": "s",
            "set": "test",
            "metrics": ["stoi", "si_sdr"],
            "by": "snr",
            "groups": ["0 dB", "5 dB"],
        },
        "t": {"title": "t", "set": "test", "metrics": ["stoi"], "statistic": "t_test", "against": "alone"},
        "size": {"title": "z", "statistic": "size"},
    }
    table = check_settings(Table, {**TABLE, "views": views, "rows": [{"key": "alone", "label": "A"}]}, "t")
    assert table.views["snr"].columns == [
        ("stoi", "0 dB"), ("si_sdr", "0 dB"), ("stoi", "5 dB"), ("si_sdr", "5 dB"),
    ]  # fmt: skip
    assert table.views["t"].columns == [("stoi:t", ""), ("stoi:p", "")]
    assert table.views["size"].columns == [("parameters", ""), ("macs", "")]


def test_a_base_gives_what_tables_share(paper: Path) -> None:
    table = yaml.safe_load((paper / "table1" / "table.yaml").read_text())
    scales = table.pop("scales")
    (paper / "scales.yaml").write_text(yaml.safe_dump({"scales": scales}))
    (paper / "table1" / "table.yaml").write_text(yaml.safe_dump({"base": "../scales.yaml", **table}))
    assert load_table(paper / "table1") == check_settings(Table, TABLE, "t")


def test_noisy_sound_has_scores_and_no_size() -> None:
    table = changed("views", "size", value={"title": "Size", "statistic": "size"})
    table["rows"].insert(0, {"key": "noisy", "label": "Noisy"})
    one = check_settings(Table, table, "t")
    assert [row.key for row in one.shown("test")][:2] == ["noisy", "teacher"]
    assert [row.key for row in one.shown("size")] == ["teacher", "alone", "l2", "quoted"]
