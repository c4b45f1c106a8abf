"""Paths and names as people write them: `~` and `$DATA` written out, and nothing that leaves its folder."""

import os
import re
from pathlib import Path, PurePath
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

LONGEST_PART = 255  # bytes, of a file's name on every usual file system
_VARIABLE = re.compile(r"\$(?:\$|\{([^}]*)\}|([A-Za-z_]\w*))")


def written_out(text: str) -> str:
    """A path with `~`, `~name`, `$NAME` and `${NAME}` replaced by what they stand for; `$$` is a dollar sign.

    Raises ValueError where a variable is not set or nothing can lie at the path.
    """

    def value_of(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        name = found[1] if found[2] is None else found[2]
        if not os.environ.get(name):
            raise ValueError(
                f"the environment variable {name} is not set; set it, or write $$ for a dollar sign."
            )
        return os.environ[name]

    whole = _VARIABLE.sub(value_of, text)
    if text.startswith("~"):
        whole = os.path.expanduser(whole)
    return refuse_impossible(whole)


def as_is(path: Path | str) -> str:
    """A path as a text that `written_out` gives back unchanged."""
    text = str(path).replace("$", "$$")
    return f"./{text}" if text.startswith("~") else text


def refuse_impossible(path: str) -> str:
    """The path, if a file can have it. Raises ValueError."""
    if not path.strip():
        raise ValueError("the path is empty; give one.")
    if "\0" in path:
        raise ValueError("the path holds a NUL byte, which no path can; take it out.")
    if any(len(os.fsencode(part)) > LONGEST_PART for part in re.split(r"[/\\]", path)):
        raise ValueError(f"the path has a name longer than {LONGEST_PART} bytes, which no file can have.")
    return path


def _path_written_out(value: Any) -> Any:
    return Path(written_out(value)) if isinstance(value, str) else value


def refuse_leaving(path: str) -> str:
    """The path, if it is relative and stays below the folder it is meant for. Raises ValueError."""
    refuse_impossible(path)
    pure = PurePath(path)
    if pure.is_absolute() or pure.anchor or ".." in pure.parts:
        raise ValueError(f"the path {ascii(path)[1:-1]} leaves its folder; it must lie inside.")
    return path


def _name(value: str) -> str:
    parts = value.split("/")
    if not value.isprintable() or "\\" in value or any(part.strip() in ("", ".", "..") for part in parts):
        raise ValueError(
            f"'{ascii(value)[1:-1]}' is no name for a folder: it must be printable, not empty, and neither "
            "begin with / nor hold \\, . or .. as a part; choose another."
        )
    return refuse_leaving(value)


def _plain_name(value: str) -> str:
    if "/" in value:
        raise ValueError(
            f"'{ascii(value)[1:-1]}' is no name for a folder: it must not hold /; choose another."
        )
    return _name(value)


UserPath = Annotated[Path, BeforeValidator(_path_written_out)]
"""A path in a recipe or table, written out."""

Name = Annotated[str, AfterValidator(_name)]
"""A name of a folder below another; slashes make folders in folders."""

PlainName = Annotated[str, AfterValidator(_plain_name)]
"""A name of a folder right in another."""

PathInside = Annotated[str, AfterValidator(refuse_leaving)]
"""A path that stays below the folder which it is relative to."""
