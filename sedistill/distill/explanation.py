"""What DISPatch saw and selected: to log, to read and to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sedistill.common.errors import UserError
from sedistill.common.extras import needed
from sedistill.distill.choice import Choice
from sedistill.distill.patches import Partition, values_of_bins
from sedistill.distill.several import shares_chosen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Outcome:
    """The losses of a batch (B,), with gradient, and on what they rest."""

    losses: Tensor
    crossover: Tensor | None
    patches: Partition | None = None
    choice: Choice | None = None
    teachers: Sequence[str] = ()
    chosen: Tensor | None = None

    @torch.no_grad()
    def parts(self) -> dict[str, Tensor]:
        parts = {"loss": self.losses.detach()}
        if self.chosen is not None:
            parts |= shares_chosen(self.chosen, self.teachers)
        if self.crossover is not None:
            crossover = self.crossover.to(self.losses.dtype)
            quarters = crossover.quantile(crossover.new_tensor([0.25, 0.5, 0.75]), dim=1)
            parts |= zip(("crossover_q25", "crossover_q50", "crossover_q75"), quarters, strict=True)
        if self.patches is None or self.choice is None:
            return parts
        counts, present, choice = self.patches.counts, self.patches.present, self.choice
        parts["kept_share"] = (choice.selected * counts).sum(dim=(1, 2)) / counts.sum(dim=(1, 2))
        patches = present.sum(dim=(1, 2))
        if choice.gate is not None:
            parts["gate_weight"] = choice.gate.masked_fill(~present, 0).sum(dim=(1, 2)) / patches
        if choice.gap is not None:
            parts["positive_gap_share"] = ((choice.gap > 0) & present).sum(dim=(1, 2)) / patches
        return parts


@dataclass(frozen=True, repr=False)
class Explanation:
    """What DISPatch saw in a batch of B clips, F bins, K frames, at most P patches a frame.

    gap: knowledge gap of each patch, (B, P, K), NaN where a frame has fewer patches; selected: which patches
    count, bool (B, P, K); patch_ids: the patch of each bin, (B, F, K); crossover: last low bin (B, K), or
    None where bands play no part; parts: the logged values by name, one a clip, (B,); gate: the weight that
    the gate leaves to each patch, selected or not, in [0, 1], (B, P, K), NaN as `gap`; None without a gate;
    teachers: the names of several; chosen: which of them is the teacher in each bin, int64 (B, F, K); None
    where there is one; disagreement: where it ranks, how far several teachers are from what they are
    together, (B, P, K);
    patch_frames: frames a patch, for each of which K counts once; rule: which patches count, in words.

    Printed, it is a summary of a few lines.
    """

    gap: Tensor
    selected: Tensor
    patch_ids: Tensor
    crossover: Tensor | None
    parts: dict[str, Tensor]
    gate: Tensor | None = None
    patch_frames: int = 1
    rule: str = ""
    teachers: Sequence[str] = ()
    chosen: Tensor | None = None
    disagreement: Tensor | None = None

    @property
    def selected_bins(self) -> Tensor:
        """Which bins the loss counts, bool (B, F, K)."""
        return self._of_bins(self.selected)

    @property
    def gap_per_bin(self) -> Tensor:
        """The knowledge gap of the patch that each bin is in, (B, F, K)."""
        return self._of_bins(self.gap)

    @property
    def weight_per_bin(self) -> Tensor:
        """By how much the loss in a bin counts, 0 (not selected, or the gate closed) to 1, (B, F, K)."""
        weight = self.selected.to(self.gap.dtype)
        if self.gate is not None:
            weight = self.gate.masked_fill(~self.selected, 0)
        return self._of_bins(weight)

    def _of_bins(self, values: Tensor) -> Tensor:
        return values_of_bins(values, self.patch_ids, self.patch_frames)

    def __repr__(self) -> str:
        clips, bins, length = self.patch_ids.shape
        loss, present = self.parts["loss"], self.gap.isfinite()
        lines = [
            f"clips {clips}, bins {bins}, frames {length}",
            *([f"counted    {self.rule}"] if self.rule else []),
            f"loss       {_number(loss.mean())} ({_number(loss.min())} to {_number(loss.max())} by clip)",
            f"selected   {_share(self.selected, present)} of the patches, "
            f"{_share(self.selected_bins)} of the bins",
            f"gap        above 0, the teacher ahead, in {_share(self.gap > 0, present)} of the patches; "
            f"median {_number(self.gap.nanmedian())}",
        ]
        if self.gate is not None:
            lines.append(
                f"gate       open in {_share(self.gate > 0, present)} of the patches; "
                f"mean weight {_number(self.gate[present].mean())}"
            )
        if self.chosen is not None:
            shares = [f"{name} in {_share(self.chosen == n)}" for n, name in enumerate(self.teachers)]
            lines.append(f"teacher    {', '.join(shares)} of the bins")
        if self.disagreement is not None:
            apart = [self.disagreement[where & present] for where in (self.selected, ~self.selected)]
            inside, outside = (_number(values.median()) if len(values) else "-" for values in apart)
            lines.append(
                f"agreement  the teachers are apart by {inside} in the median selected patch, "
                f"by {outside} in that of the others"
            )
        if self.crossover is not None:
            frames = self.crossover.double().flatten()
            low, middle, high = (frames.quantile(share).item() for share in (0.25, 0.5, 0.75))
            lines.append(f"crossover  bin {middle:g} in the median frame, half of them {low:g} to {high:g}")
        return "\n".join(lines)

    def plot(self, clip: int = 0, axes: "Axes | None" = None) -> "Figure":
        """Draw a clip's knowledge gap over frames and bins, the paler the less a patch counts.

        Patches whose gate is closed are gray; a line is at the crossover.

        axes: where to draw; None makes a figure. Returns the figure; it is shown in a notebook, or written by
        `savefig`. Raises UserError where matplotlib is missing.
        """
        axes = axes or _new_axes()
        from matplotlib.colors import CenteredNorm

        gap = self.gap_per_bin[clip].double().cpu().numpy()
        weight = self.weight_per_bin[clip].double().cpu().numpy()
        limit = np.quantile(np.abs(gap), 0.99) or None  # a few patches may be far above all others
        drawn = axes.pcolormesh(gap, cmap="RdBu_r", norm=CenteredNorm(halfrange=limit), rasterized=True)
        pale = axes.pcolormesh(np.ones_like(gap), cmap="gray", vmin=0, vmax=1, rasterized=True)
        pale.set_alpha(0.8 * (1 - weight))  # type: ignore[arg-type]
        if self.gate is not None:
            closed = self._of_bins(self.gate == 0)[clip].cpu().numpy()
            gray = axes.pcolormesh(np.zeros_like(gap), cmap="gray", vmin=0, vmax=1, rasterized=True)
            gray.set_alpha(0.4 * closed)  # type: ignore[arg-type]
        if self.crossover is not None:
            axes.step(
                range(gap.shape[1]), self.crossover[clip].cpu() + 1, where="post", color="black", lw=0.8
            )
        axes.set(xlabel="frame", ylabel="bin")
        figure = axes.figure
        figure.colorbar(drawn, ax=axes, label="knowledge gap (above 0: the teacher is ahead)")
        return figure  # type: ignore[return-value]

    def plot_teachers(self, clip: int = 0, axes: "Axes | None" = None) -> "Figure":
        """Draw which of several teachers is the teacher in each bin of a clip, each in its own color.

        axes, returns, raises: as for `plot`; UserError also where there is one teacher.
        """
        if self.chosen is None:
            raise UserError("there is one teacher, so nothing is chosen; give several by their names.")
        axes = axes or _new_axes()
        from matplotlib.colors import ListedColormap

        colors = [f"C{n}" for n in range(len(self.teachers))]
        chosen = self.chosen[clip].cpu().numpy()
        axes.pcolormesh(chosen, cmap=ListedColormap(colors), vmin=0, vmax=len(colors), rasterized=True)
        for name, color in zip(self.teachers, colors, strict=True):
            axes.plot([], [], "s", color=color, label=name)
        axes.legend(loc="upper right")
        axes.set(xlabel="frame", ylabel="bin")
        return axes.figure  # type: ignore[return-value]


def _new_axes() -> "Axes":
    figure = needed("matplotlib.figure", "report", "plotting", package="matplotlib").Figure
    return figure(figsize=(8, 4), layout="constrained").subplots()


def _share(what: Tensor, among: Tensor | None = None) -> str:
    chosen = what if among is None else what[among]
    return f"{100 * chosen.double().mean().item():.0f} %"


def _number(value: Tensor) -> str:
    return f"{value.item():.3g}"
