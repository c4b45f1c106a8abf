"""Words that sentences of every room need."""

from collections.abc import Sequence

UNKNOWN = "–"
"""A cell of a table where there is no number."""


def counted(count: int, one: str, many: str = "") -> str:
    """1 clip, 2 clips."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([*filter(None, [", ".join(names[:-1])]), *names[-1:]])


def first_few(texts: Sequence[str], few: int = 3) -> str:
    """a, b, c and 2 more."""
    more = f" and {len(texts) - few} more" if len(texts) > few else ""
    return ", ".join(texts[:few]) + more


def first_line(error: Exception) -> str:
    """What an error says, in one line; its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
