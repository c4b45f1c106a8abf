"""Figures of a patch analysis: errors by category over a training, and spectrograms colored by patch.

Takes plain arrays and returns SVG text like `report.figures`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sedistill.common.report.figures import (
    COLORS,
    DYNAMIC_RANGE_DB,
    INK,
    MOST_DOTS,
    POINTS,
    as_svg,
    bins_image,
    blank_axes,
    drawn,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# After DISPatch (2025), figure 2; told apart by people who do not see red and green too.
CATEGORY_COLORS = {
    "converging": "#3b82c4", "converged": "#b9bec6", "challenging": "#e8a33d", "exploding": "#d1365f",
}  # fmt: skip
DARKEST = 0.45  # brightness of a category's color where the sound is quietest


@dataclass(frozen=True)
class CategoryCurve:
    """The mean error of the patches of one category at some steps, and their share of all patches."""

    category: str
    share: float
    steps: Sequence[float]
    errors: Sequence[float]


@dataclass(frozen=True)
class CategoryCurves:
    """One line a category that has patches."""

    title: str
    curves: Sequence[CategoryCurve]
    error_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class CategoryMap:
    """The category of each bin, an index into `CATEGORY_COLORS` (bins, frames), over levels in dB."""

    title: str
    categories: np.ndarray
    level_db: np.ndarray
    bin_hz: float
    frame_seconds: float


@dataclass(frozen=True)
class ShareMap:
    """A share from 0 to 1 for each bin (bins, frames). `label` says of what."""

    title: str
    label: str
    shares: np.ndarray
    bin_hz: float
    frame_seconds: float


def category_curves_svg(figure: CategoryCurves) -> str:
    """Mean errors on a logarithmic scale, the shares in the legend."""
    canvas, axes = blank_axes(3.1)
    for curve in figure.curves:
        dots = "o" if len(curve.steps) <= MOST_DOTS else None
        label = f"{curve.category} {share_text(curve.share)}"
        color = CATEGORY_COLORS[curve.category]
        axes.plot(curve.steps, curve.errors, color=color, linewidth=2, label=label, marker=dots, ms=4)
    axes.set(xlabel="training step", ylabel="mean error", yscale="log", ylim=figure.error_range)
    axes.grid(axis="y", alpha=0.15, color=INK)
    if figure.curves:
        _legend_above(axes)
    return as_svg(canvas, figure.title)


def category_map_svg(figure: CategoryMap) -> str:
    """Each patch in the color of its category, the brighter the louder."""
    canvas, axes = blank_axes(2.7)
    colors = np.array([_rgb(color) for color in CATEGORY_COLORS.values()])
    quietest = figure.level_db.max() - DYNAMIC_RANGE_DB
    loudness = np.clip((figure.level_db - quietest) / DYNAMIC_RANGE_DB, 0, 1)
    brightness = DARKEST + (1 - DARKEST) * loudness
    bins_image(axes, colors[figure.categories] * brightness[..., None], figure.bin_hz, figure.frame_seconds)
    for category, color in CATEGORY_COLORS.items():
        axes.plot([], [], "s", color=color, label=category, ms=7)
    _legend_above(axes)
    return as_svg(canvas, figure.title)


def share_map_svg(figure: ShareMap) -> str:
    """Shares as shades of one color, with their scale."""
    from matplotlib.colors import LinearSegmentedColormap

    canvas, axes = blank_axes(2.4)
    shades = LinearSegmentedColormap.from_list("share", ["#16181d", COLORS["distilled"], "#f4f1ea"])
    image = bins_image(axes, figure.shares, figure.bin_hz, figure.frame_seconds, cmap=shades, vmin=0, vmax=1)
    bar = canvas.colorbar(image, ax=axes, format="{x:.0%}", ticks=[0, 0.5, 1])
    bar.ax.tick_params(colors=INK, labelsize=POINTS, length=3)
    bar.outline.set_visible(False)
    bar.set_label(drawn(figure.label), color=INK, size=POINTS)
    return as_svg(canvas, figure.title)


def share_text(share: float) -> str:
    """A share in per cent; what is there but rounds to nothing is not called 0."""
    if 0 < share < 0.0005:
        return "<0.1 %"
    return f"{100 * share:.1f} %"


def _legend_above(axes: "Axes") -> None:
    axes.legend(
        frameon=False, labelcolor=INK, handlelength=1.2, fontsize=0.9 * POINTS, ncols=2, columnspacing=1.5,
        loc="lower center", bbox_to_anchor=(0.5, 1.0), borderaxespad=0.2,
    )  # fmt: skip


def _rgb(color: str) -> tuple[float, float, float]:
    red, green, blue = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue
