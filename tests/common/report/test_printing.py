"""Tables on a terminal: whole where they fit, else in parts side by side, and no number is cut."""

import pytest

from sedistill.common.report.document import TextTable
from sedistill.common.report.printing import fitting, print_tables

TABLE = TextTable(
    ["", *(f"method {number}" for number in range(9))],
    [[metric, *(f"c {number / 7:+.3f} ± 0.012" for number in range(9))] for metric in ("WB-PESQ", "STOI")],
    "A note.",
)


def test_parts_fit_and_hold_every_column_once() -> None:
    parts = fitting(TABLE, 80)
    assert [name for part in parts for name in part.header[1:]] == TABLE.header[1:]
    assert [cell for part in parts for cell in part.rows[1][1:]] == TABLE.rows[1][1:]
    assert all([row[0] for row in part.rows] == ["WB-PESQ", "STOI"] for part in parts)
    assert len(parts) == 3
    assert len(fitting(TABLE, 1000)) == 1


def test_a_column_that_is_too_wide_alone_stands_alone() -> None:
    wide = TextTable(["", "a", "b"], [["x", "y" * 100, "z"]])
    assert [list(part.header) for part in fitting(wide, 80)] == [["", "a"], ["", "b"]]


def test_long_names_of_rows_are_folded_before_a_table_is_parted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "dispatch/table1/convtasnet-dfkd-dispatch-mssp, seed 0"
    table = TextTable(["run", "steps", "hours"], [[name, "1,234,567", "4.69 (4.50 to 5.20)"]] * 2)
    assert len(fitting(table, 80)) == 1
    assert len(fitting(table, 60)) == 2
    monkeypatch.setattr("sedistill.common.report.printing.NARROWEST_CONSOLE", 80)
    print_tables([("", table)], [])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    folded = "".join(line.split("│")[1].strip() for line in lines if line.startswith("│"))
    assert folded.replace(" ", "") == 2 * name.replace(" ", "")


def test_no_line_is_wider_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sedistill.common.report.printing.NARROWEST_CONSOLE", 80)
    print_tables([("Differences", TABLE)], ["One."])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("part 3 of 3" in line for line in lines)
    assert sum(line.count("± 0.012") for line in lines) == 18
