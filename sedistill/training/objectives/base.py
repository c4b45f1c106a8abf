"""What every objective in a recipe has: a weight, and the way from its settings to the loss itself."""

from typing import Any, ClassVar

from pydantic import Field, model_validator
from torch import nn

from sedistill.settings import Settings
from sedistill.training.tasks import Objective


class ObjectiveBase(Settings):
    """One term of the distillation loss."""

    compares_features: ClassVar[bool] = (
        False  # what goes on inside the student, with what does in the teacher
    )

    loss: str
    weight: float = Field(
        1.0, ge=0, le=1e9, description="Weight among the objectives; kd_weight scales their sum."
    )

    def build(self, student: nn.Module, teacher: nn.Module | None) -> Objective:
        """The loss; the networks are looked at only by objectives that compare their insides."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """Short, for logs."""
        return self.loss


class WithoutPatches(ObjectiveBase):
    """An objective from which DISPatch cannot select, because it is no sum of independent bins."""

    why_no_patches: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _refuse_patches(cls, given: Any) -> Any:
        asked = [key for key in ("keep", "patches", "score", "patch_size") if key in given]
        if asked and given.get("keep") != 1:
            raise ValueError(f"{asked[0]} does not go with {given.get('loss')}: {cls.why_no_patches}")
        return given
