"""A document: what a command has to say, once, from which a web page, Markdown and figure files are made.

The base template, `report/templates/base.html.jinja`, brings styles, the heading, tables that sort, and the
facts at the end. A page is one file without outside parts; whatever is put into it is escaped.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sedistill.common.report.figures import COLORS, require_drawing, standing_alone
from sedistill.common.report.markdown import markdown_image, markdown_table, markdown_text


@dataclass(frozen=True)
class TextTable:
    """Cells as text; the first column names the rows. `note` says how to read it."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """A drawing as SVG text. `key` names its file; heading and caption stand above and below it."""

    key: str
    svg: str
    heading: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """What stands under one heading, in this order: a note, a list of sentences, figures, tables."""

    title: str = ""
    note: str = ""
    sentences: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[TextTable] = ()


@dataclass(frozen=True)
class Document:
    """Everything that is shown, as plain text. `label` is a warning above all; facts are (name, value)."""

    title: str
    summary: str
    sections: Sequence[Section]
    facts: Sequence[tuple[str, str]]
    label: str = ""

    @property
    def tables(self) -> list[tuple[str, TextTable]]:
        """Every table with the title of its section."""
        return [(section.title, table) for section in self.sections for table in section.tables]

    @property
    def sentences(self) -> list[str]:
        """The sentences of all sections: how to read the rest."""
        return [sentence for section in self.sections for sentence in section.sentences]

    def page(self) -> str:
        """The web page as HTML text. Raises UserError when jinja2 or matplotlib is not installed."""
        return render("document.html.jinja", self.title, self.summary, self.facts, document=self)

    def markdown(self, figure_folder: str = "") -> str:
        """The same as Markdown; its figures lie in `figure_folder`, relative to the text."""
        parts = [f"# {markdown_text(self.title)}", f"**{markdown_text(self.label)}.**" if self.label else ""]
        parts.append(markdown_text(self.summary))
        for section in self.sections:
            parts += [
                f"## {markdown_text(section.title)}" if section.title else "",
                markdown_text(section.note),
            ]
            parts.append(_listed(section.sentences))
            for figure in section.figures:
                parts.append(markdown_image(figure.heading or figure.caption, _place(figure, figure_folder)))
                if figure.heading:
                    parts.append(
                        f"**{markdown_text(figure.heading)}.** {markdown_text(figure.caption)}".strip()
                    )
            for table in section.tables:
                parts += [markdown_text(table.note), markdown_table(table.header, table.rows)]
        facts = _listed([f"{name}: {value}" for name, value in self.facts])
        return "\n\n".join(part for part in [*parts, "## How this came about", facts] if part) + "\n"

    def files(self, name: str, figure_folder: str = "") -> dict[str, str]:
        """The text of each file by its place: every figure, `name`.md and `name`.html."""
        figures = [figure for section in self.sections for figure in section.figures]
        return {
            **{_place(figure, figure_folder): standing_alone(figure.svg) for figure in figures},
            f"{name}.md": self.markdown(figure_folder),
            f"{name}.html": self.page(),
        }


def _place(figure: Figure, folder: str) -> str:
    return f"{folder}/{figure.key}.svg" if folder else f"{figure.key}.svg"


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {markdown_text(sentence)}" for sentence in sentences)


def render(
    template: str,
    title: str,
    summary: str,
    facts: Sequence[tuple[str, str]],
    filters: Mapping[str, Callable[..., Any]] | None = None,
    **values: Any,
) -> str:
    """A page as HTML text: a template of `report/templates/` that fills the blocks of base.html.jinja.

    `values` and `filters` are for the template. Raises UserError when jinja2 or matplotlib is not installed.
    """
    require_drawing("writing a page")
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sedistill.common.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters or {})
    page = environment.get_template(template).render(
        title=title, summary=summary, facts=facts, colors=COLORS, **values
    )
    return page.lstrip()
