"""DISPatch: a loss over bins, counted only in the patches from which the student has most to learn."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from sedistill.audio.spectrum import Stft
from sedistill.common.argument_checks import Declared, as_given
from sedistill.common.errors import UserError
from sedistill.distill.averaging import Normalizer, Reduction, mean_within, patch_weights, total_of
from sedistill.distill.bin_losses import BinLoss
from sedistill.distill.choice import choose_patches, rule_text
from sedistill.distill.dispatch_checks import refuse_misfits
from sedistill.distill.explanation import Explanation, Outcome
from sedistill.distill.frequency_adapter import FrequencyAdapter
from sedistill.distill.gates import RIVALS, Gate, GateSoftness
from sedistill.distill.keep_schedule import BY_TIME, Keep, KeepSchedule, KeepStart
from sedistill.distill.knowledge_gap import PatchErrors, ScoreReduction, Views
from sedistill.distill.magnitudes import squared_magnitude
from sedistill.distill.needed_signals import ONE_OF, ByName, Teachers, take_needed
from sedistill.distill.patches import MultiScalePatches, UniformPatches, partition
from sedistill.distill.ranking import Score, signals_of
from sedistill.distill.selection import RankOver, Threshold, ThresholdUnit
from sedistill.distill.several import nearest_teacher, pick
from sedistill.distill.shapes import clips_of, spectra_of
from sedistill.distill.signal_objective import Target


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
        lowest error towards clean), "removed" (how far the teacher is from the noisy input; needs no clean
        speech), "agreement" (of several `teachers`, given by name beside the teacher that they are together:
        least mean distance to that first; needs no clean speech either), or "random" (redrawn at each call
        from torch's global generator).
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

    What the paper leaves open:

    keep_schedule, keep_start: a share that changes: from `keep_start` to `keep` as training goes on, which
        calls then say by `share_done`, 0 to 1; or "positive_gaps".
    rank_over: "batch" ranks all patches of a batch together, and means are over it too: some clips may have
        many patches selected, others none.
    threshold: of the patches kept those with a score above it; with keep = 1 it stands alone. A clip with
        none gives 0. threshold_unit: "deviations" is free of the level.
    gap_metric: the bin loss by which errors towards clean are taken, for ranking and gates; None: `loss`.

    Several teachers may be given by name, `teacher={"a": wave, "b": wave}`: in every patch (in every bin
    where no patches are selected) the teacher is then the one of least error towards the clean speech, of
    equals the first. The crossover is that of their mean magnitudes. "agreement" takes these as `teachers`.

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
    keep: Keep = 1.0
    score: Score = "kgs"
    target: Target = "teacher"
    adapter: FrequencyAdapter | None = None
    score_reduction: ScoreReduction = "mean"
    normalizer: Normalizer = "bins"
    reduction: Reduction = "bins"
    gate: Annotated[
        Gate | None,
        Field(
            description="DISPatch: distil only where the teacher is nearer to the clean speech than the "
            "student, than the noisy input, or than both."
        ),
    ] = None
    gate_softness: GateSoftness = 0.0
    per_band: Annotated[
        bool,
        Field(description="DISPatch: rank patches below and above the crossover apart (MSSP of two sizes)."),
    ] = False
    keep_schedule: KeepSchedule = "constant"
    keep_start: KeepStart = 1.0
    rank_over: RankOver = "clip"
    threshold: Threshold = None
    threshold_unit: ThresholdUnit = "score"
    gap_metric: BinLoss | None = None
    stft: Stft = field(default_factory=Stft)

    def __post_init__(self) -> None:
        if not isinstance(self.loss, BinLoss):
            raise UserError(
                f"loss must be a bin loss such as MagnitudeL2(), not {as_given(self.loss)}: only a sum over "
                "independent bins leaves patches to select. Of the KL divergences GeneralizedKL is one."
            )
        super().__post_init__()
        refuse_misfits(self)

    @property
    def needs(self) -> tuple[str, ...]:
        """What is used of "student", "teacher", "clean", "noisy", "teachers", "share_done"."""
        used: set[str] = {self.target}
        if self.gate is not None:
            used |= {"teacher", "clean", *RIVALS[self.gate]}
        if self._by_patch:
            used |= signals_of(self.score)
        if self.keep_schedule == "positive_gaps":
            used |= {"teacher", "clean"}
        if self.keep_schedule in BY_TIME:
            used |= {"share_done"}
        every = ("teacher", "clean", "noisy", "teachers", "share_done")
        return ("student", *(name for name in every if name in used))

    def __call__(
        self, student: Tensor, teacher: Teachers | None = None, clean: Tensor | None = None,
        noisy: Tensor | None = None, *, teachers: ByName = None, share_done: float | None = None,
    ) -> Tensor:  # fmt: skip
        """Waveforms (B, T) -> scalar. Raises ValueError for a missing signal or shapes that differ."""
        return self._distil(self._spectra(student, teacher, clean, noisy, teachers), share_done).losses.mean()

    def on_spectra(
        self, student: Tensor, teacher: Teachers | None = None, clean: Tensor | None = None,
        noisy: Tensor | None = None, *, teachers: ByName = None, share_done: float | None = None,
    ) -> Tensor:  # fmt: skip
        """The same from complex spectrograms (B, F, K), or real ones (B, F, K, 2), of any number of bins."""
        spectra = take_needed(self.needs, student, teacher, clean, noisy, teachers, spectra_of)
        return self._distil(spectra, share_done).losses.mean()

    def with_parts(
        self, student: Tensor, teacher: Teachers | None = None, clean: Tensor | None = None,
        noisy: Tensor | None = None, *, teachers: ByName = None, share_done: float | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
        """The loss, and what to log of it by name: means over clips, 0-dim tensors without gradient.

        "loss"; "crossover_q25", "_q50", "_q75" (bins) where there is a crossover; "kept_share" (of all bins)
        where patches are selected; "positive_gap_share" (of all patches) where the knowledge gap is computed;
        "gate_weight" (mean over all patches, so the share that is open where the gate is hard);
        "chosen_NAME", for each of several teachers the share of the bins in which it is the teacher.
        """
        outcome = self._distil(self._spectra(student, teacher, clean, noisy, teachers), share_done)
        return outcome.losses.mean(), {name: values.mean() for name, values in outcome.parts().items()}

    @torch.no_grad()
    def explain(
        self, student: Tensor, teacher: Teachers, clean: Tensor, noisy: Tensor | None = None, *,
        teachers: ByName = None, share_done: float | None = None,
    ) -> Explanation:  # fmt: skip
        """What the loss sees and selects in each clip, from waveforms (B, T); noisy where it is needed."""
        spectra = self._spectra(student, teacher, clean, noisy, teachers, True)
        outcome = self._distil(spectra, share_done, explaining=True)
        patches, choice = outcome.patches, outcome.choice
        assert patches is not None
        assert choice is not None
        assert choice.gap is not None
        absent = ~patches.present
        return Explanation(
            gap=choice.gap.masked_fill(absent, torch.nan),
            selected=choice.selected,
            patch_ids=patches.ids,
            crossover=outcome.crossover,
            parts=outcome.parts(),
            gate=None if choice.gate is None else choice.gate.masked_fill(absent, torch.nan),
            patch_frames=patches.frames,
            rule=rule_text(self, share_done),
            teachers=outcome.teachers,
            chosen=outcome.chosen,
            disagreement=choice.disagreement,
        )

    @property
    def selects(self) -> bool:
        """Whether some patches may be left out, or count less than others."""
        ranked = self.keep < 1 or self.keep_schedule != "constant" or self.threshold is not None
        return ranked or self.gate is not None

    @property
    def over_batch(self) -> bool:
        """Whether what counts in a clip hangs on the others."""
        return self.rank_over == "batch"

    @property
    def _by_patch(self) -> bool:
        return self.selects or self.normalizer != "bins"

    @cached_property
    def bands_by(self) -> FrequencyAdapter | None:
        """What reads the crossover; None where bands play no part."""
        of_metric = None if self.gap_metric is None else self.gap_metric.adapter
        named = [one for one in (self.adapter, self.loss.adapter, of_metric) if one is not None]
        if any(one != named[0] for one in named):
            raise UserError("adapter, loss and gap_metric name different frequency adapters; give one.")
        return named[0] if named else FrequencyAdapter() if self.patches.needs_crossover else None

    def _spectra(
        self, student: Tensor, teacher: Teachers | None, clean: Tensor | None, noisy: Tensor | None,
        teachers: ByName, explaining: bool = False,
    ) -> dict[str, Tensor]:  # fmt: skip
        waves = take_needed(self.needs, student, teacher, clean, noisy, teachers, clips_of, explaining)
        return {name: self.stft(wave) for name, wave in waves.items()}

    def _distil(
        self, spectra: dict[str, Tensor], share_done: float | None, explaining: bool = False
    ) -> Outcome:
        # Without a teacher that they are together, several are the one that is nearest in each patch.
        several = [name for name in spectra if name.startswith(ONE_OF)] if "teacher" not in spectra else []
        seen = several if several and self.target == "teacher" else [self.target]
        crossover, low_band = self._bands([spectra[name] for name in seen])
        chosen = None
        if several:
            chosen = self._chosen(several, spectra, crossover, low_band)
            spectra["teacher"] = pick([spectra[name] for name in several], chosen)
            if "teachers" not in self.needs:
                spectra = {name: one for name, one in spectra.items() if name not in several}
        teachers = [name.removeprefix(ONE_OF) for name in several]
        of_gap = None if self.gap_metric is None else Views(self.gap_metric, dict(spectra))
        views = Views(self.loss, spectra)
        bin_map = self.loss.compare(views["student"], views[self.target], low_band)
        averaged = self._averaged(low_band)
        if not (self._by_patch or explaining):
            losses = total_of(mean_within(bin_map, bins) for bins in averaged)
            return Outcome(losses, crossover, teachers=teachers, chosen=chosen)
        patches = partition(self.patches, bin_map, crossover)
        sums = [patches.sums(bin_map if bins is None else bin_map * bins) for bins in averaged]
        del bin_map  # as large as a spectrogram, and all that follows is about patches
        with torch.no_grad():
            errors = PatchErrors(of_gap or views, low_band, patches, self.score_reduction)
            choice = choose_patches(self, errors, share_done, explaining)
            weights = [
                # A patch without a score is not selected by it, and NaN in the clean speech would go unseen.
                patch_weights(
                    self.normalizer, choice.keep, patches, bins, choice.selected, choice.gate, sums[0].dtype,
                    self.rank_over,
                ).masked_fill(choice.unranked, torch.nan)
                for bins in averaged
            ]  # fmt: skip
        losses = total_of((part * weight).sum(dim=(1, 2)) for part, weight in zip(sums, weights, strict=True))
        return Outcome(losses, crossover, patches, choice, teachers, chosen)

    def _bands(self, targets: list[Tensor]) -> tuple[Tensor | None, Tensor | None]:
        """Last low bin (B, K) and low band (B, F, K) of the target, where bands play a part."""
        if self.bands_by is None:
            return None, None
        magnitude = squared_magnitude(targets[0]).sqrt()
        if len(targets) > 1:
            magnitude = torch.stack([squared_magnitude(one).sqrt() for one in targets]).mean(dim=0)
        crossover = self.bands_by(magnitude)
        return crossover, self.bands_by.low_band(crossover, magnitude.shape[1])

    def _chosen(
        self, several: list[str], spectra: dict[str, Tensor], crossover: Tensor | None,
        low_band: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """In every bin, which of several teachers is nearest to the clean speech in its patch, (B, F, K)."""
        metric = self.gap_metric or self.loss
        of_each, clean = [spectra[name] for name in several], spectra["clean"]
        patches = partition(self.patches, clean, crossover) if self._by_patch else None
        return nearest_teacher(metric, of_each, clean, low_band, patches)

    def _averaged(self, low_band: Tensor | None) -> list[Tensor | None]:
        """The bins (B, F, K) over which means are taken, to be added: all of them (None), or either band."""
        if self.reduction == "bins":
            return [None]
        assert low_band is not None
        return [low_band, ~low_band]
