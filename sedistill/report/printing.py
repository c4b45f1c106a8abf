"""Tables and sentences of a report on the terminal."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from sedistill.report.document import TextTable

NARROWEST_CONSOLE = 110
"""Columns where the output is not a terminal and has no width of its own."""


def print_tables(tables: Iterable[tuple[str, TextTable]], reading: Sequence[str]) -> None:
    """Print (title, table) one below the other, and how to read them."""
    for title, table in tables:
        _print_table(title, table)
    console = Console()
    if not console.is_terminal:
        console = Console(width=NARROWEST_CONSOLE)
    for sentence in reading:
        console.print(f"- {sentence}", markup=False, highlight=False)


def console_for(table: Table) -> Console:
    """The terminal, or, where the output is none, a console in which no cell has to be cut."""
    console = Console()
    if console.is_terminal:
        return console
    return Console(width=max(NARROWEST_CONSOLE, Console(width=10_000).measure(table).maximum))


def _print_table(title: str, table: TextTable) -> None:
    shown = Table(title=title)
    for column, name in enumerate(table.header):
        shown.add_column(name, justify="right" if column else "left", no_wrap=not column)
    for row in table.rows:
        shown.add_row(*(cell.replace("[", r"\[") for cell in row))
    console = console_for(shown)
    console.print(shown)
    console.print(table.note, markup=False, highlight=False)
