"""Every key of a recipe as a list that people read: docs/recipe.md, and `sedistill train --keys [WORD]`.

python -m sedistill.training.recipe.keys        # writes docs/recipe.md anew
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sedistill.common.argument_checks import alternatives
from sedistill.common.errors import UserError
from sedistill.common.extensions import installed
from sedistill.common.setting_faults import is_class
from sedistill.training.recipe.objectives import (
    KINDS,
    LOSSES,
    ObjectiveSettings,
    kind_of_another_package,
)
from sedistill.training.recipe.schema import Recipe

UNITS = {
    "db": "dB",
    "seconds": "s",
    "ms": "ms",
    "minutes": "min",
    "hz": "Hz",
    "steps": "steps",
    "epochs": "epochs",
    "share": "of 1",
}
NAMES = {
    int: "whole number",
    float: "number",
    bool: "true or false",
    str: "text",
    Path: "path",
    dict: "mapping",
}
NO_MEANING = "–"
HEADER = """# Every key of a recipe

Made by `python -m sedistill.training.recipe.keys` from the settings. `sedistill train --keys WORD` lists the
keys in whose name or meaning a word stands; any of them can be given on the command line, as in
`sedistill train recipe.yaml optimiser.max_steps=5000`. A run's `config.yaml` has them all.
"""


@dataclass(frozen=True)
class Key:
    """One key: its path with dots, what it takes, its default ("needed": it has none), what it means."""

    path: str
    takes: str
    default: str
    unit: str
    meaning: str

    def text(self) -> str:
        """One paragraph for a terminal."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.path}: {self.takes}{unit} [{self.default}]\n    {self.meaning}"


def recipe_keys() -> Iterator[Key]:
    """All keys of this package, those of the objectives last, under objectives[LOSS]."""
    yield from _keys_of(Recipe, "")
    for kind in KINDS:
        yield from _keys_of_objective(kind)


def installed_keys() -> Iterator[Key]:
    """Those of the losses that installed packages offer; of one that is not to be used, why."""
    for name in sorted(installed("losses").keys() - LOSSES.keys()):
        try:
            yield from _keys_of_objective(kind_of_another_package(name))
        except UserError as fault:
            yield Key(f"objectives[{name}]", "nothing", "cannot be used", "", str(fault))


def _keys_of_objective(kind: type[ObjectiveSettings]) -> Iterator[Key]:
    losses = ", ".join(get_args(kind.model_fields["loss"].annotation))
    return (key for key in _keys_of(kind, f"objectives[{losses}].") if not key.path.endswith("].loss"))


def meanings(recipe: Recipe) -> dict[str, str]:
    """What every key of this recipe means, by its path; those of its objectives as objectives.0.KEY."""
    keys = [*_keys_of(Recipe, "")]
    for number, objective in enumerate(recipe.objectives):
        keys += _keys_of(type(objective), f"objectives.{number}.")
    told = (key for key in keys if key.meaning != NO_MEANING)
    return {key.path: f"{key.meaning} [{key.unit}]" if key.unit else key.meaning for key in told}


def keys_about(word: str) -> list[Key]:
    """Those in whose path or meaning the word stands, of installed packages too; all for "".

    Raises UserError where there are none.
    """
    found = [
        key
        for key in chain(recipe_keys(), installed_keys())
        if word.lower() in f"{key.path} {key.meaning}".lower()
    ]
    if not found:
        raise UserError(f"no key of a recipe has '{word}' in its name or meaning; `--keys ''` lists all.")
    return found


def _keys_of(group: type[BaseModel], prefix: str) -> Iterator[Key]:
    for name, field in group.model_fields.items():
        inner = next((one for one in alternatives(field.annotation) if _is_group(one)), None)
        takes = _takes(field.annotation)
        own = Key(f"{prefix}{name}", takes, _default(field), _unit(name), _meaning(field, inner))
        if inner is None:
            yield own
            continue
        if not _is_group(field.annotation):
            yield own
        yield from _keys_of(inner, f"{prefix}{name}.")


def _meaning(field: FieldInfo, inner: type[BaseModel] | None) -> str:
    text = field.description or (inner.__doc__ if inner is not None else "") or ""
    return re.sub(r"\s+", " ", text).strip() or NO_MEANING


def _is_group(kind: Any) -> bool:
    return is_class(kind) and issubclass(kind, BaseModel)


def _takes(kind: Any) -> str:
    words = []
    for one in alternatives(kind):
        origin = get_origin(one)
        if one is type(None):
            words.append("null")
        elif origin is Literal:
            words.append(" / ".join(str(value) for value in get_args(one)))
        elif origin in (list, tuple):
            words.append("list")
        elif origin is dict:
            words.append("mapping")
        else:
            words.append(NAMES.get(one, "settings" if _is_group(one) else getattr(one, "__name__", "value")))
    return ", ".join(dict.fromkeys(words))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "as below"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _unit(name: str) -> str:
    return UNITS.get(name.rsplit("_", 1)[-1], "dB" if "_db_" in name else "")


def markdown() -> str:
    """docs/recipe.md."""
    lines = [HEADER, "| key | takes | default | unit | meaning |", "|---|---|---|---|---|"]
    for key in recipe_keys():
        cells = (f"`{key.path}`", key.takes, f"`{key.default}`", key.unit, key.meaning)
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (Path(__file__).parents[3] / "docs" / "recipe.md").write_text(markdown(), encoding="utf-8")
