"""What the recipe key `optimiser` may say."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from sedistill.common.errors import nearest
from sedistill.common.settings import Count, Settings
from sedistill.evaluation.metrics import METRICS

LOSS = "loss"
"""The criterion that is no metric."""


class OptimiserSettings(Settings):
    """Adam, its schedule, and when to stop. The defaults are DISPatch's (section 3.2)."""

    learning_rate: float = Field(1e-3, gt=0, le=10, description="The highest of the schedule.")
    weight_decay: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Decoupled (AdamW), of matrices and kernels alone, not of biases and gains; 0 = Adam.",
    )
    ema_decay: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Validate, and save, a running mean of the weights: after each step so much of the mean "
        "is kept (less in the first steps), such as 0.999; null = the weights of the last step.",
    )
    batch_size: int = Field(
        16,
        ge=1,
        le=65_536,
        description="Clips a step. Left out: 4, 8 or 16 for less than 1, 10 or more hours of speech.",
    )
    clip_norm: float | None = Field(
        5.0, gt=0, le=1e9, description="Largest L2 norm of the whole gradient; null = never clipped."
    )
    schedule: Literal["plateau", "cosine", "one_cycle", "wsd"] = Field(
        "plateau",
        description="plateau: halve when validation stalls; cosine: down to 1 % over max_steps, or else "
        "max_epochs; one_cycle: up from a 25th in 0.3 of these steps, then down to nearly 0; Adam's beta1 "
        "from 0.95 to 0.85 and back; wsd (warm up, stable, decay): down to 1 % in the last decay_share.",
    )
    decay_share: float = Field(
        0.2, gt=0, le=1, description="wsd: the share of steps in which the rate goes down, straight."
    )
    best_by: str = Field(
        "loss",
        description="Which epoch's weights are kept: that of the lowest validation loss, or of the highest "
        "mean over data.valid of a metric of `sedistill evaluate`, such as pesq_wb; clips on which that is "
        "undefined are left out. pesq_wb is closer to what is heard than most losses; "
        "scoring takes time for each of data.valid_clips.",
    )
    halve_after: Count = Field(
        3, description="Epochs without improvement of best_by before the rate is halved."
    )
    stop_after: Count = Field(10, description="Epochs without improvement of best_by before training stops.")
    warmup_steps: int = Field(0, ge=0, le=10**9, description="Steps of linear rise; one_cycle has its own.")
    max_epochs: Count = Field(
        100, description="Epochs at most. Left out: as many as max_steps takes; 100 where that is null."
    )
    max_steps: Count | None = Field(
        None,
        description="Stop after so many steps, if sooner; null = never. A plateau run that is given more "
        "later goes on. Left out, with max_epochs: 10,000 or 30,000 for less than 1 or 10 hours of speech, "
        "else null.",
    )

    @field_validator("best_by")
    @classmethod
    def _best_by_is_known(cls, name: str) -> str:
        if name != LOSS and name not in METRICS:
            raise ValueError(f"'{name}' is unknown{nearest(name, [LOSS, *METRICS])}")
        if name != LOSS and METRICS[name].given != "noisy":
            raise ValueError(
                f"{name} does not tell what becomes of noisy speech; choose another metric, or loss."
            )
        return name

    def planned_steps(self, batches_an_epoch: int) -> int:
        """Steps over which a cosine or a cycle goes: `max_steps` as given, else those of all epochs."""
        return self.max_steps or self.max_epochs * batches_an_epoch

    def steps_at_most(self, batches_an_epoch: int) -> int:
        """Steps of a run that nothing stops early."""
        whole = self.max_epochs * batches_an_epoch
        return min(whole, self.max_steps or whole)

    @model_validator(mode="after")
    def _schedule_makes_sense(self) -> "OptimiserSettings":
        if self.schedule == "one_cycle" and self.warmup_steps:
            raise ValueError("schedule: one_cycle has a rise of its own; take out warmup_steps.")
        default = type(self).model_fields["decay_share"].default
        if self.schedule != "wsd" and self.decay_share != default:
            raise ValueError("decay_share belongs to schedule: wsd; take it out or change schedule.")
        return self
