"""Distillation of the output as in multi-view attention transfer: of the speech and of the noise left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from sedistill.audio.clean_and_noise import clean_and_noise_loss
from sedistill.distill.signal_objective import SignalObjective


@dataclass(frozen=True)
class CleanAndNoiseKD(SignalObjective):
    """MANNER's loss with the teacher's estimate for clean speech (MV-AT 2022, L_KD of equation 4).

    a l(teacher, student) + (1 - a) l(noisy - teacher, noisy - student): waveforms and spectrograms at three
    resolutions, see `clean_and_noise_loss`. a is the share of speech in the energy of speech and noise.

    weight_from: what counts as speech in a, "teacher" as in the paper, or "clean". Raises UserError for
    anything else.
    """

    weight_from: Annotated[
        Literal["teacher", "clean"],
        Field(description="Whose energy says how much speech counts against noise."),
    ] = "teacher"

    why_no_patches: ClassVar[str] = "its spectral terms are ratios over whole clips; take it out."

    @property
    def needs(self) -> tuple[str, ...]:
        return ("student", "teacher", "noisy", *["clean"] * (self.weight_from == "clean"))

    def per_clip(self, signals: Mapping[str, Tensor]) -> Tensor:
        student, teacher, noisy = (signals[name] for name in ("student", "teacher", "noisy"))
        return clean_and_noise_loss(student, teacher, noisy, weigh_by=signals[self.weight_from])
