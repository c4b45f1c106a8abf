"""The one look of every page: a template of `report/templates/` that fills the blocks of base.html.jinja.

    page = render("comparison.html.jinja", title=..., summary=..., facts=[(name, value), ...], report=report)

The base brings styles, the heading, tables that sort, and the facts at the end; parts.html.jinja has the
pieces that pages share. A page is one file without outside parts; whatever is put into it is escaped.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sedistill.report.figures import COLOURS, require_drawing


@dataclass(frozen=True)
class TextTable:
    """Cells as text; the first column names the rows. `note` says how to read it."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def render(
    template: str,
    title: str,
    summary: str,
    facts: Sequence[tuple[str, str]],
    filters: Mapping[str, Callable[..., Any]] | None = None,
    **values: Any,
) -> str:
    """The page as HTML text; `values` and `filters` are for the template.

    Raises UserError when jinja2 or matplotlib is not installed.
    """
    require_drawing("writing a page")
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sedistill.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters or {})
    page = environment.get_template(template).render(
        title=title, summary=summary, facts=facts, colours=COLOURS, **values
    )
    return page.lstrip()
