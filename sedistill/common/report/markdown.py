"""Tables and sentences in Markdown, whatever names are in them."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; the first column names the rows, the others are numbers."""
    rule = ["---", *("---:" for _ in header[1:])]
    cells = ([_markdown_cell(cell) for cell in row] for row in (header, *rows))
    lines = [next(cells), rule, *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown_text(text: str) -> str:
    """A sentence or heading on one line, of which nothing is taken for HTML."""
    return re.sub(r"&(?=#?\w+;)", "&amp;", " ".join(text.splitlines())).replace("<", "&lt;")


def markdown_image(caption: str, path: str) -> str:
    """A picture with its caption, whatever brackets or spaces are in either."""
    shown = re.sub(r"[\\\[\]]", r"\\\g<0>", markdown_text(caption))
    return f"![{shown}]({quote(path, errors='surrogateescape')})"


def _markdown_cell(text: str) -> str:
    """Nothing in it ends the cell or begins code."""
    return re.sub(r"[\\`|]", r"\\\g<0>", markdown_text(text))
