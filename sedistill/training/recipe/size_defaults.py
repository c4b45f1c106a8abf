"""What a recipe leaves out of batches, epochs and validation is chosen by how much speech there is.

| speech to train on | batch | steps an epoch        | at most      | validated on |
|--------------------|-------|-----------------------|--------------|--------------|
| less than 1 h      | 4     | 250                   | 10,000 steps | 40 clips     |
| less than 10 h     | 8     | 500                   | 30,000 steps | 100 clips    |
| more               | 16    | until all was heard   | 100 epochs   | 200 clips    |

Steps an epoch are of mixtures made on the fly; a fixed set is gone through once. Where `max_steps` is given,
there are as many epochs as it takes, and where `max_epochs` is given, it alone decides.
"""

import math
from dataclasses import dataclass
from typing import Any

from sedistill.common.progress import duration_text
from sedistill.training.recipe.schema import Recipe

KEYS = {"data": ("epoch_mixtures", "valid_clips"), "optimiser": ("batch_size", "max_steps", "max_epochs")}
"""What is chosen, where the recipe leaves it out."""


@dataclass(frozen=True)
class Size:
    """A row of the table. steps_an_epoch None: as many as it takes to hear all; max_steps None: no limit."""

    below_hours: float
    batch_size: int
    steps_an_epoch: int | None
    max_steps: int | None
    valid_clips: int


SIZES = (
    Size(1, 4, 250, 10_000, 40),
    Size(10, 8, 500, 30_000, 100),
    Size(math.inf, 16, None, None, 200),
)


def size_of(speech_seconds: float) -> Size:
    """The row for so much speech."""
    return next(size for size in SIZES if speech_seconds < 3600 * size.below_hours)


def filled(recipe: Recipe, group: str, values: dict[str, Any]) -> Recipe:
    """The recipe with these values of a group, where it does not say them itself."""
    settings = getattr(recipe, group)
    missing = {key: value for key, value in values.items() if key not in settings.model_fields_set}
    return recipe.model_copy(update={group: settings.model_copy(update=missing)}) if missing else recipe


def with_batches(recipe: Recipe, speech_seconds: float, on_the_fly: bool) -> Recipe:
    """The recipe with a batch size, mixtures an epoch and a number of validation clips."""
    size = size_of(speech_seconds)
    recipe = filled(recipe, "optimiser", {"batch_size": size.batch_size})
    mixtures = None
    if on_the_fly and size.steps_an_epoch is not None and recipe.data.segment_stride_seconds is None:
        mixtures = size.steps_an_epoch * (recipe.optimiser.batch_size - recipe.recordings_a_batch)
    return filled(recipe, "data", {"epoch_mixtures": mixtures, "valid_clips": size.valid_clips})


def with_limits(recipe: Recipe, speech_seconds: float, batches_an_epoch: int) -> Recipe:
    """The recipe with a largest number of steps and of epochs."""
    given = recipe.optimiser.model_fields_set
    if "max_steps" not in given:
        steps = None if "max_epochs" in given else size_of(speech_seconds).max_steps
        recipe = filled(recipe, "optimiser", {"max_steps": steps})
    steps = recipe.optimiser.max_steps
    if steps is None:
        return filled(recipe, "optimiser", {"max_epochs": recipe.optimiser.max_epochs})
    return filled(recipe, "optimiser", {"max_epochs": math.ceil(steps / max(batches_an_epoch, 1))})


def chosen_text(asked: Recipe, recipe: Recipe, speech: str, batches_an_epoch: int, valid: str) -> str:
    """What was chosen for a recipe as it was asked for: "60 files, 6 min of speech: batches of 4, ...".

    speech, valid: what there is to train on, and what is validated on. Empty where nothing was left out.
    """
    given = asked.optimiser.model_fields_set | asked.data.model_fields_set
    told = []
    if "batch_size" not in given:
        told.append(f"batches of {recipe.optimiser.batch_size}")
    if "epoch_mixtures" not in given:
        told.append(f"{batches_an_epoch:,} steps an epoch")
    if not {"max_steps", "max_epochs"} & given:
        told.append(f"at most {recipe.optimiser.steps_at_most(batches_an_epoch):,} steps")
    if "valid_clips" not in given:
        told.append(f"validated on {valid}")
    return f"{speech}: {', '.join(told)}" if told else ""


def speech_text(files: int, seconds: float) -> str:
    """Such as "60 files, 6 min of speech"."""
    return f"{files:,} files, {duration_text(seconds)} of speech"
