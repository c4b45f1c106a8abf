"""The pages about Python, made from signatures and docstrings."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import sedistill

PAGES = {
    "commands": "Commands",
    "objectives": "Objectives",
    "networks": "Networks and teachers",
}
"""Page -> its title."""

PAGE_OF_ROOM = {"audio": "objectives", "distill": "objectives", "models": "networks", "teachers": "networks"}
"""Which page shows the public names of a room; those of all others are commands."""

WIDEST = 90  # characters of a signature in one line
SETTING = re.compile(r"^([a-z]\w*(?:, [a-z]\w*)*): ")


def names_on(page: str) -> list[str]:
    """The public names that a page shows, in the order of `sedistill.__all__`."""
    rooms = {name: home.partition(".")[0] for name, home in sedistill._HOMES.items()}
    return [name for name, room in rooms.items() if PAGE_OF_ROOM.get(room, "commands") == page]


def api_page(page: str) -> str:
    """The Markdown of one page."""
    names = names_on(page)
    head = f"# {PAGES[page]} in Python\n\nAll are names of `sedistill`: `from sedistill import {names[0]}`."
    return "\n\n".join([head, *(about(name, getattr(sedistill, name)) for name in names)]) + "\n"


def about(name: str, thing: Any) -> str:
    """A class or function with its signature, its docstring and, below, those of its public members."""
    parts = [f"## {name}", *_described(name, thing)]
    for member, value in public_members(thing):
        parts += [f"#### `{name}.{member}`", *_described(member, value)]
    return "\n\n".join(parts)


def _described(name: str, thing: Any) -> list[str]:
    code = [f"```python\n{signature(name, thing)}\n```"] if callable(thing) else []
    return [*code, as_markdown(inspect.getdoc(thing) or "")]


def public_members(kind: Any) -> Iterator[tuple[str, Any]]:
    """Methods and properties of a class that say something of themselves."""
    for name, value in vars(kind).items() if inspect.isclass(kind) else ():
        member = getattr(value, "__func__", value)  # the function of a class method
        is_public = name == "__call__" or not name.startswith("_")
        if is_public and (inspect.isfunction(member) or isinstance(member, property)) and member.__doc__:
            yield name, member


def signature(name: str, thing: Any) -> str:
    """As one would write it: types without their modules, a line for each argument where needed."""
    found = inspect.signature(thing)
    arguments = [_plain(str(one)) for one in found.parameters.values() if one.name not in ("self", "cls")]
    silent = inspect.isclass(thing) or found.return_annotation is found.empty
    returned = "" if silent else " -> " + _plain(inspect.formatannotation(found.return_annotation))
    in_one_line = f"{name}({', '.join(arguments)}){returned}"
    if len(in_one_line) <= WIDEST:
        return in_one_line
    return "\n".join([f"{name}(", *(f"    {one}," for one in arguments), f"){returned}"])


def _plain(text: str) -> str:
    without_modules = re.sub(r"(?<![\w'\"])(?:[a-z_]\w*\.)+(?=[A-Za-z])", "", text)
    without_bounds = re.sub(r"Annotated\[([^,]+), [^\]]*\]", r"\1", without_modules)
    return re.sub(r"'([A-Z]\w*)'|~", r"\1", without_bounds).replace("<factory>", "...")


def as_markdown(docstring: str) -> str:
    """Examples as code, settings as lists; what Markdown would read as marks stays what it is."""
    return "\n\n".join(_paragraph(text) for text in re.split(r"\n\s*\n", docstring))


def _paragraph(text: str) -> str:
    if text.startswith(">>> "):
        return f"```pycon\n{text}\n```"
    if text.startswith("    "):
        return text  # code already
    lines = text.splitlines()
    if re.fullmatch(r"(Args|Attributes):?", lines[0]):
        lines = [line.removeprefix("    ") for line in lines[1:]]
    marked = [SETTING.sub(r"- `\1`: ", line, count=1) for line in lines]
    first = next((number for number, line in enumerate(lines) if SETTING.match(line)), len(lines))
    return "\n".join(map(_escaped, [*marked[:first], "", *marked[first:]])).strip()


def _escaped(line: str) -> str:
    marks = {"<": "&lt;", "*": r"\*", "_": r"\_"}
    return re.sub(r"(`[^`]*`)|<|\*|\b_|(?<!\w)_", lambda found: found[1] or marks[found[0]], line)
