"""Differences with their intervals, one line a method: a forest plot as SVG text like `report.figures`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sedistill.common.report.figures import COLORS, INK, POINTS, as_svg, blank_axes, drawn

ROW_INCHES, AROUND_INCHES = 0.3, 0.75
MARGIN = 0.06  # of the width, left and right of everything


@dataclass(frozen=True)
class ForestRow:
    """A difference with its interval over clips and, where there is more than one seed, over seeds.

    `seed_dots` are the differences of the single seeds. An interval that is not known is (NaN, NaN).
    """

    label: str
    difference: float
    clip_interval: tuple[float, float]
    seed_interval: tuple[float, float]
    seed_dots: Sequence[float]


@dataclass(frozen=True)
class ForestFigure:
    """Rows from top to bottom. `x_label` says what lies right of zero, `shown` the ends of the axis.

    Without ends the axis goes as far as the rows do; figures that are to be compared share theirs.
    """

    title: str
    x_label: str
    rows: Sequence[ForestRow]
    shown: tuple[float, float] | None = None


def forest_svg(figure: ForestFigure) -> str:
    """Thick: the interval over clips, a bar at the difference; dots: seeds; thin: the interval over seeds.

    The axis holds differences, dots and thick lines. Two or three seeds have intervals many times as wide:
    those leave the frame with an arrow instead of squeezing everything else.
    """
    canvas, axes = blank_axes(AROUND_INCHES + ROW_INCHES * len(figure.rows))
    low, high = figure.shown or shown_range(figure.rows)
    axes.axvline(0, color=INK, alpha=0.5, linewidth=1)
    for place, row in enumerate(figure.rows):
        if np.isfinite(row.seed_interval).all():
            seeds_low, seeds_high = np.clip(row.seed_interval, low, high)
            axes.plot([seeds_low, seeds_high], [place, place], color=INK, alpha=0.35, linewidth=1)
            for edge, marker in ((row.seed_interval[0], "<"), (row.seed_interval[1], ">")):
                if not low <= edge <= high:
                    end = np.clip(edge, low, high)
                    axes.plot(end, place, marker, color=INK, alpha=0.35, ms=5, mew=0, clip_on=False)
        ends, color = row.clip_interval, COLORS["distilled"]
        axes.plot(ends, [place, place], color=color, linewidth=4, solid_capstyle="butt")
        axes.plot(row.difference, place, "|", color=INK, ms=11, mew=2)
        axes.plot(row.seed_dots, [place] * len(row.seed_dots), "o", mfc="none", mec=INK, ms=4.5, mew=1)
    axes.set(xlim=(low, high), ylim=(len(figure.rows) - 0.4, -0.6), xlabel=drawn(figure.x_label))
    axes.set_yticks(range(len(figure.rows)), [drawn(row.label) for row in figure.rows])
    axes.tick_params(axis="y", length=0, labelsize=0.9 * POINTS)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", alpha=0.15, color=INK)
    axes.locator_params(axis="x", nbins=5)
    return as_svg(canvas, figure.title)


def shown_range(rows: Sequence[ForestRow]) -> tuple[float, float]:
    """The ends of the axis: zero, differences, dots and intervals over clips, and a margin."""
    values = [0.0, *(value for row in rows for value in (row.difference, *row.clip_interval, *row.seed_dots))]
    known = np.array([value for value in values if np.isfinite(value)])
    low, high = float(known.min()), float(known.max())
    margin = MARGIN * (high - low) or 1.0
    return low - margin, high + margin
