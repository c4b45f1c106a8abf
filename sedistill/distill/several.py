"""Several teachers at once: which of them is heard where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from sedistill.audio.spectrum import Stft
from sedistill.common.argument_checks import Declared
from sedistill.common.errors import UserError
from sedistill.distill.bin_losses import BinLoss
from sedistill.distill.magnitudes import squared_magnitude
from sedistill.distill.patches import Partition

# best: where each is nearest to the clean speech; mean: their average; bands: each has a band of its own.
Rule = Literal["best", "mean", "bands"]


def least(errors: Tensor) -> Tensor:
    """Whose error (N, ...) is least, int64 (...), of equal ones the first.

    One that is not finite comes before all, so that it shows in whatever is computed from what is chosen.

    >>> least(torch.tensor([[2.0, 1.0, 0.0], [1.0, 1.0, torch.inf]]))
    tensor([1, 0, 1])
    """
    return errors.masked_fill(~errors.isfinite(), -torch.inf).argmin(dim=0)


@torch.no_grad()
def nearest_teacher(
    metric: BinLoss, of_each: Sequence[Tensor], clean: Tensor, low_band: Tensor | None,
    patches: Partition | None,
) -> Tensor:  # fmt: skip
    """In every bin, whose spectrum is nearest to the clean speech's in its patch, int64 (B, F, K).

    Spectra (B, F, K); patches: None compares bin by bin.
    """
    truth = metric.view(clean)
    maps = [metric.compare(metric.view(spectrum), truth, low_band) for spectrum in of_each]
    if patches is None:
        return least(torch.stack(maps))
    return patches.of_bins(least(torch.stack([patches.sums(one) for one in maps])))


def pick(of_each: Sequence[Tensor], chosen: Tensor) -> Tensor:
    """Of values (...) of each those of whoever is chosen, (...), in memory as they are."""
    picked = of_each[0].clone()
    for number, one in enumerate(of_each[1:], start=1):
        torch.where(chosen == number, one, picked, out=picked)
    return picked


def shares_chosen(chosen: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """The share of the bins (B, F, K) of each clip in which each teacher is chosen, (B,) by "chosen_NAME"."""
    return {f"chosen_{name}": (chosen == n).float().mean(dim=(1, 2)) for n, name in enumerate(names)}


@dataclass(frozen=True)
class Several(Declared):
    """What several teachers say together, as one waveform.

        together, chosen = Several("mean")({"a": wave, "b": wave}, clean)  # (B, T) each -> (B, T)

    rule: "best": of each bin of the spectrogram the complex value nearest to the clean speech, brought back
        to a waveform. Its spectrogram's squared error is at most that of the best teacher alone in each clip:
        it is at most so bin by bin, and going back projects. (DISPatch chooses for each patch, by its own
        loss, when it is given the teachers themselves.)
        "mean": their average. "bands": the first teacher up to the first of the edges, the second from there
        to the next, and so on; a frequency on an edge belongs to the upper band.
    edges_hz: rising frequencies between the bands, one less than there are teachers.

    The names' order matters in "bands" alone, and in "best" where two are equally near: there the first is
    chosen. Raises UserError for edges that cannot be, ValueError for other than one teacher a band.
    """

    rule: Rule = "best"
    edges_hz: Sequence[float] = ()
    sample_rate: int = 16_000
    stft: Stft = field(default_factory=Stft)

    def __post_init__(self) -> None:
        super().__post_init__()
        edges = [0.0, *self.edges_hz, self.sample_rate / 2]
        if any(not low < high for low, high in pairwise(edges)):
            given = ", ".join(f"{edge:g}" for edge in self.edges_hz)
            raise UserError(
                f"edges of {given} Hz are not possible; they rise, between 0 and {self.sample_rate / 2:g} Hz."
            )
        if self.edges_hz and self.rule != "bands":
            raise UserError(f"edges belong to the rule 'bands', not to '{self.rule}'.")

    def __call__(self, teachers: Mapping[str, Tensor], clean: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """(B, T) by name -> (B, T), and what to log: the share of the bins of each where the best is chosen.

        Only "best" looks at the clean speech (B, T).
        """
        waves = torch.stack(list(teachers.values()))
        if self.rule == "mean":
            return waves.mean(dim=0), {}
        if self.rule == "bands":
            return self._in_bands(waves), {}
        chosen = self.chosen(teachers, clean)
        together = self.stft.inverse(pick([self.stft(wave) for wave in waves], chosen), clean.shape[-1])
        shares = shares_chosen(chosen, list(teachers))
        return together, {name: share.mean() for name, share in shares.items()}

    def chosen(self, teachers: Mapping[str, Tensor], clean: Tensor) -> Tensor:
        """Whose bin is nearest to that of the clean speech, by number, int64 (B, F, K)."""
        truth = self.stft(clean)
        return least(torch.stack([squared_magnitude(self.stft(wave) - truth) for wave in teachers.values()]))

    def _in_bands(self, waves: Tensor) -> Tensor:
        if len(waves) != len(self.edges_hz) + 1:
            raise ValueError(f"{len(self.edges_hz)} edges are between {len(self.edges_hz) + 1} teachers")
        spectra = torch.fft.rfft(waves.float())
        frequencies = torch.fft.rfftfreq(waves.shape[-1], 1 / self.sample_rate, device=waves.device)
        edges = torch.tensor(self.edges_hz, device=waves.device, dtype=frequencies.dtype)
        band = torch.bucketize(frequencies, edges, right=True)
        return torch.fft.irfft(pick(list(spectra), band), n=waves.shape[-1])
