"""KDRL's ratios over training as a figure (after the paper's figure 7).

Takes plain arrays, one entry a clip of every logged step; returns SVG text like `report.figures`.
"""

from dataclasses import dataclass

import numpy as np

from sedistill.common.report.figures import COLORS, INK, POINTS, as_svg, blank_axes

MOST_SPANS = 40  # points of the median's line
SINGLE_CLIPS = 10  # as many as the paper shows
BAND = (0.1, 0.9)  # quantiles over clips


@dataclass(frozen=True)
class RatioFigure:
    """The ratio (rows,) that the clip (rows,) got at the training step (rows,)."""

    title: str
    steps: np.ndarray
    clips: np.ndarray
    ratios: np.ndarray


def ratios_svg(figure: RatioFigure) -> str:
    """The median over clips, the band that holds 80 % of them, and faintly those seen most often."""
    canvas, axes = blank_axes(2.7)
    for clip in most_seen(figure.clips, SINGLE_CLIPS):
        rows = figure.clips == clip
        axes.plot(figure.steps[rows], figure.ratios[rows], color=INK, alpha=0.2, linewidth=0.8)
    steps, low, median, high = summarize(figure.steps, figure.ratios)
    color = COLORS["distilled"]
    axes.fill_between(steps, low, high, color=color, alpha=0.25, linewidth=0, label="80 % of the clips")
    axes.plot(steps, median, color=color, linewidth=2, label="median")
    axes.set(xlabel="training step", ylabel="ratio", ylim=(0, 1))
    axes.grid(axis="y", alpha=0.15, color=INK)
    axes.legend(frameon=False, labelcolor=INK, handlelength=1.4, fontsize=POINTS)
    return as_svg(canvas, figure.title)


def summarize(steps: np.ndarray, ratios: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean step, low quantile, median and high quantile of the ratios in each of up to 40 spans of training.

    The spans hold equally many different logged steps each (but for rounding), in order.
    """
    known = np.unique(steps)
    spans = np.array_split(known, min(MOST_SPANS, len(known))) if len(known) else []
    inside = [(steps >= span[0]) & (steps <= span[-1]) for span in spans]
    quantiles = np.array([np.quantile(ratios[rows], (BAND[0], 0.5, BAND[1])) for rows in inside])
    low, median, high = quantiles.reshape(-1, 3).T
    return np.array([span.mean() for span in spans]), low, median, high


def most_seen(clips: np.ndarray, most: int) -> np.ndarray:
    """The clips with the most rows, at least two each; among equals the lowest first."""
    known, counts = np.unique(clips, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return known[order][counts[order] >= 2]
