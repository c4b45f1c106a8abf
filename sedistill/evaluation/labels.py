"""Names for models and sets that tell them apart."""

from collections.abc import Sequence
from pathlib import Path

from sedistill.common.errors import UserError
from sedistill.common.reading import shown


def distinct_labels(folders: Sequence[Path], what: str, taken: str = "") -> list[str]:
    """The folders' names; where two are equal, the parts of the paths in which they differ.

    So runs/alone/seed-0/student and runs/kd/seed-0/student are "alone" and "kd". Raises UserError for a
    folder named twice.

    >>> distinct_labels([Path("runs/alone/seed-0/student"), Path("runs/kd/seed-0/student")], "model")
    ['alone', 'kd']
    """
    resolved = [folder.resolve() for folder in folders]
    for folder in resolved:
        if resolved.count(folder) > 1:
            raise UserError(f"the {what} {folder} is named twice.")
    depth = 1
    labels = [folder.name for folder in resolved]
    if len(set(labels)) < len(labels):
        labels = differing_parts(resolved)
    while taken in labels or len(set(labels)) < len(labels):
        depth += 1
        labels = ["/".join(folder.parts[-depth:]) for folder in resolved]
    return [shown(label) for label in labels]


def file_names(names: Sequence[str]) -> list[str]:
    """Names as file names, different ones for different names also where "/" made them differ."""
    found: list[str] = []
    for name in names:
        plain = name.replace("/", "-")
        numbered = (f"{plain}-{number}" for number in range(2, len(names) + 2))
        found.append(next(one for one in (plain, *numbered) if one not in found))
    return found


def differing_parts(folders: Sequence[Path]) -> list[str]:
    """Different paths without the parts they share: at the start, at the end and, at one depth, between."""
    parts = [list(folder.parts) for folder in folders]
    while all(len(path) > 1 and path[0] == parts[0][0] for path in parts):
        parts = [path[1:] for path in parts]
    while all(len(path) > 1 and path[-1] == parts[0][-1] for path in parts):
        parts = [path[:-1] for path in parts]
    if len({len(path) for path in parts}) == 1:
        kept = [i for i in range(len(parts[0])) if len({path[i] for path in parts}) > 1]
        parts = [[path[i] for i in kept] for path in parts]
    return ["/".join(path) for path in parts]
