"""Tables and sentences of a report on the terminal."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from sedistill.common.report.document import TextTable

NARROWEST_CONSOLE = 110
"""Columns where the output is not a terminal and has no width of its own."""


def print_tables(tables: Iterable[tuple[str, TextTable]], reading: Sequence[str]) -> None:
    """Print (title, table) one below the other, and how to read them."""
    console = Console() if Console().is_terminal else Console(width=NARROWEST_CONSOLE)
    for title, table in tables:
        parts = fitting(table, console.width)
        for number, part in enumerate(parts, 1):
            shown = _as_rich(title if len(parts) == 1 else f"{title}, part {number} of {len(parts)}", part)
            # Where the output is no terminal, no cell has to be cut.
            width = console.width if console.is_terminal else max(console.width, _width(shown))
            Console(width=width).print(shown)
        console.print(table.note, markup=False, highlight=False)
    for sentence in reading:
        console.print(f"- {sentence}", markup=False, highlight=False)


def fitting(table: TextTable, width: int) -> list[TextTable]:
    """The table, or parts of it side by side that each fit `width`; the first column stands in each."""
    parts: list[list[int]] = [[]]
    for column in range(1, len(table.header)):
        wider = [*parts[-1], column]
        if parts[-1] and _width(_as_rich("", _columns(table, wider))) > width:
            parts.append([column])
        else:
            parts[-1] = wider
    return [_columns(table, part) for part in parts]


def _columns(table: TextTable, chosen: Sequence[int]) -> TextTable:
    rows = [[row[0], *(row[column] for column in chosen)] for row in table.rows]
    return TextTable([table.header[0], *(table.header[column] for column in chosen)], rows)


def _width(table: Table) -> int:
    return Console(width=10_000).measure(table).maximum


def _as_rich(title: str, table: TextTable) -> Table:
    shown = Table(title=title or None)
    for column, name in enumerate(table.header):
        shown.add_column(name, justify="right" if column else "left", no_wrap=not column)
    for row in table.rows:
        shown.add_row(*(cell.replace("[", r"\[") for cell in row))
    return shown
