"""Objectives that compare what comes out of the networks: spectrograms and waveforms."""

from typing import Annotated, ClassVar, Literal, cast

from pydantic import Field, model_validator
from torch import nn

from sedistill.distill import BIN_LOSSES
from sedistill.distill.bin_losses import BinLoss
from sedistill.distill.clean_and_noise import CleanAndNoiseKD
from sedistill.distill.crossover import FrequencyAdapter
from sedistill.distill.dispatch import DISPatch
from sedistill.distill.frame_kl import FrameKL
from sedistill.distill.patches import MultiScalePatches, UniformPatches
from sedistill.distill.subband import SubbandKD
from sedistill.distill.waveform import SISNRTarget, WaveformDistance, WaveformL1, WaveformL2
from sedistill.paths import UserPath
from sedistill.training.objectives.base import ObjectiveBase, WithoutPatches

Target = Literal["teacher", "clean"]
TARGET = "Towards what; clean is the control that tells the teacher's share."

# Settings that mean something for one loss (or one way to cut patches) only; elsewhere they are refused.
_BELONGS_TO: dict[str, tuple[str, tuple[str, ...]]] = {
    "power": ("loss", ("l1", "l2", "complex_l1", "complex_l2")),
    "beta": ("loss", ("dfkd",)),
    "swap_bands": ("loss", ("dfkd",)),
    "reduction": ("loss", ("dfkd",)),
    "patch_size": ("patches", ("uniform",)),
    "low_patch_size": ("patches", ("multi-scale",)),
    "high_patch_size": ("patches", ("multi-scale",)),
}


class BinObjective(ObjectiveBase):
    """A loss over bins, in all of them or in those that DISPatch selects."""

    loss: Literal["l1", "l2", "complex_l1", "complex_l2", "dfkd", "kl_generalised"]
    target: Target = Field("teacher", description=TARGET)
    power: float | None = Field(None, gt=0, le=1, description="Compress magnitudes to |.|^power.")
    beta: float | None = Field(None, ge=0, le=1, description="DFKD: share of phase in the high band.")
    swap_bands: bool | None = Field(None, description="DFKD: treat low as high, as its Eqs. 5-6 print it.")
    reduction: Literal["bins", "bands"] | None = Field(
        None,
        description="DFKD: bins is one mean over all bins (the default), bands the sum of both bands' means, "
        "as its Eq. 10 prints it.",
    )
    scan: Literal["ascending", "descending"] | None = Field(
        None, description="Direction in which the frequency adapter looks for the crossover."
    )
    min_bin: int | None = Field(None, ge=0, le=255, description="The adapter starts at this bin.")
    keep: float = Field(1.0, gt=0, le=1, description="DISPatch: share of patches distilled; 1 is plain KD.")
    score: Literal["kgs", "teacher_top", "teacher_bottom", "student_top", "student_bottom", "random"] = Field(
        "kgs", description="DISPatch: what ranks the patches."
    )
    patches: Literal["uniform", "multi-scale"] = Field("uniform", description="multi-scale is MSSP.")
    patch_size: int | None = Field(None, ge=1, le=257, description="Bins a patch; default 20.")
    low_patch_size: int | None = Field(None, ge=1, le=257, description="MSSP, low band; default 10.")
    high_patch_size: int | None = Field(None, ge=1, le=257, description="MSSP, high band; default 40.")

    @model_validator(mode="after")
    def _settings_fit_the_loss(self) -> "BinObjective":
        for key, (selector, owners) in _BELONGS_TO.items():
            if getattr(self, key) is not None and getattr(self, selector) not in owners:
                raise ValueError(f"{key} belongs to {selector}: {' or '.join(owners)}; take it out.")
        uses_crossover = self.loss == "dfkd" or self.patches == "multi-scale"
        if not uses_crossover and (self.scan is not None or self.min_bin is not None):
            raise ValueError("scan and min_bin belong to dfkd or multi-scale patches; take them out.")
        return self

    def build(self, student: nn.Module, teacher: nn.Module | None) -> DISPatch:
        return self.dispatch()

    def dispatch(self) -> DISPatch:
        """The loss, which looks into no network."""
        return DISPatch(
            self._bin_loss(),
            patches=self._patches(),
            keep=self.keep,
            score=self.score,
            target=self.target,
            reduction=self.reduction or "bins",
            adapter=self._adapter() if self.patches == "multi-scale" else None,
        )

    @property
    def name(self) -> str:
        """Such as "dfkd+dispatch+mssp" or "l2>clean"."""
        name: str = self.loss
        if self.keep < 1:
            name += "+dispatch" if self.score == "kgs" else f"+{self.score}"
        if self.patches == "multi-scale":
            name += "+mssp"
        if self.reduction == "bands":
            name += "+bands"
        return _towards(name, self.target)

    def _bin_loss(self) -> BinLoss:
        given = {key: getattr(self, key) for key in ("power", "beta") if getattr(self, key) is not None}
        if self.loss == "dfkd":
            given["adapter"] = self._adapter()
        return BIN_LOSSES[self.loss](**given)

    def _adapter(self) -> FrequencyAdapter:
        given = {key: getattr(self, key) for key in ("scan", "swap_bands", "min_bin")}
        return FrequencyAdapter(**{key: value for key, value in given.items() if value is not None})

    def _patches(self) -> UniformPatches | MultiScalePatches:
        if self.patches == "uniform":
            return UniformPatches(self.patch_size or 20)
        return MultiScalePatches(self.low_patch_size or 10, self.high_patch_size or 40)


class FrameKLObjective(WithoutPatches):
    """Kullback-Leibler divergence of the spectra of each frame, as distributions over frequency."""

    why_no_patches: ClassVar[str] = (
        "it compares whole frames as distributions, so there are no independent bins to select; "
        "loss: kl_generalised has them."
    )
    loss: Literal["kl"]
    target: Target = Field("teacher", description=TARGET)
    distribution: Literal["softmax", "normalised"] = Field(
        "softmax", description="How magnitudes become a distribution: softmax, or divided by their sum."
    )
    temperature: float | None = Field(None, gt=0, le=1e6, description="Of the softmax; default 1.")

    @model_validator(mode="after")
    def _temperature_needs_a_softmax(self) -> "FrameKLObjective":
        if self.temperature is not None and self.distribution != "softmax":
            raise ValueError("temperature belongs to distribution: softmax; take it out.")
        return self

    def build(self, student: nn.Module, teacher: nn.Module | None) -> FrameKL:
        return FrameKL(self.distribution, self.temperature or 1.0, target=self.target)

    @property
    def name(self) -> str:
        return _towards("kl" if self.distribution == "softmax" else "kl_normalised", self.target)


_WAVEFORM_LOSSES = {"si_snr": SISNRTarget, "waveform_l1": WaveformL1, "waveform_l2": WaveformL2}


class WaveformObjective(WithoutPatches):
    """A distance of waveforms."""

    why_no_patches: ClassVar[str] = "it is a loss on whole waveforms and has no patches; take it out."
    loss: Literal["si_snr", "waveform_l1", "waveform_l2"]
    target: Target = Field("teacher", description=TARGET)

    def build(self, student: nn.Module, teacher: nn.Module | None) -> WaveformDistance:
        return _WAVEFORM_LOSSES[self.loss](target=self.target)

    @property
    def name(self) -> str:
        return _towards(self.loss, self.target)


class CleanAndNoiseObjective(WithoutPatches):
    """The output loss of multi-view attention transfer, on speech and on the noise that is left out."""

    why_no_patches: ClassVar[str] = "its spectral terms are ratios over whole clips; take it out."
    loss: Literal["clean_and_noise"]
    weight_from: Literal["teacher", "clean"] = Field(
        "teacher", description="Whose energy says how much speech counts against noise."
    )

    def build(self, student: nn.Module, teacher: nn.Module | None) -> CleanAndNoiseKD:
        return CleanAndNoiseKD(self.weight_from)


class SubbandObjective(WithoutPatches):
    """Magnitudes, each band towards a teacher of its own (an approximation of Subband-KD)."""

    why_no_patches: ClassVar[str] = "its parts are bands; take it out."
    loss: Literal["subband"]
    target: Literal["band_teachers", "teacher", "clean"] = Field(
        "band_teachers", description="A teacher for each band, the run's one for all, or clean speech."
    )
    bands: Annotated[int, Field(ge=1, le=257)] | list[Annotated[float, Field(gt=0)]] = Field(
        4, description="How many of equal width, or the rising frequencies in Hz between them."
    )
    bands_used: list[Annotated[int, Field(ge=0, le=256)]] | None = Field(
        None, description="Numbers from 0; default: all of them."
    )
    teachers: list[UserPath] = Field(
        default_factory=list, description="band_teachers: a saved model for each band."
    )

    @model_validator(mode="after")
    def _teachers_fit_the_bands(self) -> "SubbandObjective":
        wanted = self._count if self.target == "band_teachers" else 0
        if len(self.teachers) != wanted:
            raise ValueError(
                f"target: {self.target} with {self._count} bands goes with {wanted} teachers, not "
                f"{len(self.teachers)}; give one for each band, or target: teacher and none."
            )
        return self

    @property
    def _count(self) -> int:
        return self.bands if isinstance(self.bands, int) else len(self.bands) + 1

    def build(self, student: nn.Module, teacher: nn.Module | None) -> SubbandKD:
        return SubbandKD(
            target=self.target,
            bands=self.bands if isinstance(self.bands, int) else tuple(self.bands),
            bands_used=None if self.bands_used is None else tuple(self.bands_used),
            sample_rate=cast(int, student.sample_rate),
        )

    @property
    def name(self) -> str:
        return self.loss if self.target == "band_teachers" else f"{self.loss}>{self.target}"


def _towards(name: str, target: Target) -> str:
    return name if target == "teacher" else f"{name}>clean"
