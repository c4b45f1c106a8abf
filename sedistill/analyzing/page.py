"""A patch analysis as Markdown and as a web page, from the same plain text and numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sedistill.analyzing.figures import (
    CategoryCurves,
    CategoryMap,
    ShareMap,
    category_curves_svg,
    category_map_svg,
    share_map_svg,
)
from sedistill.markdown import markdown_image, markdown_table, markdown_text
from sedistill.report.document import TextTable, render
from sedistill.report.figures import GapPanel, gap_svg, require_drawing

Picture = CategoryCurves | CategoryMap | GapPanel | ShareMap


@dataclass(frozen=True)
class AnalysisFigure:
    """A picture with its heading and what it shows. `key` names its file."""

    key: str
    heading: str
    picture: Picture
    caption: str = ""


@dataclass(frozen=True)
class AnalysisSection:
    """What is told under one heading: figures side by side, then tables."""

    title: str
    note: str = ""
    figures: Sequence[AnalysisFigure] = field(default_factory=list)
    tables: Sequence[TextTable] = field(default_factory=list)


@dataclass(frozen=True)
class AnalysisReport:
    """Everything that is shown. `reading` are paragraphs of plain text."""

    title: str
    summary: str
    reading: Sequence[str]
    sections: Sequence[AnalysisSection]
    facts: Sequence[tuple[str, str]]


def figures_of(report: AnalysisReport) -> dict[str, str]:
    """Every figure as SVG text, by its key. Raises UserError when matplotlib or jinja2 is not installed."""
    require_drawing("analyzing")
    return {one.key: _svg(one.picture) for section in report.sections for one in section.figures}


def _svg(picture: Picture) -> str:
    if isinstance(picture, CategoryCurves):
        return category_curves_svg(picture)
    if isinstance(picture, CategoryMap):
        return category_map_svg(picture)
    return gap_svg(picture) if isinstance(picture, GapPanel) else share_map_svg(picture)


def render_page(report: AnalysisReport, figures: Mapping[str, str]) -> str:
    """The web page: one file without outside parts."""
    return render(
        "analysis.html.jinja", report.title, report.summary, report.facts, report=report, figures=figures
    )


def markdown(report: AnalysisReport, figure_files: Mapping[str, str]) -> str:
    """The same as Markdown; `figure_files` gives the file of each figure, relative to the text."""
    parts = [f"# {markdown_text(report.title)}", markdown_text(report.summary)]
    parts += [f"- {markdown_text(text)}" for text in report.reading]
    for section in report.sections:
        parts += [f"## {markdown_text(section.title)}", markdown_text(section.note)]
        for figure in section.figures:
            heading, caption = markdown_text(figure.heading), markdown_text(figure.caption)
            parts += [markdown_image(figure.heading, figure_files[figure.key])]
            parts += [" ".join(text for text in (f"**{heading}.**", caption) if text)]
        for table in section.tables:
            parts += [markdown_text(table.note), markdown_table(table.header, table.rows)]
    facts = [f"- {markdown_text(name)}: {markdown_text(value)}" for name, value in report.facts]
    return "\n\n".join(part for part in [*parts, "## How this came about", "\n".join(facts)] if part) + "\n"
