"""The knowledge gap of patches, and the errors it is the difference of."""

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from sedistill.distill.averaging import total_of
from sedistill.distill.bin_losses import BinLoss
from sedistill.distill.needed_signals import ONE_OF
from sedistill.distill.patches import Partition

ScoreReduction = Annotated[
    Literal["mean", "sum"],
    Field(description="DISPatch: how the bins of a patch are scored; sum as its Eq. 1 prints it."),
]


class Views:
    """The view that a bin loss takes of each spectrogram, taken once.

    A spectrogram is let go once seen: in a large batch memory costs more time than arithmetic.
    """

    def __init__(self, loss: BinLoss, spectra: dict[str, Tensor]) -> None:
        self.loss = loss
        self._spectra = spectra
        self._views: dict[str, Any] = {}
        self.of_several = [name for name in spectra if name.startswith(ONE_OF)]

    def __getitem__(self, name: str) -> Any:
        if name not in self._views:
            self._views[name] = self.loss.view(self._spectra.pop(name))
        return self._views[name]


class PatchErrors:
    """The error towards the clean speech of every patch (B, P, J), by whose it is, each computed once."""

    def __init__(
        self, views: Views, low_band: Tensor | None, patches: Partition, reduction: ScoreReduction
    ) -> None:
        self.patches = patches
        self._views, self._low_band, self._reduction = views, low_band, reduction
        self._maps: dict[str, Tensor] = {}
        self._errors: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._errors:
            self._errors[name] = self._per_patch(self._map(name))
        return self._errors[name]

    @cached_property
    def gap(self) -> Tensor:
        """The knowledge gap, from the difference of the maps: exactly 0 where student and teacher agree."""
        return self._per_patch(self._map("student") - self._map("teacher"))

    @cached_property
    def removed(self) -> Tensor:
        """How far the teacher's output is from the noisy input."""
        views = self._views
        return self._per_patch(views.loss.compare(views["noisy"], views["teacher"], self._low_band))

    @cached_property
    def disagreement(self) -> Tensor:
        """How far several teachers are, in the mean, from the one that they are together."""
        views = self._views
        together, names = views["teacher"], views.of_several
        maps = (views.loss.compare(views[name], together, self._low_band) for name in names)
        return self._per_patch(total_of(maps) / len(names))

    def _map(self, name: str) -> Tensor:
        if name not in self._maps:
            views = self._views
            self._maps[name] = views.loss.compare(views[name], views["clean"], self._low_band)
        return self._maps[name]

    def _per_patch(self, values: Tensor) -> Tensor:
        sums = self.patches.sums(values)
        return sums if self._reduction == "sum" else sums / self.patches.counts.clamp(min=1)
