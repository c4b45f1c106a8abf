"""What losses and networks refuse when they are made: anything but the values that can be meant.

Each names the setting, what was given and what to give, in one sentence.

What a setting may be is declared where it is named, once, for constructor and recipe alike:

    power: Annotated[float, Field(gt=0, le=16, description="Compress magnitudes to |.|^power.")] = 1.0

A setting with a description is a key of recipes.
"""

import math
import numbers
import types
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from sedistill.common.errors import UserError, nearest
from sedistill.common.setting_faults import is_class, value_text


class Declared:
    """A frozen dataclass that checks, when it is made, that every field is what its annotation declares.

    Checked are numbers, flags, choices (Literal) and objects of some class; sequences are left to the class.
    Raises UserError.
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self), include_extras=True)
        for field in fields(self):  # type: ignore[arg-type]
            check_declared(field.name, getattr(self, field.name), hints[field.name])


def check_declared(name: str, value: object, annotation: Any) -> None:
    """Raises UserError unless `value` is what an annotation declares."""
    kind, *marks = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    kinds = [one for one in alternatives(kind) if one is not type(None)]
    optional = len(kinds) < len(alternatives(kind))
    if optional and value is None:
        return
    if kinds == [bool]:
        check_flag(name, value)
    elif kinds == [int]:
        low, high, _ = _limits(marks)
        check_whole(name, value, low, high)
        step = _limit(marks, "multiple_of", 1)
        if value % step:
            kind = "even" if step == 2 else f"a multiple of {step}"
            raise UserError(f"{name} = {value} is not possible; it must be {kind}.")
    elif kinds == [float]:
        check_number(name, value, *_limits(marks))
    elif get_origin(kinds[0]) is Literal:
        check_choice(name, value, get_args(kinds[0]))
    elif all(map(is_class, kinds)) and str not in kinds and int not in kinds:
        check_kind(name, value, tuple(kinds), f"{kinds[0].__name__}()" + " or None" * optional)


def annotations_of(function: Any) -> dict[str, Any]:
    """What the parameters of a function are annotated with, bounds and all; text is resolved where it can be.

    Else taken as written: `get_type_hints` of Python 3.10 hides the bounds of those whose default is None.
    """
    given = dict(function.__annotations__)
    if any(isinstance(one, str) for one in given.values()):
        try:
            hints = get_type_hints(function, include_extras=True)
            return {name: hints[name] if isinstance(one, str) else one for name, one in given.items()}
        except NameError:  # a name that is there for type checkers alone
            return {name: one for name, one in given.items() if not isinstance(one, str)}
    return given


def alternatives(kind: Any) -> list[Any]:
    """The members of X | Y, else the type itself; Annotated is looked through."""
    if get_origin(kind) is Annotated:
        return alternatives(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return [one for part in get_args(kind) for one in alternatives(part)]
    return [kind]


def _limits(marks: Sequence[Any]) -> tuple[Any, Any, bool]:
    """Lowest and highest value, and whether the lowest is itself left out."""
    above = _limit(marks, "gt", None)
    low = _limit(marks, "ge", -math.inf) if above is None else above
    return low, _limit(marks, "le", math.inf), above is not None


def _limit(marks: Sequence[Any], name: str, default: Any) -> Any:
    found = (getattr(limit, name) for mark in marks for limit in getattr(mark, "metadata", ())
             if hasattr(limit, name))  # fmt: skip
    return next(found, default)


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raises UserError unless `value` is one of `choices`, naming the nearest."""
    if not isinstance(value, str):
        raise UserError(f"{name} = {as_given(value)} is not possible; give one of {', '.join(choices)}.")
    if value not in choices:
        raise UserError(f"{name} = '{value_text(value)}' is unknown{nearest(value, choices)}")


def check_whole(name: str, value: Any, low: float, high: float, of: str = "") -> None:
    """Raises UserError unless `value` is a whole number from `low` to `high`; `of` says what it counts."""
    if not is_whole(value) or not low <= value <= high:
        kind = f"a whole number of {of}" if of else "a whole number"
        limits = "" if low == -math.inf else f", from {low} to {high}"
        raise UserError(f"{name} = {as_given(value)} is not possible; give {kind}{limits}.")


def check_number(name: str, value: Any, low: float, high: float, above: bool = False) -> None:
    """Raises UserError unless low <= value <= high, a finite number; with `above`, low < value."""
    if not is_number(value) or not (low < value if above else low <= value) or not value <= high:
        first = f"above {low:g}" if above else f"from {low:g}"
        limits = "" if low == -math.inf else f" {first} and up to {high:g}"
        raise UserError(f"{name} = {as_given(value)} is not possible; give a number{limits}.")


def is_whole(value: Any) -> bool:
    """Whether it is a whole number, of Python's or numpy's; true and false are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether it is a finite number, of Python's or numpy's; true and false are none."""
    return is_whole(value) or (isinstance(value, float | np.floating) and math.isfinite(value))


def check_flag(name: str, value: object) -> None:
    """Raises UserError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise UserError(f"{name} = {as_given(value)} is not possible; give True or False.")


def check_kind(name: str, value: object, kinds: type | tuple[type, ...], example: str) -> None:
    """Raises UserError unless `value` is an object of one of `kinds`, such as `example`."""
    if not isinstance(value, kinds):
        raise UserError(f"{name} = {as_given(value)} is not possible; give {example}.")


def check_list(name: str, value: object) -> None:
    """Raises UserError for one text or path where several are to be given: Python would take its letters."""
    if isinstance(value, str | Path):
        one = as_given(str(value))
        raise UserError(f"{name} = {one} is not possible; give a list, [{one}].")


def as_given(value: object) -> str:
    """A value as a sentence shows it: short, and text in quotes."""
    return f"'{value_text(value)}'" if isinstance(value, str) else value_text(value)
