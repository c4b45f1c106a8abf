"""Tables that grow while a run goes on: a row a line, the step first. A kill may cut the last line short."""

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from sedistill.csv_files import as_written, csv_writer, read_columns
from sedistill.reading import is_taken, require_file
from sedistill.writing import atomic_path, named_disk_errors


class GrowingTable:
    """Appends rows to a CSV file with these columns, of which the first is the step.

    When a run resumes at `first_step`, rows after it (work that was lost) are dropped first, so the table is
    that of an uninterrupted run.
    """

    def __init__(self, path: Path, columns: Sequence[str], first_step: int = 0) -> None:
        self.path = path
        rows = complete_rows(path, columns) if first_step > 0 else []
        with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv_writer(file)
            writer.writerow(columns)
            writer.writerows(row for row in rows if int(row[0]) <= first_step)
        with named_disk_errors(path):
            self.file = path.open("a", newline="", encoding="utf-8")

    def append(self, rows: Iterable[Sequence[object]]) -> None:
        """Add rows; a kill loses none of them."""
        with named_disk_errors(self.path):
            csv_writer(self.file).writerows(rows)
            self.file.flush()

    def flush(self) -> None:
        """A power cut loses none of what is there so far."""
        with named_disk_errors(self.path):
            os.fsync(self.file.fileno())

    def close(self) -> None:
        with named_disk_errors(self.path):
            self.file.close()


def complete_rows(path: Path, columns: Sequence[str]) -> list[list[str]]:
    """The rows that are whole, without the header; none where there is nothing. Others are lost.

    Raises UserError where no file lies there.
    """
    if not is_taken(path):
        return []
    require_file(path, "put back what was there, or take it away")
    text = path.read_bytes().decode("utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1].replace("\0", "")
    rows = csv.reader(whole.splitlines())
    return [
        [as_written(cell) for cell in row]
        for row in rows
        if len(row) == len(columns) and row[0].isdecimal() and not any("\ufffd" in cell for cell in row)
    ]


def read_table(path: Path, kind: type) -> dict[str, list[Any]]:
    """The columns of a run's table, each cell of the type that the dataclass `kind` gives its column.

    A last line that is cut short is passed over; no file gives no rows. Raises UserError for any other row
    that does not fit.
    """
    if not is_taken(path):
        return {field.name: [] for field in fields(kind)}
    return read_columns(path, kind, "put a good copy in its place, or train the run again", growing=True)
