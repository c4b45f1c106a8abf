"""What losses and networks refuse when they are made: anything but the values that can be meant.

Each names the setting, what was given and what to give, in one sentence.
"""

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from sedistill.errors import UserError, nearest
from sedistill.settings import value_text


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raises UserError unless `value` is one of `choices`, naming the nearest."""
    if not isinstance(value, str):
        raise UserError(f"{name} = {as_given(value)} is not possible; give one of {', '.join(choices)}.")
    if value not in choices:
        raise UserError(f"{name} = '{value_text(value)}' is unknown{nearest(value, choices)}")


def check_whole(name: str, value: Any, low: int, high: int, of: str = "") -> None:
    """Raises UserError unless `value` is a whole number from `low` to `high`; `of` says what it counts."""
    if not is_whole(value) or not low <= value <= high:
        kind = f"a whole number of {of}" if of else "a whole number"
        raise UserError(f"{name} = {as_given(value)} is not possible; give {kind}, from {low} to {high}.")


def check_number(name: str, value: Any, low: float, high: float, above: bool = False) -> None:
    """Raises UserError unless low <= value <= high, a finite number; with `above`, low < value."""
    if not is_number(value) or not (low < value if above else low <= value) or not value <= high:
        first = f"above {low:g}" if above else f"from {low:g}"
        raise UserError(
            f"{name} = {as_given(value)} is not possible; give a number {first} and up to {high:g}."
        )


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


def as_given(value: object) -> str:
    """A value as a sentence shows it: short, and text in quotes."""
    return f"'{value_text(value)}'" if isinstance(value, str) else value_text(value)
