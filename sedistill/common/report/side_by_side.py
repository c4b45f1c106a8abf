"""Waveforms and spectrograms of one clip below each other, each as another network makes it.

Takes plain arrays and returns SVG text like `report.figures`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sedistill.common.report.figures import (
    COLORS,
    DYNAMIC_RANGE_DB,
    INK,
    POINTS,
    WIDTH_INCHES,
    as_svg,
    drawn,
)

ROW_INCHES = 1.15
SPANS = 600
"""Stretches of a waveform of which the least and the largest sample are drawn."""


@dataclass(frozen=True)
class ClipPanel:
    """A row of the figure: samples (T,), and their levels in dB (bins, frames)."""

    title: str
    samples: np.ndarray
    level_db: np.ndarray


def side_by_side_svg(title: str, panels: Sequence[ClipPanel], sample_rate: int) -> str:
    """The waveform on the left and the spectrogram on the right, every panel on the scales of the loudest."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(2 * WIDTH_INCHES, ROW_INCHES * len(panels) + 0.4), layout="constrained")
    rows = canvas.subplots(len(panels), 2, sharex=True, squeeze=False)
    seconds = max(len(panel.samples) for panel in panels) / sample_rate
    peak = max(max(float(np.abs(panel.samples).max()) for panel in panels), 1e-6)
    loudest = max(float(panel.level_db.max()) for panel in panels)
    for panel, (wave, spectrum) in zip(panels, rows, strict=True):
        low, high = envelope(panel.samples)
        places = (np.arange(len(low)) + 0.5) / len(low) * len(panel.samples) / sample_rate
        wave.fill_between(places, low, high, color=COLORS["clean"], linewidth=0)
        wave.set(xlim=(0, seconds), ylim=(-peak, peak), yticks=[])
        wave.set_title(drawn(panel.title), color=INK, size=POINTS, loc="left")
        spectrum.imshow(
            panel.level_db, origin="lower", aspect="auto", interpolation="nearest", cmap="magma",
            extent=(0, len(panel.samples) / sample_rate, 0, sample_rate / 2000),
            vmin=loudest - DYNAMIC_RANGE_DB, vmax=loudest,
        )  # fmt: skip
        spectrum.set_ylabel("kHz", color=INK, size=POINTS)
        for axes in (wave, spectrum):
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(colors=INK, labelsize=0.8 * POINTS, length=3)
    for axes in rows[-1]:
        axes.set_xlabel("seconds", color=INK, size=POINTS)
    return as_svg(canvas, title)


def envelope(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest sample of each of at most 600 stretches, which leave none out."""
    pieces = np.array_split(samples, min(SPANS, len(samples)))
    return np.array([piece.min() for piece in pieces]), np.array([piece.max() for piece in pieces])
