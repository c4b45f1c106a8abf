"""The terms of distillation in a recipe: their settings, and from settings to the losses themselves."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from sedistill.training.objectives.base import ObjectiveBase
from sedistill.training.objectives.features import (
    AttentionObjective,
    GramObjective,
    LayerAttentionObjective,
    MultiViewObjective,
)
from sedistill.training.objectives.signals import (
    BinObjective,
    CleanAndNoiseObjective,
    FrameKLObjective,
    SubbandObjective,
    WaveformObjective,
)

# Which of them a mapping describes is told by its `loss`.
ObjectiveSettings = Annotated[
    BinObjective
    | FrameKLObjective
    | WaveformObjective
    | CleanAndNoiseObjective
    | SubbandObjective
    | AttentionObjective
    | MultiViewObjective
    | GramObjective
    | LayerAttentionObjective,
    Field(discriminator="loss"),
]


def objective_names(objectives: Sequence[ObjectiveBase]) -> list[str]:
    """Short, distinct names for logs."""
    names: list[str] = []
    for settings in objectives:
        names.append(settings.name if settings.name not in names else f"{settings.name}#{len(names)}")
    return names
