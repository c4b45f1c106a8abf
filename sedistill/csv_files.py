"""Tables as CSV: what is written comes back cell by cell, with any character in it that a name may have.

A spreadsheet would run a cell of text that begins with `=`, `+`, `-` or `@`; so it gets an apostrophe in
front, which the readers here take off again. Numbers stay numbers.
"""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TextIO, TypeVar

from pydantic import TypeAdapter, ValidationError

from sedistill.errors import UserError
from sedistill.reading import read_text, shown
from sedistill.settings import first_fault

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(nan|inf)")

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


def csv_writer(file: TextIO) -> CsvWriter:
    """A writer of rows, as above."""
    return CsvWriter(file)


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Rows as CSV, one a line; a name with a line break in it stays one cell."""
    text = io.StringIO(newline="")
    CsvWriter(text).writerows(rows)
    return text.getvalue()


def _safe_cell(value: Any) -> Any:
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def _as_written(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def read_csv(path: Path | str, kind: type[R], remedy: str) -> list[R]:
    """The rows of a CSV file as dataclasses of `kind`, whose types (and bounds) every cell must have.

    Columns that `kind` does not know are passed over; those that it has a default for may be missing.
    Raises UserError naming file, line and column, and ending with `remedy`.
    """
    path = Path(path)
    header, rows = read_cells(path, remedy)
    known = {field.name: field.default is MISSING for field in fields(kind)}  # type: ignore[arg-type]
    missing = [name for name, needed in known.items() if needed and name not in header]
    if missing:
        raise UserError(f"{shown(path)} has no column '{missing[0]}'; {remedy}.")
    places = {name: header.index(name) for name in known if name in header}
    adapter = TypeAdapter(kind)
    read = []
    for line, row in rows:
        try:
            read.append(adapter.validate_python({name: row[place] for name, place in places.items()}))
        except ValidationError as error:
            fault = first_fault(kind, error, {}).rstrip(".")
            raise UserError(f"{shown(path)}, line {line}: {fault}; {remedy}.") from None
    return read


def read_cells(path: Path, remedy: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header and the rows, each with the number of its line. Raises UserError, as `read_csv` does."""
    reader = csv.reader(io.StringIO(read_text(path, remedy, names=True), newline=""), strict=True)
    try:
        header = [_as_written(cell) for cell in next(reader, [])]
        rows = [(reader.line_num, [_as_written(cell) for cell in row]) for row in reader if row]
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
