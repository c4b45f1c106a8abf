"""Which models of an evaluation are one method, trained with different seeds."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sedistill.common.errors import UserError, nearest
from sedistill.common.reading import shown
from sedistill.common.yaml_files import read_yaml
from sedistill.models.ready_made import CARD

SEED_FOLDER = re.compile(r"seed-(\d+)")
STUDENT_FOLDER = "student"


@dataclass(frozen=True)
class Trained:
    """Where a model comes from: the parts of its recipe's name, or of its path where that is all there is."""

    parts: tuple[str, ...]
    seed: int | None
    from_recipe: bool


def trained(label: str, facts: Mapping[str, Any]) -> Trained:
    """Recipe and seed of a model, from what an evaluation holds about it (`facts`).

    The evaluation itself says them, or else the model's card where its folder can be reached, or else the
    folder's path, .../NAME/seed-N/student. A network that had no folder goes by its label.
    """
    folder = facts.get("folder")
    for source in (facts, _training_on_card(folder)):
        if source.get("recipe"):
            return Trained(tuple(str(source["recipe"]).split("/")), source.get("seed"), from_recipe=True)
    if not folder:
        return Trained((label,), None, from_recipe=False)
    parts = [part for part in Path(folder).parts if part not in (".", Path(folder).anchor)]
    if len(parts) > 1 and parts[-1] == STUDENT_FOLDER:
        parts.pop()
    numbered = SEED_FOLDER.fullmatch(parts[-1]) if len(parts) > 1 else None
    if numbered:
        parts.pop()
    return Trained(tuple(map(shown, parts)), int(numbered[1]) if numbered else None, from_recipe=False)


def method_names(models: Iterable[Trained]) -> dict[tuple[str, ...], str]:
    """A short name for the parts of every model's origin, equal for models of one method.

    A path that ends in a known recipe's name is that recipe's. What all names of several parts begin with is
    left out, where they stay apart from those of one part, which models without a recipe have.
    """
    models = list(models)
    recipes = sorted({model.parts for model in models if model.from_recipe}, key=len, reverse=True)
    full = {}
    for model in models:
        ends = (recipe for recipe in recipes if model.parts[-len(recipe) :] == recipe)
        full[model.parts] = model.parts if model.from_recipe else next(ends, model.parts)
    short = {name[0] for name in full.values() if len(name) == 1}
    long = {name for name in full.values() if len(name) > 1}
    shared = 0
    while long and all(len(name) > shared + 1 for name in long) and len({name[shared] for name in long}) == 1:
        shared += 1
    while shared and any("/".join(name[shared:]) in short for name in long):
        shared -= 1
    return {parts: "/".join(name[shared:] if name in long else name) for parts, name in full.items()}


def method_named(wanted: str, known: Sequence[str], what: str) -> str:
    """The known method of this name, or the only one whose name ends in "/wanted".

    Raises UserError naming the nearest one.
    """
    if wanted in known:
        return wanted
    endings = [name for name in known if name.endswith(f"/{wanted}")]
    if len(endings) == 1:
        return endings[0]
    raise UserError(f"there is no {what} {wanted}{nearest(wanted, known)}")


def _training_on_card(folder: str | None) -> Mapping[str, Any]:
    """What a saved model's card says of its training; nothing where there is no such card any more."""
    if not folder:
        return {}
    try:
        training = read_yaml(Path(folder) / CARD).get("training")
    except UserError:
        return {}
    return training if isinstance(training, Mapping) else {}
