"""What a training recipe may say: every key with its type, default and meaning."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Discriminator, Field, Tag, field_validator, model_validator

from sedistill.common.errors import UserError
from sedistill.common.paths import Name, PlainName, UserPath, written_out
from sedistill.common.settings import Count, Settings
from sedistill.distill.several import Rule
from sedistill.teachers.teacher_settings import TeacherFrom
from sedistill.training.enhancement_losses import enhancement_loss
from sedistill.training.kdrl.kdrl_settings import KDRLSettings
from sedistill.training.patch_record.record_settings import PatchRecordSettings
from sedistill.training.recipe.data_settings import DataSettings
from sedistill.training.recipe.objectives import AnyObjective
from sedistill.training.recipe.optimiser_settings import OptimiserSettings

AnyTeacher = Annotated[
    Annotated[UserPath, Tag("path")] | Annotated[TeacherFrom, Tag("settings")],
    Discriminator(lambda given: "settings" if isinstance(given, Mapping | TeacherFrom) else "path"),
]
"""What is named by a path or a name, or described by settings."""


class TwoStepSettings(Settings):
    """Two-step distillation: the objectives alone, then the student's own loss alone."""

    kd_steps: Count = Field(description="Steps of the first stage.")
    keep_optimiser: bool = Field(
        False, description="Whether the second stage starts with Adam's moments of the first."
    )


class HardwareSettings(Settings):
    """Device, number format and threads."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where networks run; auto takes CUDA where there is one."""
    devices: int = Field(
        1,
        ge=1,
        le=1024,
        description="How many GPUs of this machine a training takes, with a process for each; on the CPU how "
        "many processes, which share its cores. For several machines there is torchrun (docs/scaling.md).",
    )
    precision: Literal["32-true", "bf16-mixed", "fp16-mixed"] = "32-true"
    """Number format of the forward pass; fp16 is for GPUs that know no bf16."""
    accumulate: int = Field(
        1,
        ge=1,
        le=65_536,
        description="Pieces of a step's clips, of which each process computes one after the other and adds "
        "up the gradients: less memory, and, but for batch norms, the same result (docs/scaling.md).",
    )
    recompute: bool = Field(
        False,
        description="Compute what the student's blocks gave again in the backward pass, and do not keep it: "
        "less memory, more time, the same result.",
    )
    compile: bool = Field(
        False,
        description="torch.compile the student, but for recurrent layers, in training; made for GPUs, of no "
        "use on a CPU (docs/scaling.md).",
    )
    threads: int | None = Field(
        None, ge=1, le=1024, description="CPU threads of torch; default: one a core that it may use."
    )
    sync_batch_norm: bool = Field(
        False,
        description="With several processes (docs/scaling.md): batch norms see the clips of all of them, as "
        "in one process; else each process's own.",
    )


class TeacherSettings(Settings):
    """How the teacher is used. Defaults suit nearly everybody."""

    correct_level: bool = Field(
        True, description="Multiply its output by its measured factor onto clean (level and sign)."
    )
    cache: Literal["auto", "never"] = Field(
        "auto",
        description="auto: with a fixed training set, or data.repeat_epochs, its outputs are computed once "
        "and kept.",
    )
    cache_folder: UserPath | None = Field(
        None, description="Where outputs are kept; default: teacher-outputs/ inside data.train."
    )
    disk_limit_gb: float | None = Field(
        None, gt=0, le=1e9, description="What the kept outputs of a run may take, 1e9 bytes each; null = any."
    )


class LoggingSettings(Settings):
    """What is written down, and how often."""

    every_steps: Count = 20
    """How often means are written to metrics.csv."""
    gradients_every_steps: Count = Field(
        50,
        description="How often the gradients of the SE and KD terms are measured apart; "
        "at first at steps 2, 4, 8, ... too.",
    )
    checkpoint_minutes: float = Field(
        2.0, gt=0, le=10_000, description="At most so much work is lost by a kill -9."
    )


class LicenceSettings(Settings):
    """What the student's card says about rights; its user should not have to ask."""

    weights: str = Field("not stated", description="Licence under which you give the student away.")
    data: str = Field("not stated", description="Licence(s) of the recordings it learnt from.")


class Recipe(Settings):
    """One training run, plain (no teacher) or distilled."""

    name: Name = Field(description="Names the run's folder: runs/NAME/seed-N.")
    seed: int = Field(0, ge=0, lt=2**63, description="Decides initial weights and the order of batches.")
    student: str | dict[str, Any] = Field(
        description="A preset's name (fresh weights), `class:` with settings, or what to go on from: the "
        "folder of a saved model or `ready-made:NAME`."
    )
    correct_sign: bool = Field(
        True,
        validation_alias=AliasChoices("correct_sign", "upright"),  # its earlier name
        description="Give a new student's output the sign of the speech, early in training. SI-SNR ignores "
        "the sign of the waveform; losses that depend on it drive an inverted student to silence.",
    )
    teacher: AnyTeacher | None = Field(
        None,
        description="The folder of a saved model, the name of a ready-made one, deepfilternet, a teacher of "
        "another package, or where one comes from otherwise (docs/teachers.md); none = plain training.",
    )
    teachers: dict[PlainName, AnyTeacher] = Field(
        default_factory=dict,
        max_length=100,
        description="Instead of `teacher`, several: each as `teacher` takes it, by a name of your own.",
    )
    several: Rule = Field(
        "best",
        description="Of several teachers: best, in every patch (every bin where no patches are selected) the "
        "one nearest to the clean speech; mean, their average; bands, each in a band of its own.",
    )
    several_edges_hz: list[float] = Field(
        default_factory=list,
        description="several: bands: the rising frequencies between them, in the order of `teachers`.",
    )
    data: DataSettings
    se_loss: str | None = Field(
        None,
        description="The student's enhancement loss, by name, or by path for one of another package; "
        "default: that of its network's paper.",
    )
    pesq_weight: float = Field(
        0.0,
        ge=0,
        le=1e6,
        description="Adds to that loss so many times what PESQ hears between estimate and clean speech; at "
        "16 kHz. 0.001 stands beside fast_enhancer in its paper; gtcrn, whose numbers are larger, takes 0.3.",
    )
    se_weight: float = Field(
        0.5,
        ge=0,
        le=1e9,
        description="Weight of the network's own enhancement loss; the same with and without objectives, "
        "so that under one clip_norm plain and distilled runs are comparable.",
    )
    kd_weight: float = Field(0.5, ge=0, le=1e9, description="Weight of the sum of the objectives.")
    kd_over_se: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="Let kd_weight follow: a factor on it keeps the gradient of the objectives so many "
        "times as long as that of the student's own loss, as measured at the steps that "
        "logging.gradients_every_steps names, and smoothed. null = kd_weight as it stands, as in the papers.",
    )
    objectives: list[AnyObjective] = Field(default_factory=list, description="None = plain training.")
    two_step: TwoStepSettings | None = Field(
        None, description="Distil first and supervise afterwards instead of both at once."
    )
    kdrl: KDRLSettings | None = Field(
        None, description="Let a policy network set the teacher's share of each clip; takes no objectives."
    )
    kd_level_db: float | None = Field(
        -12.0,
        ge=-100,
        le=40,
        description="Objectives see each clip scaled so that its clean speech has this RMS (dB full scale); "
        "null = as it is. Decides how L2 and phase terms balance.",
    )
    patch_record: PatchRecordSettings | None = Field(
        None, description="Record the patch errors of a few clips on the way, for `sedistill analyze`."
    )
    teacher_use: TeacherSettings = TeacherSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    hardware: HardwareSettings = HardwareSettings()
    logging: LoggingSettings = LoggingSettings()
    licences: LicenceSettings = LicenceSettings()

    @field_validator("student")
    @classmethod
    def _student_may_be_a_path(cls, student: str | dict[str, Any]) -> str | dict[str, Any]:
        return written_out(student) if isinstance(student, str) else student

    @field_validator("se_loss")
    @classmethod
    def _se_loss_is_known(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                enhancement_loss(name)
            except UserError as fault:
                raise ValueError(str(fault)) from None
        return name

    @model_validator(mode="after")
    def _terms_make_sense(self) -> "Recipe":
        if self.kdrl is not None:
            self._kdrl_stands_alone()
        elif self.se_weight == 0 and not self.distils:
            raise ValueError("every weight is 0, so nothing would be learnt; raise se_weight or kd_weight.")
        if self.two_step is not None:
            self._two_steps_have_work()
        if self.kd_over_se is not None and (
            self.two_step is not None or not self.distils or self.se_weight == 0
        ):
            raise ValueError(
                "kd_over_se holds the objectives' gradient against that of the student's own loss; it needs "
                "both at once: objectives, an se_weight above 0 and no two_step. Take it out otherwise."
            )
        if self.hardware.compile and self.hardware.recompute:
            raise ValueError("hardware.compile decides itself what is kept; take out hardware.recompute.")
        self._several_make_sense()
        return self

    def _several_make_sense(self) -> None:
        count, edges = len(self.teachers), len(self.several_edges_hz)
        asked = self.several != Recipe.model_fields["several"].default or edges
        if count == 0 and asked:  # a default that config.yaml writes out is none that was asked for
            raise ValueError(
                "several and several_edges_hz are about `teachers`; name those, or take them out."
            )
        if count and self.teacher is not None:
            raise ValueError("teacher and teachers are both given; take one out.")
        if self.several == "bands" and count and edges != count - 1:
            raise ValueError(f"several: bands with {count} teachers needs {count - 1} edges, not {edges}.")
        if self.several != "bands" and edges:
            raise ValueError(f"several_edges_hz belongs to several: bands, not to {self.several}.")
        comparing = any(getattr(one, "score", None) == "agreement" for one in self.objectives)
        if comparing and count < 2:
            raise ValueError("score: agreement compares several teachers; name two or more in `teachers`.")
        looking = [one.loss for one in self.objectives if one.weight > 0 and one.compares_features]
        if count and looking:
            raise ValueError(f"{looking[0]} looks into one teacher; name it as `teacher`, not in `teachers`.")

    def _kdrl_stands_alone(self) -> None:
        for key in ("se_loss", "pesq_weight"):
            if getattr(self, key):
                raise ValueError(f"kdrl has its own distance for the student's loss; take out {key} or kdrl.")
        if self.hardware.precision == "fp16-mixed":
            raise ValueError(
                "kdrl takes several gradients a step, which fp16-mixed does not scale; use bf16-mixed or "
                "32-true."
            )
        for key in ("objectives", "se_weight", "kd_weight", "kd_over_se", "two_step"):
            if key in self.model_fields_set and getattr(self, key) not in ([], None):
                raise ValueError(f"kdrl weighs the student's loss itself; take out {key} or kdrl.")
        if self.hardware.compile:
            raise ValueError(
                "kdrl needs several backward passes a step, for which hardware.compile is not made; "
                "switch it off."
            )
        if self.teacher is None:
            raise ValueError("kdrl needs a teacher; name one under `teacher`.")
        if self.data.noisy is not None and self.data.noisy_share > 0:
            raise ValueError("kdrl needs the clean speech of every clip; take out data.noisy.")

    def _two_steps_have_work(self) -> None:
        assert self.two_step is not None
        if not self.distils:
            raise ValueError(
                "two_step begins with distillation alone; give objectives with a weight above 0."
            )
        if self.se_weight == 0:
            raise ValueError("two_step ends with the student's own loss alone; raise se_weight above 0.")
        end = self.optimiser.max_steps
        if end is not None and self.two_step.kd_steps >= end:
            raise ValueError(
                f"two_step.kd_steps = {self.two_step.kd_steps} leaves nothing of max_steps = {end} for the "
                "second stage; lower it."
            )

    @property
    def own_teachers(self) -> dict[str, Any]:
        """What teaches in the whole band, by its key: `teacher`, or `teachers.NAME` of each of several."""
        one = {} if self.teacher is None else {"teacher": self.teacher}
        return one | {f"teachers.{name}": named for name, named in self.teachers.items()}

    @property
    def recordings_a_batch(self) -> int:
        """Of its clips, those without clean speech."""
        share, size = self.data.noisy_share, self.optimiser.batch_size
        return 0 if self.data.noisy is None or share == 0 else min(max(1, round(share * size)), size - 1)

    @property
    def distils(self) -> bool:
        """Whether any objective is in force."""
        return self.kd_weight > 0 and any(objective.weight > 0 for objective in self.objectives)
