"""What a recipe may say about KDRL."""

from typing import Literal

from pydantic import Field, model_validator

from sedistill.common.errors import UserError
from sedistill.common.settings import Settings
from sedistill.distill.kdrl import LONGEST_INPUT, PAPER_INPUT, SHORTEST_INPUT

DistanceName = Literal["mse", "si_snr"]
DEFAULT_FLOORS: dict[DistanceName, float] = {"mse": 1e-8, "si_snr": 1.0}
DEFAULT_RATIO = 0.75  # the best of the paper's fixed ratios (table 4)


class KDRLSettings(Settings):
    """KDRL (2023): how the student's distances to clean speech and teacher are weighed in every clip."""

    method: Literal["fixed", "A", "B", "C"] = Field(
        "C",
        description="Weights of (clean, teacher): A (1 - ratio, ratio), B (ratio, 1), C (1, ratio) with a "
        "ratio learnt for every clip; fixed: as A with one ratio for all.",
    )
    ratio: float | None = Field(None, ge=0, le=1, description="The ratio of method fixed; default 0.75.")
    distance: Literal["own", "mse", "si_snr"] = Field(
        "own", description="Distance of waveforms; own: the student's own loss, which must be one of the two."
    )
    direction: Literal["intent", "printed"] = Field(
        "intent",
        description="Where a reward moves the ratio: to the better extreme, or as equation 9 prints it.",
    )
    delta_by: Literal["before", "after"] = Field(
        "before", description="Rewards are relative to the student's distance before or after its step."
    )
    floor: float | None = Field(
        None,
        gt=0,
        le=1e9,
        description="Least size of that distance; default 1e-8 for mse, 1 (dB) for si_snr.",
    )
    reference_optimiser: Literal["copied", "own", "fresh"] = Field(
        "copied",
        description="Adam's moments of the references: the student's (only so are they the extremes of the "
        "student's own step), kept for themselves, or none.",
    )
    policy_learning_rate: float = Field(
        1e-6, gt=0, le=1, description="At the first step; decays geometrically."
    )
    policy_learning_rate_end: float = Field(1e-8, gt=0, le=1, description="At the last step.")
    policy_input_length: int = Field(
        PAPER_INPUT,
        ge=SHORTEST_INPUT,
        le=LONGEST_INPUT,
        description="Samples of a clip for which the policy network is sized.",
    )

    @model_validator(mode="after")
    def _settings_fit_the_method(self) -> "KDRLSettings":
        if self.method != "fixed":
            if self.ratio is not None:
                raise ValueError("ratio belongs to method: fixed; the other methods learn it. Take it out.")
            if self.policy_learning_rate_end > self.policy_learning_rate:
                raise ValueError("policy_learning_rate_end must not be above policy_learning_rate; lower it.")
            return self
        fields = KDRLSettings.model_fields
        for key in fields.keys() - {"method", "ratio", "distance"}:
            if getattr(self, key) != fields[key].default:
                raise ValueError(f"{key} belongs to methods A, B and C; take it out or change method: fixed.")
        return self

    def distance_for(self, se_loss: str) -> DistanceName:
        """The distance for a student with that loss of its own. Raises UserError when there is none."""
        if self.distance != "own":
            return self.distance
        if se_loss in DEFAULT_FLOORS:
            return se_loss
        raise UserError(
            f"kdrl.distance = own: the student's own loss '{se_loss}' is no distance between two waveforms "
            "that KDRL knows; choose mse or si_snr."
        )

    def floor_for(self, distance: DistanceName) -> float:
        """The least size of a distance by which a reward is divided."""
        return DEFAULT_FLOORS[distance] if self.floor is None else self.floor

    @property
    def fixed_ratio(self) -> float | None:
        """The one ratio of method fixed; None where ratios are learnt."""
        if self.method != "fixed":
            return None
        return DEFAULT_RATIO if self.ratio is None else self.ratio
