"""Where the low band of each frame ends."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from sedistill.common.argument_checks import Declared

Scan = Literal["ascending", "descending"]


@dataclass(frozen=True)
class FrequencyAdapter(Declared):
    """Where a frame's low band ends: the largest relative jump of the running maximum over frequency.

    With a the magnitudes of a frame and F_o[i] = max(a_0 .. a_i), the crossover is the first argmax of
    (F_o[i+1] - F_o[i]) / (F_o[i] + eps) (DFKD 2025, equations 1-4). Bins 0 .. crossover are low, all others
    high; neither band is ever empty. On speech the literal form lies in the first few bins nearly always,
    because the running maximum starts from a tiny DC bin: log it, and try scan="descending" beside it.

    scan: "ascending" as printed, or "descending", which runs from the highest bin down.
    eps: what keeps the jump from silence finite.
    swap_bands: let losses treat the upper band as "low", as equations 5-6 name them. Patches do not swap.
    min_bin: lowest possible crossover.

    `adapter(magnitudes)` maps (B, F, K) to the last low bin (B, K), int64, without gradient.
    Raises UserError for impossible settings, ValueError for fewer than min_bin + 2 bins.

    The running maximum 1, 2, 2, 8 jumps most, by 6 from 2, above bin 2:

    >>> FrequencyAdapter()(torch.tensor([[[1.0], [2.0], [2.0], [8.0]]]))
    tensor([[2]])
    """

    scan: Annotated[
        Scan,
        Field(description="Direction in which the frequency adapter looks for the crossover."),
    ] = "ascending"
    eps: Annotated[float, Field(ge=0, le=1e6)] = 1e-8
    swap_bands: Annotated[bool, Field(description="DFKD: treat low as high, as its Eqs. 5-6 print it.")] = (
        False
    )
    min_bin: Annotated[int, Field(ge=0, le=65_535, description="The adapter starts at this bin.")] = 0

    @torch.no_grad()
    def __call__(self, magnitudes: Tensor) -> Tensor:
        bins = magnitudes.shape[1]
        if bins < self.min_bin + 2:
            raise ValueError(f"{bins} bins leave no crossover at or above min_bin = {self.min_bin}")
        ascending = self.scan == "ascending"
        frames = magnitudes.transpose(1, 2)  # frequency innermost, as in memory: twice as fast
        running_max = (frames if ascending else frames.flip(2)).cummax(dim=2).values
        below = running_max[..., :-1]
        jump = (running_max[..., 1:] - below).div_(below + self.eps)
        if ascending:
            return jump[..., self.min_bin :].argmax(dim=2) + self.min_bin
        # In the flipped order the last jump is the one between bins 1 and 0.
        return bins - 2 - jump[..., : bins - 1 - self.min_bin].argmax(dim=2)

    def low_band(self, crossover: Tensor, bins: int) -> Tensor:
        """Crossover (B, K) -> which bins a loss takes as its low band, bool (B, F, K)."""
        at_or_below = torch.arange(bins, device=crossover.device) <= crossover.unsqueeze(2)
        # Frequency stays the innermost dimension in memory, as torch.stft leaves it.
        return (~at_or_below if self.swap_bands else at_or_below).transpose(1, 2)
