"""The recipes of both students say the same of what they share."""

from pathlib import Path

import pytest

from sedistill.common.settings import load_settings
from sedistill.training.recipe.schema import Recipe
from sedistill.workflows.distilling.recipes import (
    ALONE,
    BATCH_SIZE,
    DISTILLED,
    alone_recipe,
    recipe_text,
    student_recipe,
)


@pytest.mark.parametrize("noisy", [None, "/field"])
def test_both_students_see_the_same_clips_with_clean_speech(tmp_path: Path, noisy: str | None) -> None:
    distilled = student_recipe("fastenhancer-t", "fastenhancer-b", 500, threads=1, noisy=noisy)
    for name, recipe in ((DISTILLED, distilled), (ALONE, alone_recipe(noisy))):
        (tmp_path / f"{name}.yaml").write_text(recipe_text(name, recipe), encoding="utf-8")
    taught, alone = (load_settings(Recipe, tmp_path / f"{name}.yaml") for name in (DISTILLED, ALONE))
    assert taught.recordings_a_batch == (1 if noisy else 0)
    (objective,) = taught.objectives
    # Selecting needs the clean speech of every clip.
    assert objective.model_dump()["keep"] == (1 if noisy else 0.5)
    assert alone.recordings_a_batch == 0
    assert taught.optimiser.batch_size == BATCH_SIZE
    assert alone.optimiser.batch_size == taught.optimiser.batch_size - taught.recordings_a_batch
    same = {"batch_size"}
    assert alone.optimiser.model_dump(exclude=same) == taught.optimiser.model_dump(exclude=same)
    assert alone.data.model_dump(exclude={"noisy", "noisy_share"}) == taught.data.model_dump(
        exclude={"noisy", "noisy_share"}
    )
