"""A result as Markdown, as a web page and on the terminal."""

from collections.abc import Mapping
from pathlib import Path

from sedistill.errors import UserError
from sedistill.markdown import markdown_image, markdown_table, markdown_text
from sedistill.reading import TO_BE_READ
from sedistill.report.document import render
from sedistill.report.figures import standing_alone
from sedistill.report.printing import print_tables
from sedistill.reproducing.report_text import Result
from sedistill.writing import atomic_path

TEXT, PAGE = "result.md", "result.html"


def require_packages() -> None:
    """Raise UserError where what writes pages is missing, before hours of training."""
    try:
        import filelock  # noqa: F401
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
    except ImportError:
        raise UserError(
            "reproducing needs more packages; type: pip install 'sedistill[train,eval,report]'"
        ) from None


def write_result(folder: Path, result: Result, numbers: Mapping[str, str]) -> None:
    """Write result.md, result.html, the figures and the numbers as CSV, each whole or not at all."""
    for figure in result.figures:
        _write(folder / f"{figure.key}.svg", standing_alone(figure.svg))
    _write(folder / TEXT, markdown(result))
    for name, text in numbers.items():
        _write(folder / f"{name}.csv", text)
    _write(folder / PAGE, page(result))


def markdown(result: Result) -> str:
    """The result as Markdown."""
    parts = [f"# {markdown_text(result.title)}", *(["**Small scale.**"] if result.small else [])]
    parts.append(markdown_text(result.summary))
    for title, table in result.tables:
        note = markdown_text(table.note)
        rows = markdown_table(table.header, table.rows)
        parts += [f"## {markdown_text(title)}", *([note] if note else []), rows]
    parts += [markdown_image(figure.caption, f"{figure.key}.svg") for figure in result.figures]
    parts += ["## How to read it", "\n".join(f"- {markdown_text(text)}" for text in result.reading)]
    facts = "\n".join(f"- {markdown_text(name)}: {markdown_text(value)}" for name, value in result.facts)
    return "\n\n".join([*parts, "## How this came about", facts]) + "\n"


def page(result: Result) -> str:
    """The result as a web page: one file without outside parts."""
    return render("result.html.jinja", result.title, result.summary, result.facts, result=result)


def print_result(result: Result) -> None:
    """Print the tables and how to read them."""
    mark = " (small scale)" if result.small else ""
    print_tables(((f"{title}{mark}", table) for title, table in result.tables), result.reading)


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, **TO_BE_READ)
