"""What the recipe key `patch_record` may say."""

from typing import Literal

from pydantic import Field

from sedistill.common.settings import Count, Settings


class PatchRecordSettings(Settings):
    """Which patches are watched; `sedistill analyze` shows what became of them."""

    clips: int = Field(
        4, ge=1, le=1000, description="How many, the first of the split; 3 MB of disk for 4 s."
    )
    split: Literal["valid", "train"] = Field(
        "valid",
        description="Whose clips: of data.valid, or of data.train as in DISPatch's figure 2 (of mixtures and "
        "crops made on the fly those of epoch 0, the same all along).",
    )
    every_steps: Count = Field(1000, description="Steps between two records.")
    patch_size: int = Field(20, ge=1, le=257, description="Bins a patch.")
    level_db: float | None = Field(
        None,
        ge=-100,
        le=40,
        description="Errors are taken with the clean speech of each clip at this RMS (dB full scale); null = "
        "as it is. Errors go with its square, the thresholds of the analysis do not.",
    )
    correct_level: bool = Field(
        True,
        description="Multiply outputs by their best factor onto clean, found at each record over the clips: "
        "else errors of a network that is free in level tell its level.",
    )
