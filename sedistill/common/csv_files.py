"""Tables as CSV: what is written comes back cell by cell, with any character in it that a name may have.

A spreadsheet would run a cell of text that begins with `=`, `+`, `-` or `@`; so it gets an apostrophe in
front, which the readers here take off again. Numbers stay numbers.
"""

import csv
import io
import math
import re
from collections.abc import Iterable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, TextIO, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from sedistill.common.errors import UserError
from sedistill.common.reading import read_text, shown
from sedistill.common.setting_faults import plain_fault, value_text

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(nan|inf)")

Number = Annotated[float, BeforeValidator(lambda cell: math.nan if cell == "" else cell)]
"""A number of which a cell may be empty."""

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
    path = Path(path)
    header, rows = read_cells(path, remedy, growing)
    types = get_type_hints(kind, include_extras=True)
    needed = {field.name: field.default is MISSING for field in fields(kind)}
    missing = [name for name, has_no_default in needed.items() if has_no_default and name not in header]
    if missing:
        raise UserError(f"{shown(path)} has no column '{missing[0]}'; {remedy}.")
    columns = {}
    for name in (name for name in needed if name in header):
        place = header.index(name)
        try:
            columns[name] = _checked([row[place] for _, row in rows], types[name])
        except _CellError as error:
            line, row = rows[error.row]
            cell = value_text(row[place])
            raise UserError(f"{shown(path)}, line {line}: {name} = {cell}: {error}; {remedy}.") from None
    return columns


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


def read_cells(
    path: Path, remedy: str, growing: bool = False
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header and the rows, each with the number of its line. Raises UserError, as `read_csv` does."""
    text = read_text(path, remedy, names=True)
    text = text[: text.rfind("\n") + 1] if growing else text
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [as_written(cell) for cell in next(reader, [])]
        rows = [(reader.line_num, [as_written(cell) for cell in row]) for row in reader if row]
    except csv.Error as error:
        raise UserError(f"{shown(path)}, line {reader.line_num}: {error}; {remedy}.") from None
    if not header:
        raise UserError(f"{shown(path)} is empty; {remedy}.")
    doubled = [name for name in header if header.count(name) > 1]
    if doubled:
        raise UserError(f"{shown(path)} has the column '{doubled[0]}' twice; {remedy}.")
    for line, row in rows:
        if len(row) != len(header):
            raise UserError(f"{shown(path)}, line {line}: {len(row)} cells, not {len(header)}; {remedy}.")
    return header, rows
