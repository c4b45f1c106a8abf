"""DISPatch: a loss over bins, counted only in the patches from which the student has most to learn."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from sedistill.audio.spectrum import Stft
from sedistill.common.argument_checks import Declared, as_given
from sedistill.common.errors import UserError
from sedistill.distill.bin_losses import BinLoss, squared_magnitude
from sedistill.distill.explanation import Explanation
from sedistill.distill.frequency_adapter import FrequencyAdapter
from sedistill.distill.gates import RIVALS, Gate, gate_weight
from sedistill.distill.patches import MultiScalePatches, Partition, UniformPatches, partition
from sedistill.distill.selection import Criterion, keep_top
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
        Literal["bins", "patches", "eq6"],
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
        teacher: Tensor | None = None,
        clean: Tensor | None = None,
        noisy: Tensor | None = None,
    ) -> Tensor:
        """Waveforms (B, T) -> scalar. Raises ValueError for a missing signal or shapes that differ."""
        return self._distil(self._spectra(student, teacher, clean, noisy)).losses.mean()

    def on_spectra(
        self,
        student: Tensor,
        teacher: Tensor | None = None,
        clean: Tensor | None = None,
        noisy: Tensor | None = None,
    ) -> Tensor:
        """The same from complex spectrograms (B, F, K), or real ones (B, F, K, 2), of any number of bins."""
        return self._distil(self._needed(student, teacher, clean, noisy, form=spectra_of)).losses.mean()

    def with_parts(
        self,
        student: Tensor,
        teacher: Tensor | None = None,
        clean: Tensor | None = None,
        noisy: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and what to log of it by name: means over clips, 0-dim tensors without gradient.

        "loss"; "crossover_q25", "_q50", "_q75" (bins) where there is a crossover; "kept_share" (of all bins)
        where patches are selected; "positive_gap_share" (of all patches) where the knowledge gap is computed;
        "gate_weight" (mean over all patches, so the share that is open where the gate is hard).
        """
        outcome = self._distil(self._spectra(student, teacher, clean, noisy))
        return outcome.losses.mean(), {name: values.mean() for name, values in outcome.parts().items()}

    @torch.no_grad()
    def explain(
        self, student: Tensor, teacher: Tensor, clean: Tensor, noisy: Tensor | None = None
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
        teacher: Tensor | None,
        clean: Tensor | None,
        noisy: Tensor | None,
        explaining: bool = False,
    ) -> dict[str, Tensor]:
        waves = self._needed(student, teacher, clean, noisy, form=clips_of, explaining=explaining)
        return {name: self.stft(wave) for name, wave in waves.items()}

    def _needed(
        self, student: Tensor, teacher: Tensor | None, clean: Tensor | None, noisy: Tensor | None,
        form: Callable[[Tensor], Tensor], explaining: bool = False,
    ) -> dict[str, Tensor]:  # fmt: skip
        """The signals that this loss uses, by name, in one form; all but the student's are constants."""
        signals = {"student": form(student)}
        for name, signal in (("teacher", teacher), ("clean", clean), ("noisy", noisy)):
            if name not in self.needs and (name == "noisy" or not explaining):
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

    def _distil(self, spectra: dict[str, Tensor], explaining: bool = False) -> "_Outcome":
        crossover, low_band = self._bands(spectra[self.target])
        views = _Views(self.loss, spectra)
        bin_map = self.loss.compare(views["student"], views[self.target], low_band)
        averaged = self._averaged(low_band)
        if not (self._selects or explaining):
            return _Outcome(_sum(_mean_within(bin_map, bins) for bins in averaged), crossover)
        patches = partition(self.patches, bin_map, crossover)
        sums = [patches.sums(bin_map if bins is None else bin_map * bins) for bins in averaged]
        del bin_map  # as large as a spectrogram, and all that follows is about patches
        with torch.no_grad():
            errors = _Errors(views, low_band, patches, self.score_reduction)
            gap, score = self._gap_and_score(errors, explaining)
            selected, gate = self._select(score, patches), self._gate(errors)
            # A patch without a score is not selected by it, and NaN in the clean speech would go unseen.
            unranked = ~score.isfinite()
            if gate is not None:
                unranked |= gate.isnan()
                selected &= gate > 0
            unranked = (unranked & patches.present).any(dim=(1, 2))[:, None, None]
            weights = [
                self._weights(patches, bins, selected, gate, sums[0].dtype).masked_fill(unranked, torch.nan)
                for bins in averaged
            ]
        losses = _sum((part * weight).sum(dim=(1, 2)) for part, weight in zip(sums, weights, strict=True))
        return _Outcome(losses, crossover, patches, gap, selected, gate)

    def _bands(self, target: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Last low bin (B, K) and low band (B, F, K) of the target, where bands play a part."""
        if self._adapter is None:
            return None, None
        crossover = self._adapter(squared_magnitude(target).sqrt())
        return crossover, self._adapter.low_band(crossover, target.shape[1])

    def _averaged(self, low_band: Tensor | None) -> list[Tensor | None]:
        """The bins (B, F, K) over which means are taken, to be added: all of them (None), or either band."""
        if self.reduction == "bins":
            return [None]
        assert low_band is not None
        return [low_band, ~low_band]

    def _gap_and_score(self, errors: "_Errors", explaining: bool) -> tuple[Tensor | None, Tensor]:
        """Knowledge gap (only where it is used) and ranking of the patches, each (B, P, K)."""
        gap = errors.gap() if self.score == "kgs" or explaining else None
        if self.score == "random":
            counts = errors.patches.counts
            return gap, torch.rand(counts.shape, device=counts.device)
        if self.score == "kgs":
            assert gap is not None
            return gap, gap
        whose, _, end = self.score.partition("_")
        return gap, errors[whose] if end == "top" else -errors[whose]

    def _gate(self, errors: "_Errors") -> Tensor | None:
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

    def _weights(
        self, patches: Partition, bins: Tensor | None, selected: Tensor, gate: Tensor | None,
        dtype: torch.dtype,
    ) -> Tensor:  # fmt: skip
        """By how much the sum of the loss over each patch, in `bins` of it, counts in its clip's loss."""
        share = selected.to(dtype) if gate is None else gate.to(dtype).masked_fill(~selected, 0)
        if self.normalizer == "bins":
            counts = patches.counts if bins is None else patches.sums(bins.long())
            total = (selected * counts).sum(dim=(1, 2), keepdim=True)
            return share / total.clamp(min=1)
        if self.normalizer == "patches":
            total = selected.sum(dim=(1, 2), keepdim=True).clamp(min=1)
        else:
            total = patches.present.sum(dim=(1, 2), keepdim=True).to(dtype) * self.keep
        return share / patches.counts.clamp(min=1) / total


@dataclass(frozen=True)
class _Outcome:
    """The losses of a batch (B,), with gradient, and on what they rest."""

    losses: Tensor
    crossover: Tensor | None
    patches: Partition | None = None
    gap: Tensor | None = None
    selected: Tensor | None = None
    gate: Tensor | None = None

    @torch.no_grad()
    def parts(self) -> dict[str, Tensor]:
        parts = {"loss": self.losses.detach()}
        if self.crossover is not None:
            crossover = self.crossover.to(self.losses.dtype)
            for percent in (25, 50, 75):
                parts[f"crossover_q{percent}"] = crossover.quantile(percent / 100, dim=1)
        if self.patches is None or self.selected is None:
            return parts
        counts = self.patches.counts
        parts["kept_share"] = (self.selected * counts).sum(dim=(1, 2)) / counts.sum(dim=(1, 2))
        present = self.patches.present
        if self.gate is not None:
            weights = self.gate.masked_fill(~present, 0).sum(dim=(1, 2))
            parts["gate_weight"] = weights / present.sum(dim=(1, 2))
        if self.gap is not None:
            parts["positive_gap_share"] = ((self.gap > 0) & present).sum(dim=(1, 2)) / present.sum(dim=(1, 2))
        return parts


class _Views:
    """The view that a bin loss takes of each spectrogram, taken once.

    A spectrogram is let go once seen: in a large batch memory costs more time than arithmetic.
    """

    def __init__(self, loss: BinLoss, spectra: dict[str, Tensor]) -> None:
        self.loss = loss
        self._spectra = spectra
        self._views: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._views:
            self._views[name] = self.loss.view(self._spectra.pop(name))
        return self._views[name]


class _Errors:
    """The error towards the clean speech of every patch (B, P, K), by whose it is, each computed once."""

    def __init__(
        self, views: _Views, low_band: Tensor | None, patches: Partition, reduction: Literal["mean", "sum"]
    ) -> None:
        self.patches = patches
        self._views, self._low_band, self._reduction = views, low_band, reduction
        self._maps: dict[str, Tensor] = {}
        self._errors: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._errors:
            self._errors[name] = self._per_patch(self._map(name))
        return self._errors[name]

    def gap(self) -> Tensor:
        """The knowledge gap, from the difference of the maps: exactly 0 where student and teacher agree."""
        return self._per_patch(self._map("student") - self._map("teacher"))

    def _map(self, name: str) -> Tensor:
        if name not in self._maps:
            views = self._views
            self._maps[name] = views.loss.compare(views[name], views["clean"], self._low_band)
        return self._maps[name]

    def _per_patch(self, values: Tensor) -> Tensor:
        sums = self.patches.sums(values)
        return sums if self._reduction == "sum" else sums / self.patches.counts.clamp(min=1)


def _mean_within(bin_map: Tensor, bins: Tensor | None) -> Tensor:
    """Mean of a map (B, F, K) over all bins of each clip, or over some; 0 where there are none: (B,)."""
    if bins is None:
        return bin_map.mean(dim=(1, 2))
    return (bin_map * bins).sum(dim=(1, 2)) / bins.sum(dim=(1, 2)).clamp(min=1)


def _sum(parts: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(parts)).sum(dim=0)
