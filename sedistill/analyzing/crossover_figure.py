"""The figure of DFKD's crossover over time: a spectrogram with a dot a frame for each way to find it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sedistill.common.report.figures import (
    DYNAMIC_RANGE_DB,
    INK,
    POINTS,
    as_svg,
    bins_image,
    blank_axes,
    drawn,
)

# Bright on a dark spectrogram, distinct under color blindness. Dots, since the crossover jumps a lot.
DOTS = (("o", "#7df9e0"), ("s", "#ffd166"))


@dataclass(frozen=True)
class CrossoverFigure:
    """Levels in dB (bins, frames), and by name the last low bin of each frame (frames,)."""

    title: str
    level_db: np.ndarray
    bin_hz: float
    frame_seconds: float
    crossovers: Mapping[str, np.ndarray]
    start_seconds: float = 0.0


def crossover_svg(figure: CrossoverFigure) -> str:
    """The spectrogram, and the upper edge of the low band as dots for each of the (at most two) names."""
    canvas, axes = blank_axes(3.2)
    loudest = float(figure.level_db.max())
    colors = {"cmap": "magma", "vmin": loudest - DYNAMIC_RANGE_DB, "vmax": loudest}
    bins_image(axes, figure.level_db, figure.bin_hz, figure.frame_seconds, figure.start_seconds, **colors)
    middles = figure.start_seconds + np.arange(figure.level_db.shape[1]) * figure.frame_seconds
    for (name, crossover), (shape, color) in zip(figure.crossovers.items(), DOTS, strict=False):
        edge = (np.asarray(crossover) + 0.5) * figure.bin_hz / 1000
        axes.plot(middles, edge, shape, color=color, markersize=1.8, markeredgewidth=0, label=drawn(name))
    legend = axes.legend(
        labelcolor="#f4f1ea", facecolor="#16181d", edgecolor="none", framealpha=0.75, fontsize=0.9 * POINTS,
        loc="upper right", markerscale=3, handlelength=0.8,
    )  # fmt: skip
    legend.set_zorder(3)
    axes.set_title(drawn(figure.title), color=INK, size=POINTS, loc="left")
    return as_svg(canvas, figure.title)
