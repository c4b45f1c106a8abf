"""The tables that come with the package: by name from anywhere, listed, copied out and found again."""

from pathlib import Path

import pytest

from sedistill.cli import app
from sedistill.common.errors import UserError
from sedistill.workflows.reproducing.shipped import (
    RECIPES,
    copy_recipes,
    print_table_names,
    shipped_tables,
    table_folder,
)
from sedistill.workflows.reproducing.table import load_table


def test_a_table_goes_by_its_name_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_table(table_folder("dispatch/table1/")).paper == "DISPatch (2025)"
    (tmp_path / "dispatch" / "table1").mkdir(parents=True)
    assert table_folder("dispatch/table1") == Path("dispatch/table1"), "the user's own comes first"


def test_a_name_that_is_none_is_told_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean dispatch/table1"):
        table_folder("dispach/table1")
    with pytest.raises(UserError, match="has several tables; say which: dfkd/table1, dfkd/table2"):
        table_folder("dfkd")
    with pytest.raises(UserError, match="no table and no paper is called kd;"):
        shipped_tables("kd")


def test_tables_are_listed_with_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_table_names(shipped_tables("dfkd"))
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("dfkd/table1  Table I")
    assert second.startswith("dfkd/table2  Table II")
    assert set(shipped_tables("kdrl")) < set(shipped_tables())


def test_a_copy_is_a_table_of_ones_own(tmp_path: Path) -> None:
    place = copy_recipes("dispatch/table2", tmp_path)
    assert place == tmp_path / "dispatch"
    assert load_table(place / "table2") == load_table(RECIPES / "dispatch" / "table2")
    assert {p.relative_to(place) for p in place.rglob("*.yaml")} == {
        p.relative_to(RECIPES / "dispatch") for p in (RECIPES / "dispatch").rglob("*.yaml")
    }
    with pytest.raises(UserError, match="exists already"):
        copy_recipes("dispatch", tmp_path)


def test_the_command_lists_and_copies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> int:
        with pytest.raises(SystemExit) as end:
            app(["recipes", *words])
        return int(str(end.value.code))

    assert run("mv-at/table2") == 0
    assert capsys.readouterr().out.startswith("mv-at/table2  Table 2")
    assert run("mv-at", "-o", str(tmp_path)) == 0
    assert f"sedistill reproduce {tmp_path / 'mv-at'}/TABLE" in capsys.readouterr().out
    assert run("-o", str(tmp_path)) == 2
    assert "say which paper's recipes" in capsys.readouterr().err
    assert run("mv-at", "-o", str(tmp_path)) == 2
    assert "exists already" in capsys.readouterr().err
