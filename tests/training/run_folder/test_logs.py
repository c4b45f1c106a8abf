"""Tables of a run: a kill at any moment loses no row that a checkpoint tells of."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.training.kdrl.ratio_log import read_ratios
from sedistill.training.run_folder import logs
from sedistill.training.run_folder.logs import GrowingTable, RunLog, complete_rows, read_metrics

COLUMNS = ("step", "value")


def table_of(path: Path, steps: int) -> bytes:
    table = GrowingTable(path, COLUMNS)
    table.append((step, f"{step}.25") for step in range(1, steps + 1))
    table.close()
    return path.read_bytes()


def test_a_resume_that_is_killed_while_it_rewrites_the_table_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.csv"
    before = table_of(path, 20)

    class Killed(BaseException): ...

    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(Killed):
        GrowingTable(path, COLUMNS, first_step=10)
    assert path.read_bytes() == before


@given(cut=st.integers(0, 60), first=st.integers(0, 8), tail=st.sampled_from([b"", b"\0\0\0"]))
def test_a_table_cut_anywhere_keeps_its_whole_rows_only(
    cut: int, first: int, tail: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("t") / "table.csv"
    whole = table_of(path, 8)
    path.write_bytes(whole[:cut] + tail)
    rows = whole[:cut].decode().splitlines()[1:]
    complete = rows if whole[:cut].endswith(b"\n") or not rows else rows[:-1]
    expected = [row for row in complete if int(row.split(",")[0]) <= first]
    GrowingTable(path, COLUMNS, first_step=first).close()
    assert [",".join(row) for row in complete_rows(path, COLUMNS)] == (expected if first else [])
    assert path.read_bytes().startswith(b"step,value\n")


def test_the_run_s_readers_pass_over_a_torn_line(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,epoch,name,value\n1,0,se,-2.5\n2,0,se,-2.7")
    (tmp_path / "ratios.csv").write_text("step,clip,ratio\n1,0,0.5\n1,1,0.")
    assert read_metrics(tmp_path) == {"se": [(1, -2.5)]}
    assert read_ratios(tmp_path / "ratios.csv")[2].tolist() == [0.5]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("metrics.csv", "step,epoch,name,value\n1,0,se,-2.5\n2,0,se\n3,0,se,1\n", "line 3: 3 cells, not 4"),
        ("metrics.csv", "step,epoch,name,value\n1,0,se,loud\n", "line 2: value = loud: it must be a number"),
        ("metrics.csv", "step,epoch,name,value\nx,0,se,1\n", "line 2: step = x: it must be a whole number"),
        ("metrics.csv", "date,price\n1,2\n", "has no column 'step'"),
        ("metrics.csv", "step,epoch,name,value\n1,0,se,1\n\0\0\0\n", "holds NUL bytes"),
        ("metrics.csv", "", "is empty"),
        ("ratios.csv", "step,clip,ratio\n1,0,0.5\n1,-1,0.5\n", "line 3: clip = -1"),
        ("ratios.csv", "step,clip,ratio\n1,0,7\n", "line 2: ratio = 7"),
        ("ratios.csv", "step,clip,ratio\n1,0,0.5,3\n", "line 2: 4 cells, not 3"),
        ("ratios.csv", "<html>\n", "has no column 'step'"),
    ],
)
def test_a_row_of_something_else_is_refused_with_its_line(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=f"{name}.*{words}.*; put a good copy") as refused:
        read_metrics(tmp_path) if name == "metrics.csv" else read_ratios(path)
    assert "\n" not in str(refused.value)


def test_names_that_a_spreadsheet_would_run_are_escaped_and_come_back(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.write(1, 0, {"=1+1": -2.5, "a,b": 1.0})
    log.close()
    assert (tmp_path / "metrics.csv").read_text() == 'step,epoch,name,value\n1,0,\'=1+1,-2.5\n1,0,"a,b",1\n'
    RunLog(tmp_path, first_step=1).close()
    assert read_metrics(tmp_path) == {"=1+1": [(1, -2.5)], "a,b": [(1, 1.0)]}


def test_what_a_checkpoint_tells_of_is_on_the_disk_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    log = RunLog(tmp_path)
    log.write(1, 0, {"se": 1.0})
    monkeypatch.setattr(logs.os, "fsync", lambda number: flushed.append(os.fstat(number).st_size))
    log.flush()
    assert flushed == [(tmp_path / "metrics.csv").stat().st_size]
    log.close()


def test_a_row_that_is_no_text_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b"step,value\r\n1,1.25\r\n2,2.\xff\r\n")
    assert complete_rows(tmp_path / "table.csv", COLUMNS) == [["1", "1.25"]]
