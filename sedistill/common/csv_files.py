"""Tables as CSV: what is written comes back cell by cell, with any character in it that a name may have.

A spreadsheet would run a cell of text that begins with `=`, `+`, `-` or `@`; so it gets an apostrophe in
front, which the readers here take off again. Numbers stay numbers.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, TextIO, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from sedistill.common.errors import UserError
from sedistill.common.reading import NAMES, named_reading_errors, require_file, shown
from sedistill.common.setting_faults import plain_fault, value_text

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(nan|inf)")

Number = Annotated[float, BeforeValidator(lambda cell: math.nan if cell == "" else cell)]
"""A number of which a cell may be empty."""

_ROWS_AT_A_TIME = 10_000

R = TypeVar("R")


class UnixLines:
    """For `csv.writer(UnixLines(file), lineterminator="\\r\\n")`: the lines end in \\n all the same.

    Python's writer puts quotes around a cell with \\r in it only where \\r ends its lines, and without quotes
    the reader takes it for the end of a row.
    """

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, row: str) -> int:
        return self.file.write(row.removesuffix("\r\n") + "\n")


class CsvWriter:
    """Writes rows; open `file` with newline="" and, where names are in it, `reading.NAMES`."""

    def __init__(self, file: TextIO) -> None:
        self._writer = csv.writer(UnixLines(file), lineterminator="\r\n")

    def writerow(self, row: Iterable[Any]) -> None:
        self._writer.writerow(map(_safe_cell, row))

    def writerows(self, rows: Iterable[Iterable[Any]]) -> None:
        for row in rows:
            self.writerow(row)


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Rows as CSV, one a line; a name with a line break in it stays one cell."""
    text = io.StringIO(newline="")
    CsvWriter(text).writerows(rows)
    return text.getvalue()


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a header and rows as they come, names among them."""
    with path.open("w", newline="", **NAMES) as file:
        CsvWriter(file).writerows(chain([columns], rows))


def number_text(value: float) -> str:
    """A number in full, empty for NaN."""
    return repr(float(value)) if math.isfinite(value) else ""


def _safe_cell(value: Any) -> Any:
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def as_written(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def read_csv(path: Path | str, kind: type[R], remedy: str) -> list[R]:
    """The rows of a CSV file as dataclasses of `kind`, whose types (and bounds) every cell must have.

    Columns that `kind` does not know are passed over; those that it has a default for may be missing.
    Raises UserError naming file, line and column, and ending with `remedy`.
    """
    columns = read_columns(path, kind, remedy)
    return [kind(**dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)]


def read_columns(path: Path | str, kind: type, remedy: str, growing: bool = False) -> dict[str, list[Any]]:
    """The same column by column. growing: a kill may have cut the last line short; it is passed over."""
    columns: dict[str, list[Any]] = {}
    for some in read_parts(path, kind, remedy, growing):
        for name, values in some.items():
            columns.setdefault(name, []).extend(values)
    return columns


def read_parts(
    path: Path | str, kind: type, remedy: str, growing: bool = False
) -> Iterator[dict[str, list[Any]]]:
    """The same a few thousand rows at a time, the first without any."""
    path = Path(path)
    rows = read_rows(path, remedy, growing)
    _, header = next(rows)
    types = get_type_hints(kind, include_extras=True)
    needed = {field.name: field.default is MISSING for field in fields(kind)}
    missing = [name for name, has_no_default in needed.items() if has_no_default and name not in header]
    if missing:
        raise UserError(f"{shown(path)} has no column '{missing[0]}'; {remedy}.")
    places = {name: header.index(name) for name in needed if name in header}
    yield {name: [] for name in places}
    while some := list(islice(rows, _ROWS_AT_A_TIME)):
        columns = {}
        for name, place in places.items():
            try:
                columns[name] = _checked([row[place] for _, row in some], types[name])
            except _CellError as error:
                line, row = some[error.row]
                cell = value_text(row[place])
                raise UserError(f"{shown(path)}, line {line}: {name} = {cell}: {error}; {remedy}.") from None
        yield columns


class _CellError(Exception):
    def __init__(self, row: int, fault: str) -> None:
        super().__init__(fault.rstrip("."))
        self.row = row


def _checked(cells: list[str], kind: Any) -> list[Any]:
    """A column as its type has it."""
    base, *checks = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    if base is not str:
        try:
            return TypeAdapter(list[kind]).validate_python(cells)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            raise _CellError(int(fault["loc"][0]), plain_fault(fault)) from None
    for check in checks:  # not by pydantic, which takes no text that holds a name in other bytes than UTF-8
        for row, cell in enumerate(cells):
            try:
                check.func(cell)
            except ValueError as error:
                raise _CellError(row, str(error)) from None
    return cells


def read_rows(path: Path, remedy: str, growing: bool = False) -> Iterator[tuple[int, list[str]]]:
    """The header and each row with the number of its line, as they are read. Raises as `read_csv` does."""
    reader = csv.reader(_lines(path, remedy, growing), strict=True)
    try:
        header = [as_written(cell) for cell in next(reader, [])]
        if not header:
            raise UserError(f"{shown(path)} is empty; {remedy}.")
        doubled = [name for name in header if header.count(name) > 1]
        if doubled:
            raise UserError(f"{shown(path)} has the column '{doubled[0]}' twice; {remedy}.")
        yield reader.line_num, header
        for row in reader:
            if row and len(row) != len(header):
                raise UserError(
                    f"{shown(path)}, line {reader.line_num}: {len(row)} cells, not {len(header)}; {remedy}."
                )
            if row:
                yield reader.line_num, [as_written(cell) for cell in row]
    except csv.Error as error:
        raise UserError(f"{shown(path)}, line {reader.line_num}: {error}; {remedy}.") from None


def _lines(path: Path, remedy: str, growing: bool) -> Iterator[str]:
    """Lines with their ends; of a growing file without a last one that has none."""
    require_file(path, remedy)
    with (
        named_reading_errors(path),
        open(path, newline="", encoding="utf-8-sig", errors=NAMES["errors"]) as file,
    ):
        for line in file:
            if "\0" in line:
                raise UserError(f"{shown(path)} is not a text file (it holds NUL bytes); {remedy}.")
            if not growing or line.endswith("\n"):
                yield line
