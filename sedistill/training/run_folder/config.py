"""config.yaml, the recipe that a run was begun with: it goes on with no other, but it may be made longer."""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from sedistill.common.agreement import differing_keys
from sedistill.common.errors import UserError
from sedistill.common.provenance import KEY, Provenance
from sedistill.common.reading import is_taken
from sedistill.common.settings import Record, read_record
from sedistill.common.writing import write_whole
from sedistill.common.yaml_files import commented_yaml
from sedistill.distill.keep_schedule import BY_TIME
from sedistill.models.presets import full_settings
from sedistill.models.saving import CARD, read_card
from sedistill.training.recipe.keys import meanings
from sedistill.training.recipe.schema import Recipe
from sedistill.training.recipe.size_defaults import KEYS, filled
from sedistill.training.run_folder.checkpoints import LAST, load_checkpoint
from sedistill.training.run_folder.identity import FACTS as IDENTITY

CONFIG = "config.yaml"

# Settings that do not touch the result, so a run may resume with others.
FREE_TO_CHANGE = (
    "logging.",
    "data.workers",
    "data.trust_pairs",
    "hardware.threads",
    "hardware.devices",
    "hardware.recompute",
    "teacher_use.cache_folder",
    "teacher_use.disk_limit_gb",
)
KNOWN_BY_HASH = re.compile(r"data\.(train|valid)|teacher|teachers\.[^.]+|objectives\.\d+\.teachers\.\d+")
"""Paths of what a run's identity.yaml holds the hashes of."""

LIMITS = ("max_steps", "max_epochs")
"""What may be raised, so that a run goes on."""


class _Config(Record):
    """What config.yaml has to hold."""

    recipe: dict[str, Any]


def as_begun(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe, with what it leaves to the size of the data as the run in `folder` has it, if there is one.

    What a run of an earlier version does not say has the default of then. A limit that is left out follows
    from the other where that is another than the run's.
    """
    begun = _recipe_of(_written(folder)) if is_taken(folder / CONFIG) else None
    if begun is None:
        return recipe
    limits = recipe.optimiser.model_fields_set & set(LIMITS)
    same = all(getattr(recipe.optimiser, key) == getattr(begun.optimiser, key) for key in limits)
    for group, keys in KEYS.items():
        known = {k: getattr(getattr(begun, group), k) for k in keys if same or k not in LIMITS}
        recipe = filled(recipe, group, known)
    return recipe


def makes_longer(recipe: Recipe, folder: Path) -> bool:
    """Whether the recipe lets the run in `folder` go on for longer; False where it is the run's own.

    What recipes mean is compared, not how they are spelt: a setting that came with a newer version has its
    default, and paths are free where the run knows its data and teachers by their hashes. Raises UserError
    where it differs in anything else: two recipes in one folder would make neither reproducible.
    """
    if not is_taken(folder / CONFIG):
        return False
    written = _written(folder)
    begun = _recipe_of(written)
    differing = [
        key
        for key in differing_keys(written if begun is None else _meaning_of(begun), _meaning_of(recipe))
        if not _is_free(key, recipe, folder)
    ]
    if begun is not None and differing and {*differing} <= {f"optimiser.{key}" for key in LIMITS}:
        _refuse_no_longer(begun, recipe, folder)
        return True
    if differing:
        raise UserError(
            f"{folder} holds a run with other settings ({', '.join(differing[:4])}); "
            "give this run another place with --output, or another name or seed."
        )
    return False


def refuse_another_recipe(recipe: Recipe, folder: Path) -> None:
    """Raise UserError where the run in `folder` is of another recipe, be it one for a shorter run."""
    if makes_longer(as_begun(recipe, folder), folder):
        raise UserError(
            f"{folder} holds a shorter run; give the `sedistill train` of this one, or another place."
        )


def _refuse_no_longer(begun: Recipe, recipe: Recipe, folder: Path) -> None:
    """Raise UserError where the run cannot go on for longer."""
    instead = f"train under another name with `student: {folder / 'student'}`, which goes on from its weights"
    schedule = begun.optimiser.schedule
    if any(getattr(one, "keep_schedule", None) in BY_TIME for one in begun.objectives):
        raise UserError(
            f"{folder} cannot be made longer: the share of patches that are kept changes over all its steps; "
            f"{instead}."
        )
    if begun.kdrl is not None:
        raise UserError(
            f"{folder} cannot be made longer: KDRL's targets move by a share of all its steps; {instead}."
        )
    if schedule != "plateau":
        raise UserError(
            f"{folder} cannot be made longer: its learning rate goes down over a number of steps that was "
            f"set at the start (schedule: {schedule}), so a longer run is another one from the first step; "
            f"{instead}."
        )
    for key in recipe.optimiser.model_fields_set & set(LIMITS):
        before, now = getattr(begun.optimiser, key), getattr(recipe.optimiser, key)
        if now is not None and (before is None or now < before):
            raise UserError(
                f"{folder} was begun with optimiser.{key} = {before}; a run can be made longer, not shorter: "
                "give this one another name or --output."
            )
    last = folder / LAST
    if is_taken(folder / "student"):
        progress = load_checkpoint(last)["progress"]  # missing or damaged, it is said
        if progress["epoch"] - 1 - progress["best_epoch"] >= begun.optimiser.stop_after:
            raise UserError(
                f"{folder} stopped because validation had not improved for {begun.optimiser.stop_after} "
                f"epochs, so more steps would not be made; {instead}."
            )


def make_longer(recipe: Recipe, folder: Path) -> None:
    """Write the new limits down. A student that is there is kept beside, named by its steps."""
    student = folder / "student"
    if is_taken(student / CARD):
        steps = read_card(student)["training"]["steps"]
        kept = folder / f"student-{steps}-steps"
        student.rename(kept)
        print(f"the student of {steps} steps is now {kept}.")
    written = read_record(_Config, folder / CONFIG, "put back what was there")
    longer = {"started": _now(), **Provenance.now().facts()[KEY]}
    _write(folder, recipe, {**written, "made_longer": longer})


def write_config(recipe: Recipe, folder: Path, hashes: Mapping[str, str]) -> None:
    """config.yaml: the whole recipe with every default, and what made the run, data and models by hash."""
    if (folder / CONFIG).exists():
        return
    made_by = Provenance.now(seeds=[recipe.seed], hashes=hashes)
    _write(folder, recipe, {"started": _now(), **made_by.facts()})


def _write(folder: Path, recipe: Recipe, facts: dict[str, Any]) -> None:
    """Every key with its meaning as a comment."""
    comments = {f"recipe.{path}": meaning for path, meaning in meanings(recipe).items()}
    config = {**facts, "recipe": recipe.model_dump(mode="json")}
    write_whole(folder / CONFIG, commented_yaml(config, comments))


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


def _written(folder: Path) -> dict[str, Any]:
    found = read_record(_Config, folder / CONFIG, "give this run another place with --output")["recipe"]
    assert isinstance(found, dict)
    return found


def _recipe_of(written: dict[str, Any]) -> Recipe | None:
    """A recipe as it was written down, with defaults for what it does not say; None of unknown settings.

    A default that was written out is none that was asked for: some settings exclude others, said or not.
    """
    try:
        return Recipe.model_validate({k: v for k, v in written.items() if not _is_default(k, v)})
    except ValidationError:  # of a version whose settings had other names
        return None


def _is_default(key: str, value: Any) -> bool:
    field = Recipe.model_fields.get(key)
    if field is None or field.is_required():
        return False
    default = field.get_default(call_default_factory=True)
    return bool(value == (default.model_dump(mode="json") if isinstance(default, BaseModel) else default))


def _meaning_of(recipe: Recipe) -> Any:
    described = recipe.model_dump(mode="json")
    with suppress(UserError):  # of a saved model there is only its place to compare
        described["student"] = full_settings(recipe.student)
    if recipe.several == "bands":
        described["teachers' bands"] = list(recipe.teachers)  # their order is whose band is whose
    return described


def _is_free(key: str, recipe: Recipe, folder: Path) -> bool:
    if key == "logging.gradients_every_steps" and recipe.kd_over_se is not None:
        return False  # kd_weight follows what is measured then
    known_by_hash = is_taken(folder / IDENTITY) and KNOWN_BY_HASH.fullmatch(key)
    return key.startswith(FREE_TO_CHANGE) or bool(known_by_hash)
