"""Cells come back as they were, and no spreadsheet runs them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from sedistill.common.csv_files import CsvWriter, csv_text, read_csv, read_rows
from sedistill.common.errors import UserError
from sedistill.common.reading import NAMES

CELLS = st.binary(max_size=12).filter(lambda name: b"\0" not in name).map(os.fsdecode)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=4))
def test_every_name_survives(tmp_path_factory, rows: list[list[str]]) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    with path.open("w", newline="", **NAMES) as file:
        CsvWriter(file).writerows([["a", "b"], *rows])
    assert [row for _, row in read_rows(path, "mend it")] == [["a", "b"], *rows]


def test_plain_rows_are_lines_that_end_in_newline(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        CsvWriter(file).writerows([["a", "b"], ["1\r2", "3"]])
    assert (tmp_path / "a.csv").read_bytes() == b'a,b\n"1\r2",3\n'


@dataclass(frozen=True)
class Row:
    name: str
    count: Annotated[int, Field(ge=0)]
    level: float = 0.0


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("'=x", "''=x"),
        ("\t=1", "'\t=1"),
        ("-3.5", "-3.5"),
        ("+1e-3", "+1e-3"),
        ("-inf", "-inf"),
        (-3.5, "-3.5"),
        ("it's", "it's"),
        ("'quoted'", "'quoted'"),
    ],
)
def test_formulas_are_text_and_numbers_stay_numbers(cell: object, written: str) -> None:
    assert csv_text([["n"], [cell]]) == f"n\n{written}\n"


def test_rows_have_the_types_of_their_class(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("count,added,name\n3,x,=1\n", encoding="utf-8")
    assert read_csv(path, Row, "mend it") == [Row("=1", 3, 0.0)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("name\na\n", "has no column 'count'"),
        ("name,count\na,1\nb,x\n", "line 3: count = x: it must be a whole number"),
        ("name,count\na,1.5\n", "line 2: count = 1.5: it must be a whole number"),
        ("name,count\na,-1\n", "line 2: count = -1: it should be greater than or equal to 0"),
        ("name,count,level\na,1,loud\n", "line 2: level = loud: it must be a number"),
        ("name,count\na\n", "line 2: 1 cells, not 2"),
        ("name,count\na,1,2\n", "line 2: 3 cells, not 2"),
        ("name,count,name\na,1,b\n", "has the column 'name' twice"),
        ('name,count\n"a,1\n', "line 2: unexpected end of data"),
        ("name,count\n" + "a" * 200_000 + ",1\n", "field larger than field limit"),
    ],
)
def test_a_damaged_table_is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "f.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=words) as caught:
        read_csv(path, Row, "mend it")
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith("; mend it.")
