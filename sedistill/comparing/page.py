"""A comparison of methods as Markdown and as a web page, from the same plain text and numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sedistill.comparing.forest import ForestFigure, forest_svg
from sedistill.markdown import markdown_image, markdown_table, markdown_text
from sedistill.report.document import TextTable, render
from sedistill.report.figures import require_drawing


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
    return render(
        "comparison.html.jinja", report.title, report.summary, report.facts, report=report, figures=figures
    )


def markdown(report: ComparisonReport, figure_files: Mapping[str, str]) -> str:
    """The same as Markdown; `figure_files` gives the file of each figure, relative to the text."""
    parts = [f"# {markdown_text(report.title)}", markdown_text(report.summary)]
    parts += [f"- {markdown_text(text)}" for text in report.reading]
    for section in report.sections:
        parts.append(f"## {markdown_text(section.title)}")
        if section.key in figure_files:
            parts.append(markdown_image(section.title, figure_files[section.key]))
        for table in section.tables:
            note = markdown_text(table.note)
            parts += [part for part in (note, markdown_table(table.header, table.rows)) if part]
    facts = [f"- {markdown_text(name)}: {markdown_text(value)}" for name, value in report.facts]
    return "\n\n".join([*parts, "## How this came about", "\n".join(facts)]) + "\n"
