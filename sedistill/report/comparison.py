"""A comparison of methods as Markdown and as a web page, from the same plain text and numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from sedistill.report.figures import COLOURS, require_drawing
from sedistill.report.forest import ForestFigure, forest_svg


@dataclass(frozen=True)
class TextTable:
    """Cells as text; the first column names the rows. `note` says how to read it."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class ComparisonSection:
    """What is told under one heading. `key` names the figure's file."""

    title: str
    key: str
    tables: Sequence[TextTable]
    figure: ForestFigure | None = None


@dataclass(frozen=True)
class ComparisonReport:
    """Everything that is shown. `reading` are paragraphs of plain text."""

    title: str
    summary: str
    reading: Sequence[str]
    sections: Sequence[ComparisonSection]
    facts: Sequence[tuple[str, str]]


def figures_of(report: ComparisonReport) -> dict[str, str]:
    """Every figure as SVG text, by its key. Raises UserError when matplotlib or jinja2 is not installed."""
    require_drawing("comparing")
    return {part.key: forest_svg(part.figure) for part in report.sections if part.figure}


def render_page(report: ComparisonReport, figures: Mapping[str, str]) -> str:
    """The web page: one file without outside parts."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = files("sedistill.report").joinpath("comparison.html.jinja").read_text("utf-8")
    return environment.from_string(template).render(report=report, figures=figures, colours=COLOURS)


def markdown(report: ComparisonReport, figure_files: Mapping[str, str]) -> str:
    """The same as Markdown; `figure_files` gives the file of each figure, relative to the text."""
    parts = [f"# {report.title}", report.summary, *(f"- {text}" for text in report.reading)]
    for section in report.sections:
        parts.append(f"## {section.title}")
        if section.key in figure_files:
            parts.append(f"![{section.title}]({figure_files[section.key]})")
        for table in section.tables:
            parts += [part for part in (table.note, markdown_table(table)) if part]
    facts = [f"- {name}: {value}" for name, value in report.facts]
    return "\n\n".join([*parts, "## How this came about", "\n".join(facts)]) + "\n"


def markdown_table(table: TextTable) -> str:
    """A table alone; a bar in a cell does not end it."""
    rule = ["---", *("---:" for _ in table.header[1:])]
    rows = [[cell.replace("|", "\\|") for cell in row] for row in (table.header, *table.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))
