"""Cells come back as they were."""

import csv
import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sedistill.csv_files import csv_writer
from sedistill.reading import NAMES

CELLS = st.binary(max_size=12).filter(lambda name: b"\0" not in name).map(os.fsdecode)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=3), min_size=1, max_size=4))
def test_every_name_survives(tmp_path_factory, rows: list[list[str]]) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    with path.open("w", newline="", **NAMES) as file:
        csv_writer(file).writerows(rows)
    with path.open(newline="", **NAMES) as file:
        assert list(csv.reader(file)) == rows


def test_plain_rows_are_lines_that_end_in_newline(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv_writer(file).writerows([["a", "b"], ["1\r2", "3"]])
    assert (tmp_path / "a.csv").read_bytes() == b'a,b\n"1\r2",3\n'
