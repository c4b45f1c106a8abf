"""DISPatch: a loss over bins, counted only in the patches from which the student has most to learn."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from sedistill.audio.spectrum import Stft
from sedistill.common.argument_checks import Declared, as_given
from sedistill.common.errors import UserError
from sedistill.distill.averaging import Normalizer, mean_within, patch_weights, total_of
from sedistill.distill.bin_losses import BinLoss, squared_magnitude
from sedistill.distill.explanation import Explanation, Outcome
from sedistill.distill.frequency_adapter import FrequencyAdapter
from sedistill.distill.gates import RIVALS, Gate, gate_weight
from sedistill.distill.knowledge_gap import PatchErrors, Views
from sedistill.distill.patches import MultiScalePatches, Partition, UniformPatches, partition
from sedistill.distill.ranking import Criterion, rank_patches
from sedistill.distill.selection import keep_top
from sedistill.distill.several import least, pick
from sedistill.distill.shapes import clips_of, spectra_of
from sedistill.distill.signal_objective import Target

Teachers = Tensor | Mapping[str, Tensor]
"""One signal, or those of several teachers by their names."""
_ONE_OF = "teacher "
"""Before the name of one of several."""


@dataclass(frozen=True)
class DISPatch(Declared):
    """Distil the patches in which the teacher is closer to the clean speech than the student (DISPatch 2025).

        kd = DISPatch(DFKDLoss(), patches=MultiScalePatches(10, 40), keep=0.8)
        loss = kd(student_wave, teacher_wave, clean_wave)  # (B, T) each -> scalar, gradient into the student

    Waveforms may be (B, 1, T) or (B, C, T) too: every channel is a clip of its own.

    Every patch gets the knowledge gap score KGS = E(student, clean) - E(teacher, clean), E the mean of the
    bin loss over the patch (equations 4, 5). The share `keep` of highest score, max(1, floor(keep * P)) of
    the P patches of each clip, is distilled: the loss is the mean of the bin loss between student and
    teacher over the selected bins, then over clips. With keep = 1, the default, that is the plain loss.
    Spectra are not normalized, so losses follow the level of the waveforms (L1 linearly, L2 by its square).

    loss: a BinLoss. patches: UniformPatches or MultiScalePatches. keep: the paper's k%, in (0, 1].
    score: "kgs", or table 3's "teacher_top", "teacher_bottom", "student_top", "student_bottom" (highest or
        lowest error towards clean), or "random" (redrawn at each call from torch's global generator).
    target: "teacher", or "clean": the same loss towards the clean speech in the same patches, a control.
    adapter: reads the crossover for MultiScalePatches with a loss that has no adapter of its own.
    score_reduction: "mean" over a patch's bins, or "sum" as equation 1 prints it.
    normalizer: "bins" (each selected bin counts alike), "patches" (each selected patch does), or "eq6" (sum
        of patch means over P * keep, the printed equation 6).
    reduction: "bins", one mean over all selected bins, or "bands" (losses with an adapter only): the mean
        over those of the low band plus that over those of the high one, in each clip; a band without any
        counts 0. So DFKD (2025) prints its equation 10. Mind that its low band is a bin or two in most
        frames, which then carry as much as all others.
    gate: "teacher_over_student", "teacher_over_noisy" or "teacher_over_both": of the selected patches only
        those count in which the teacher's error towards clean is below that of the student, of the noisy
        input, or of both; means are over those, and a clip with none gives 0. None: all count.
    gate_softness: 0, the hard gate, or the relative gap from which a patch counts in full; below it its loss
        counts less, by the weight of `gates.gate_weight`, and its bins are in the mean all the same. So the
        loss is at most that of the hard gate.
    per_band: rank the patches below and above the crossover separately (MultiScalePatches of two sizes only).

    Several teachers may be given by name, `teacher={"a": wave, "b": wave}`: in every patch (in every bin
    where no patches are selected) the teacher is then the one of least error towards the clean speech, of
    equals the first. The crossover is that of their mean magnitudes.

    The crossover is read from the target of distillation and used in all comparisons. Computed in float32 at
    least, also under autocast; finite on silence, not finite where one of the signals in `needs` is not, be
    it in a patch that is not selected. Raises UserError for settings that cannot work.

    Of two bins the teacher is right in both, the student in the second alone; half of them is kept:

    >>> clean = torch.tensor([[[4 + 0j], [2 + 0j]]])
    >>> student = torch.tensor([[[1 + 0j], [2 + 0j]]])
    >>> from sedistill import MagnitudeL2
    >>> kd = DISPatch(MagnitudeL2(), UniformPatches(1), keep=0.5)
    >>> kd.on_spectra(student, teacher=clean, clean=clean)
    tensor(9.)
    """

    loss: BinLoss
    patches: UniformPatches | MultiScalePatches = field(default_factory=UniformPatches)
    keep: Annotated[
        float, Field(gt=0, le=1, description="DISPatch: share of patches distilled; 1 is plain KD.")
    ] = 1.0
    score: Annotated[Criterion, Field(description="DISPatch: what ranks the patches.")] = "kgs"
    target: Target = "teacher"
    adapter: FrequencyAdapter | None = None
    score_reduction: Annotated[
        Literal["mean", "sum"],
        Field(description="DISPatch: how the bins of a patch are scored; sum as its Eq. 1 prints it."),
    ] = "mean"
    normalizer: Annotated[
        Normalizer,
        Field(
            description="DISPatch: what counts alike, each selected bin or each selected patch; eq6 divides "
            "the sum of patch means by P * keep, as printed."
        ),
    ] = "bins"
    reduction: Annotated[
        Literal["bins", "bands"],
        Field(
            description="DFKD: bins is one mean over all bins (the default), bands the sum of both bands' "
            "means, as its Eq. 10 prints it."
        ),
    ] = "bins"
    gate: Annotated[
        Gate | None,
        Field(
            description="DISPatch: distil only where the teacher is nearer to the clean speech than the "
            "student, than the noisy input, or than both."
        ),
    ] = None
    gate_softness: Annotated[
        float,
        Field(
            ge=0, le=1,
            description="0: patches count in full or not at all; else by the teacher's lead, in full from a "
            "relative gap (E - E_teacher) / (E + E_teacher) of this, E the error of whom it beats.",
        ),
    ] = 0.0  # fmt: skip
    per_band: Annotated[
        bool,
        Field(description="DISPatch: rank patches below and above the crossover apart (MSSP of two sizes)."),
    ] = False
    stft: Stft = field(default_factory=Stft)

    def __post_init__(self) -> None:
        if not isinstance(self.loss, BinLoss):
            raise UserError(
                f"loss must be a bin loss such as MagnitudeL2(), not {as_given(self.loss)}: only a sum over "
                "independent bins leaves patches to select. Of the KL divergences GeneralizedKL is one."
            )
        super().__post_init__()
        if self.reduction == "bands" and self.loss.adapter is None:
            raise UserError(
                f"reduction = 'bands' needs a loss of two bands such as DFKDLoss(), not {self.loss!r}."
            )
        if self.reduction == "bands" and self.normalizer != "bins":
            raise UserError(f"normalizer = '{self.normalizer}' goes with reduction = 'bins' alone.")
        if self.gate_softness > 0 and self.gate is None:
            raise UserError(
                f"gate_softness = {self.gate_softness:g} belongs to a gate; name one or take it out."
            )
        if self.per_band and not self.patches.needs_crossover:
            raise UserError("per_band needs MultiScalePatches of two different sizes.")
        self._check_against_bins(self.stft.bins)

    def _check_against_bins(self, bins: int) -> None:
        if self.patches.largest > bins:
            raise UserError(
                f"a patch of {self.patches.largest} bins is larger than the spectrum; give at most {bins}."
            )
        if self._adapter is not None and self._adapter.min_bin > bins - 2:
            given = self._adapter.min_bin
            raise UserError(f"min_bin = {given} leaves no high band; give at most {bins - 2}.")

    @property
    def needs(self) -> tuple[str, ...]:
        """The signals used, of "student", "teacher", "clean" and "noisy"; for the others None will do."""
        gated, noisy = self.gate is not None, "noisy" in self._rivals
        by_teacher = gated or (self._selects and self.score.startswith(("kgs", "teacher")))
        by_clean = gated or (self._selects and self.score != "random")
        teacher, clean = by_teacher or self.target == "teacher", by_clean or self.target == "clean"
        return ("student", *["teacher"] * teacher, *["clean"] * clean, *["noisy"] * noisy)

    def __call__(
        self,
        student: Tensor,
        teacher: Teachers | None = None,
        clean: Tensor | None = None,
        noisy: Tensor | None = None,
    ) -> Tensor:
        """Waveforms (B, T) -> scalar. Raises ValueError for a missing signal or shapes that differ."""
        return self._distil(self._spectra(student, teacher, clean, noisy)).losses.mean()

    def on_spectra(
        self,
        student: Tensor,
        teacher: Teachers | None = None,
        clean: Tensor | None = None,
        noisy: Tensor | None = None,
    ) -> Tensor:
        """The same from complex spectrograms (B, F, K), or real ones (B, F, K, 2), of any number of bins."""
        return self._distil(self._needed(student, teacher, clean, noisy, form=spectra_of)).losses.mean()

    def with_parts(
        self,
        student: Tensor,
        teacher: Teachers | None = None,
        clean: Tensor | None = None,
        noisy: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and what to log of it by name: means over clips, 0-dim tensors without gradient.

        "loss"; "crossover_q25", "_q50", "_q75" (bins) where there is a crossover; "kept_share" (of all bins)
        where patches are selected; "positive_gap_share" (of all patches) where the knowledge gap is computed;
        "gate_weight" (mean over all patches, so the share that is open where the gate is hard);
        "chosen_NAME", for each of several teachers the share of the bins in which it is the teacher.
        """
        outcome = self._distil(self._spectra(student, teacher, clean, noisy))
        return outcome.losses.mean(), {name: values.mean() for name, values in outcome.parts().items()}

    @torch.no_grad()
    def explain(
        self, student: Tensor, teacher: Teachers, clean: Tensor, noisy: Tensor | None = None
    ) -> Explanation:
        """What the loss sees and selects in each clip, from waveforms (B, T); noisy where it is needed."""
        outcome = self._distil(
            self._spectra(student, teacher, clean, noisy, explaining=True), explaining=True
        )
        assert outcome.patches is not None
        assert outcome.gap is not None
        assert outcome.selected is not None
        absent = ~outcome.patches.present
        return Explanation(
            gap=outcome.gap.masked_fill(absent, torch.nan),
            selected=outcome.selected,
            patch_ids=outcome.patches.ids,
            crossover=outcome.crossover,
            parts=outcome.parts(),
            gate=None if outcome.gate is None else outcome.gate.masked_fill(absent, torch.nan),
            teachers=outcome.teachers,
            chosen=outcome.chosen,
        )

    @property
    def _selects(self) -> bool:
        return self.keep < 1 or self.normalizer != "bins" or self.gate is not None

    @property
    def _rivals(self) -> tuple[str, ...]:
        """Whom the teacher has to beat."""
        return () if self.gate is None else RIVALS[self.gate]

    @cached_property
    def _adapter(self) -> FrequencyAdapter | None:
        own, of_loss = self.adapter, self.loss.adapter
        if own is not None and of_loss is not None and own != of_loss:
            raise UserError("adapter and loss name different frequency adapters; give one.")
        return own or of_loss or (FrequencyAdapter() if self.patches.needs_crossover else None)

    def _spectra(
        self,
        student: Tensor,
        teacher: Teachers | None,
        clean: Tensor | None,
        noisy: Tensor | None,
        explaining: bool = False,
    ) -> dict[str, Tensor]:
        waves = self._needed(student, teacher, clean, noisy, form=clips_of, explaining=explaining)
        return {name: self.stft(wave) for name, wave in waves.items()}

    def _needed(
        self, student: Tensor, teacher: Teachers | None, clean: Tensor | None, noisy: Tensor | None,
        form: Callable[[Tensor], Tensor], explaining: bool = False,
    ) -> dict[str, Tensor]:  # fmt: skip
        """The signals that this loss uses, by name, in one form; all but the student's are constants."""
        signals = {"student": form(student)}
        given: dict[str, Tensor | None]
        if isinstance(teacher, Mapping):
            given = {_ONE_OF + name: one for name, one in teacher.items()}
        else:
            given = {"teacher": teacher}
        chooses = isinstance(teacher, Mapping) and "teacher" in self.needs
        for name, signal in (given | {"clean": clean, "noisy": noisy}).items():
            need = "teacher" if name.startswith(_ONE_OF) else name
            needed = need in self.needs or (explaining and name != "noisy") or (chooses and name == "clean")
            if not needed:
                continue
            if signal is None:
                raise ValueError(f"this loss needs the {name} signal, but got None")
            formed = form(signal).detach()
            if formed.shape != signals["student"].shape or len(signal) != len(student):
                raise ValueError(
                    f"student {tuple(student.shape)} and {name} {tuple(signal.shape)} differ in shape"
                )
            signals[name] = formed
        return signals

    def _distil(self, spectra: dict[str, Tensor], explaining: bool = False) -> Outcome:
        several = [name for name in spectra if name.startswith(_ONE_OF)]
        seen = several if several and self.target == "teacher" else [self.target]
        crossover, low_band = self._bands([spectra[name] for name in seen])
        chosen = None
        if several:
            chosen = self._chosen(several, spectra, crossover, low_band)
            spectra["teacher"] = pick([spectra.pop(name) for name in several], chosen)
        teachers = [name.removeprefix(_ONE_OF) for name in several]
        views = Views(self.loss, spectra)
        bin_map = self.loss.compare(views["student"], views[self.target], low_band)
        averaged = self._averaged(low_band)
        if not (self._selects or explaining):
            losses = total_of(mean_within(bin_map, bins) for bins in averaged)
            return Outcome(losses, crossover, teachers=teachers, chosen=chosen)
        patches = partition(self.patches, bin_map, crossover)
        sums = [patches.sums(bin_map if bins is None else bin_map * bins) for bins in averaged]
        del bin_map  # as large as a spectrogram, and all that follows is about patches
        with torch.no_grad():
            errors = PatchErrors(views, low_band, patches, self.score_reduction)
            gap = errors.gap if self.score == "kgs" or explaining else None
            score = rank_patches(self.score, errors)
            selected, gate = self._select(score, patches), self._gate(errors)
            # A patch without a score is not selected by it, and NaN in the clean speech would go unseen.
            unranked = ~score.isfinite()
            if gate is not None:
                unranked |= gate.isnan()
                selected &= gate > 0
            unranked = (unranked & patches.present).any(dim=(1, 2))[:, None, None]
            weights = [
                patch_weights(
                    self.normalizer, self.keep, patches, bins, selected, gate, sums[0].dtype
                ).masked_fill(unranked, torch.nan)
                for bins in averaged
            ]
        losses = total_of((part * weight).sum(dim=(1, 2)) for part, weight in zip(sums, weights, strict=True))
        return Outcome(losses, crossover, patches, gap, selected, gate, teachers, chosen)

    def _bands(self, targets: list[Tensor]) -> tuple[Tensor | None, Tensor | None]:
        """Last low bin (B, K) and low band (B, F, K) of the target, where bands play a part."""
        if self._adapter is None:
            return None, None
        magnitude = squared_magnitude(targets[0]).sqrt()
        if len(targets) > 1:
            magnitude = torch.stack([squared_magnitude(one).sqrt() for one in targets]).mean(dim=0)
        crossover = self._adapter(magnitude)
        return crossover, self._adapter.low_band(crossover, magnitude.shape[1])

    @torch.no_grad()
    def _chosen(
        self, several: list[str], spectra: dict[str, Tensor], crossover: Tensor | None,
        low_band: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """In every bin, which of several teachers is nearest to the clean speech in its patch, (B, F, K)."""
        clean = self.loss.view(spectra["clean"])
        maps = [self.loss.compare(self.loss.view(spectra[name]), clean, low_band) for name in several]
        if not self._selects:
            return least(torch.stack(maps))
        patches = partition(self.patches, maps[0], crossover)
        return least(torch.stack([patches.sums(one) for one in maps])).gather(1, patches.ids)

    def _averaged(self, low_band: Tensor | None) -> list[Tensor | None]:
        """The bins (B, F, K) over which means are taken, to be added: all of them (None), or either band."""
        if self.reduction == "bins":
            return [None]
        assert low_band is not None
        return [low_band, ~low_band]

    def _gate(self, errors: PatchErrors) -> Tensor | None:
        """By how much each patch may count, (B, P, K); None without a gate."""
        if not self._rivals:
            return None
        rivals = torch.stack([errors[rival] for rival in self._rivals])
        return gate_weight(rivals, errors["teacher"], self.gate_softness).amin(dim=0)

    def _select(self, score: Tensor, patches: Partition) -> Tensor:
        if self.per_band:
            below = keep_top(score, patches.present & patches.low, self.keep)
            return below | keep_top(score, patches.present & ~patches.low, self.keep)
        return keep_top(score, patches.present, self.keep)
