"""Tables, facts and sentences of a report on the terminal."""

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from sedistill.common.reading import printable
from sedistill.common.report.document import TextTable

NARROWEST_CONSOLE = 110
"""Columns where the output is not a terminal and has no width of its own."""
NARROWEST_NAMES = 24
"""To so many columns the names of rows are folded before a table is parted."""


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print (name, text) one below the other."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in facts:
        table.add_row(name, printable(text))
    Console().print(table)


def print_tables(tables: Iterable[tuple[str, TextTable]], reading: Sequence[str]) -> None:
    """Print (title, table) one below the other, and how to read them."""
    console = Console() if Console().is_terminal else Console(width=NARROWEST_CONSOLE)
    for title, table in tables:
        parts = fitting(table, console.width)
        for number, part in enumerate(parts, 1):
            heading = title if len(parts) == 1 else f"{title}, part {number} of {len(parts)}"
            shown = _as_rich(heading, part, _width(part) - console.width)
            # Where the output is no terminal, no cell has to be cut.
            width = console.width if console.is_terminal else max(console.width, _rich_width(shown))
            Console(width=width).print(shown)
        console.print(table.note, markup=False, highlight=False)
    for sentence in reading:
        console.print(f"- {sentence}", markup=False, highlight=False)


def fitting(table: TextTable, width: int) -> list[TextTable]:
    """The table, or parts of it side by side that each fit `width`; the first column stands in each.

    Names of rows are folded where that is enough.
    """
    spare = max(0, _name_width(table) - NARROWEST_NAMES)
    parts: list[list[int]] = [[]]
    for column in range(1, len(table.header)):
        wider = [*parts[-1], column]
        if parts[-1] and _width(_columns(table, wider)) - spare > width:
            parts.append([column])
        else:
            parts[-1] = wider
    return [_columns(table, part) for part in parts]


def _columns(table: TextTable, chosen: Sequence[int]) -> TextTable:
    rows = [[row[0], *(row[column] for column in chosen)] for row in table.rows]
    return TextTable([table.header[0], *(table.header[column] for column in chosen)], rows)


def _width(table: TextTable) -> int:
    return _rich_width(_as_rich("", table))


def _rich_width(table: Table) -> int:
    return Console(width=10_000).measure(table).maximum


def _name_width(table: TextTable) -> int:
    return max(cell_len(row[0]) for row in [table.header, *table.rows])


def _as_rich(title: str, table: TextTable, too_wide: int = 0) -> Table:
    """too_wide: columns by which the names of rows are to be folded."""
    shown = Table(title=title or None)
    names = max(_name_width(table) - max(too_wide, 0), NARROWEST_NAMES)
    shown.add_column(table.header[0], overflow="fold", max_width=names)
    for name in table.header[1:]:
        shown.add_column(name, justify="right")
    for row in table.rows:
        shown.add_row(*(cell.replace("[", r"\[") for cell in row))
    return shown
