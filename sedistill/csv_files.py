"""Tables as CSV: what is written comes back cell by cell, with any character in it that a name may have."""

import csv
from typing import Any, TextIO


class UnixLines:
    """For `csv.writer(UnixLines(file), lineterminator="\\r\\n")`: the lines end in \\n all the same.

    Python's writer puts quotes around a cell with \\r in it only where \\r ends its lines, and without quotes
    the reader takes it for the end of a row.
    """

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, row: str) -> int:
        return self.file.write(row.removesuffix("\r\n") + "\n")


def csv_writer(file: TextIO) -> Any:
    """A writer of rows; open `file` with newline="" and, where names are in it, `reading.NAMES`."""
    return csv.writer(UnixLines(file), lineterminator="\r\n")
