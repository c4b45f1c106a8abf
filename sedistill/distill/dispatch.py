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
    require_positive: also drop selected patches whose KGS is not above 0; a clip with none left gives 0.
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
    score_reduction: Literal["mean", "sum"] = "mean"
    normalizer: Literal["bins", "patches", "eq6"] = "bins"
    reduction: Annotated[
        Literal["bins", "bands"],
        Field(
            description="DFKD: bins is one mean over all bins (the default), bands the sum of both bands' "
            "means, as its Eq. 10 prints it."
        ),
    ] = "bins"
    require_positive: bool = False
    per_band: bool = False
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
        if self.require_positive and self.score != "kgs":
            raise UserError(f"require_positive needs score = 'kgs', not '{self.score}'.")
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
        """The signals that are used, of "student", "teacher" and "clean"; for the others None will do."""
        teacher = self.target == "teacher" or (self._selects and self.score.startswith(("kgs", "teacher")))
        clean = self.target == "clean" or (self._selects and self.score != "random")
        return ("student", *["teacher"] * teacher, *["clean"] * clean)

    def __call__(self, student: Tensor, teacher: Tensor | None = None, clean: Tensor | None = None) -> Tensor:
        """Waveforms (B, T) -> scalar. Raises ValueError for a missing signal or shapes that differ."""
        return self._distil(self._spectra(student, teacher, clean)).losses.mean()

    def on_spectra(
        self, student: Tensor, teacher: Tensor | None = None, clean: Tensor | None = None
    ) -> Tensor:
        """The same from complex spectrograms (B, F, K), or real ones (B, F, K, 2), of any number of bins."""
        return self._distil(self._needed(student, teacher, clean, spectra_of)).losses.mean()

    def with_parts(
        self, student: Tensor, teacher: Tensor | None = None, clean: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and what to log of it by name: means over clips, 0-dim tensors without gradient.

        "loss"; "crossover_q25", "_q50", "_q75" (bins) where there is a crossover; "kept_share" (of all bins)
        where patches are selected; "positive_gap_share" (of all patches) where the knowledge gap is computed.
        """
        outcome = self._distil(self._spectra(student, teacher, clean))
        return outcome.losses.mean(), {name: values.mean() for name, values in outcome.parts().items()}

    @torch.no_grad()
    def explain(self, student: Tensor, teacher: Tensor, clean: Tensor) -> Explanation:
        """What the loss sees and selects in each clip, from all three waveforms (B, T)."""
        outcome = self._distil(self._spectra(student, teacher, clean, explaining=True), explaining=True)
        assert outcome.patches is not None
        assert outcome.gap is not None
        assert outcome.selected is not None
        return Explanation(
            gap=outcome.gap.masked_fill(~outcome.patches.present, torch.nan),
            selected=outcome.selected,
            patch_ids=outcome.patches.ids,
            crossover=outcome.crossover,
            parts=outcome.parts(),
        )

    @property
    def _selects(self) -> bool:
        return self.keep < 1 or self.normalizer != "bins" or self.require_positive

    @cached_property
    def _adapter(self) -> FrequencyAdapter | None:
        own, of_loss = self.adapter, self.loss.adapter
        if own is not None and of_loss is not None and own != of_loss:
            raise UserError("adapter and loss name different frequency adapters; give one.")
        return own or of_loss or (FrequencyAdapter() if self.patches.needs_crossover else None)

    def _spectra(
        self, student: Tensor, teacher: Tensor | None, clean: Tensor | None, explaining: bool = False
    ) -> dict[str, Tensor]:
        waves = self._needed(student, teacher, clean, clips_of, explaining)
        return {name: self.stft(wave) for name, wave in waves.items()}

    def _needed(
        self, student: Tensor, teacher: Tensor | None, clean: Tensor | None,
        form: Callable[[Tensor], Tensor], explaining: bool = False,
    ) -> dict[str, Tensor]:  # fmt: skip
        """The signals that this loss uses, by name, in one form; all but the student's are constants."""
        signals = {"student": form(student)}
        for name, signal in (("teacher", teacher), ("clean", clean)):
            if name not in self.needs and not explaining:
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
            gap, score = self._gap_and_score(views, low_band, patches, explaining)
            selected = self._select(gap, score, patches)
            # A patch without a score is not selected by it, and NaN in the clean speech would go unseen.
            unranked = (~score.isfinite() & patches.present).any(dim=(1, 2))[:, None, None]
            weights = [
                self._weights(patches, bins, selected, sums[0].dtype).masked_fill(unranked, torch.nan)
                for bins in averaged
            ]
        losses = _sum((part * weight).sum(dim=(1, 2)) for part, weight in zip(sums, weights, strict=True))
        return _Outcome(losses, crossover, patches, gap, selected)

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

    def _gap_and_score(
        self, views: "_Views", low_band: Tensor | None, patches: Partition, explaining: bool
    ) -> tuple[Tensor | None, Tensor]:
        """Knowledge gap (only where it is used) and ranking of the patches, each (B, P, K)."""

        def error(name: str) -> Tensor:
            return views.loss.compare(views[name], views["clean"], low_band)

        def per_patch(values: Tensor) -> Tensor:
            sums = patches.sums(values)
            return sums if self.score_reduction == "sum" else sums / patches.counts.clamp(min=1)

        gap = per_patch(error("student") - error("teacher")) if self.score == "kgs" or explaining else None
        if self.score == "random":
            return gap, torch.rand(patches.counts.shape, device=patches.counts.device)
        if self.score == "kgs":
            assert gap is not None
            return gap, gap
        whose, _, end = self.score.partition("_")
        errors = per_patch(error(whose))
        return gap, errors if end == "top" else -errors

    def _select(self, gap: Tensor | None, score: Tensor, patches: Partition) -> Tensor:
        if self.per_band:
            below = keep_top(score, patches.present & patches.low, self.keep)
            selected = below | keep_top(score, patches.present & ~patches.low, self.keep)
        else:
            selected = keep_top(score, patches.present, self.keep)
        return selected if gap is None or not self.require_positive else selected & (gap > 0)

    def _weights(
        self, patches: Partition, bins: Tensor | None, selected: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """By how much the sum of the loss over each patch, in `bins` of it, counts in its clip's loss."""
        if self.normalizer == "bins":
            counts = patches.counts if bins is None else patches.sums(bins.long())
            total = (selected * counts).sum(dim=(1, 2), keepdim=True)
            return selected.to(dtype) / total.clamp(min=1)
        if self.normalizer == "patches":
            total = selected.sum(dim=(1, 2), keepdim=True).clamp(min=1)
        else:
            total = patches.present.sum(dim=(1, 2), keepdim=True).to(dtype) * self.keep
        return selected.to(dtype) / patches.counts.clamp(min=1) / total


@dataclass(frozen=True)
class _Outcome:
    """The losses of a batch (B,), with gradient, and on what they rest."""

    losses: Tensor
    crossover: Tensor | None
    patches: Partition | None = None
    gap: Tensor | None = None
    selected: Tensor | None = None

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
        if self.gap is not None:
            present = self.patches.present
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


def _mean_within(bin_map: Tensor, bins: Tensor | None) -> Tensor:
    """Mean of a map (B, F, K) over all bins of each clip, or over some; 0 where there are none: (B,)."""
    if bins is None:
        return bin_map.mean(dim=(1, 2))
    return (bin_map * bins).sum(dim=(1, 2)) / bins.sum(dim=(1, 2)).clamp(min=1)


def _sum(parts: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(parts)).sum(dim=0)
