"""What the objectives refuse at construction, in one sentence each."""

from collections.abc import Sequence

from sedistill.errors import UserError, nearest


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raises UserError unless `value` is one of `choices`, naming the nearest."""
    if value in choices:
        return
    raise UserError(f"{name} = '{value}' is unknown{nearest(value, choices)}")


def check_positive_whole(name: str, value: object) -> None:
    """Raises UserError unless `value` is a whole number of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{name} = {value} is not possible; give a whole number of bins, at least 1.")


def check_above_zero(name: str, value: float) -> None:
    """Raises UserError unless 0 < value < infinity."""
    if not 0 < value < float("inf"):
        raise UserError(f"{name} = {value} is not possible; give a number above 0.")
