"""Figures for a web page: SVG text that takes its colors and its font from the page around it.

Everything takes plain arrays and returns a string; nothing here knows of networks or runs.
"""

import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sedistill.common.extras import require
from sedistill.common.reading import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

Role = Literal["noisy", "alone", "distilled", "teacher", "clean"]

# Readable on white and on near-black; the page uses the same four.
COLORS: dict[Role, str] = {
    "noisy": "#8a8f98",
    "alone": "#d9822b",
    "distilled": "#12947f",
    "teacher": "#7a6ff0",
    "clean": "#3b82c4",
}
INK = "#010203"  # stands for the page's text color
DYNAMIC_RANGE_DB = 70.0
MOST_DOTS = 20  # points of a curve that are marked one by one
WIDTH_INCHES, POINTS = 5.2, 10.5  # on a phone (about 350 px) the text is still some 10 px high


@dataclass(frozen=True)
class Curve:
    """One line of a figure."""

    label: str
    role: Role
    steps: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True)
class CurveFigure:
    """Some quantity over training steps, one line a run."""

    title: str
    y_label: str
    curves: Sequence[Curve]
    note: str = ""
    x_label: str = "training step"


@dataclass(frozen=True)
class BinsPanel:
    """Levels in dB (bins, frames), or the knowledge gap: positive where the teacher is closer to the clean.

    `taught`: bool (bins, frames), True where a patch is distilled; the rest is veiled.
    `crossover`: last bin of the low band in every frame (frames,).
    """

    title: str
    values: np.ndarray
    bin_hz: float
    frame_seconds: float
    taught: np.ndarray | None = None
    crossover: np.ndarray | None = None


def drawn(name: str) -> str:
    """A name as text that matplotlib draws as it is: no formula between two $, no label dropped for its _."""
    text = shown(name).replace("$", r"\$")
    return f"\u200b{text}" if text.startswith("_") else text


def curves_svg(figure: CurveFigure) -> str:
    """A line chart."""
    canvas, axes = blank_axes(2.7)
    for curve in figure.curves:
        dots = "o" if len(curve.steps) <= MOST_DOTS else None
        axes.plot(
            curve.steps, curve.values, color=COLORS[curve.role], linewidth=2, label=drawn(curve.label),
            marker=dots, ms=4,
        )  # fmt: skip
    axes.set_xlabel(drawn(figure.x_label))
    axes.set_ylabel(drawn(figure.y_label))
    axes.grid(axis="y", alpha=0.15, color=INK)
    axes.legend(frameon=False, labelcolor=INK, handlelength=1.4, fontsize=POINTS)
    return as_svg(canvas, figure.title)


def spectrograms_svg(panels: Sequence[BinsPanel]) -> list[str]:
    """One picture a panel, all on the color scale of the loudest."""
    loudest = max((float(panel.values.max()) for panel in panels), default=0.0)
    return [_spectrogram(panel, loudest) for panel in panels]


def gap_svg(panel: BinsPanel) -> str:
    """The gap in two colors on a logarithmic scale: the teacher's where it is ahead, else the student's.

    It has no numbers: gaps span many powers of ten, and only their order and sign decide what is distilled.
    """
    from matplotlib.colors import LinearSegmentedColormap

    canvas, axes = blank_axes(3.2)
    colors = [COLORS["alone"], "#f4f1ea", COLORS["teacher"]]
    shown = signed_log(panel.values)
    limit = max(float(np.nanquantile(np.abs(shown), 0.995)), 1e-12)
    color_map = LinearSegmentedColormap.from_list("gap", colors)
    scale: dict[str, Any] = {"cmap": color_map, "vmin": -limit, "vmax": limit}
    bins_image(axes, shown, panel.bin_hz, panel.frame_seconds, **scale)
    _marks(axes, panel, line="#111111")
    return as_svg(canvas, panel.title)


def signed_log(gap: np.ndarray) -> np.ndarray:
    """sign(gap) log(1 + |gap| / m) with m the median of the non-zero |gap|: monotonic; 0 and NaN stay."""
    size = np.abs(gap)
    known = size[size > 0]
    scale = max(np.median(known), 1e-12 * known.max()) if len(known) else 1.0
    return np.sign(gap) * np.log1p(size / scale)


def _spectrogram(panel: BinsPanel, loudest_db: float) -> str:
    canvas, axes = blank_axes(3.2)
    scale: dict[str, Any] = {"cmap": "magma", "vmin": loudest_db - DYNAMIC_RANGE_DB, "vmax": loudest_db}
    bins_image(axes, panel.values, panel.bin_hz, panel.frame_seconds, **scale)
    _marks(axes, panel, line="#7df9e0")
    return as_svg(canvas, panel.title)


def _marks(axes: "Axes", panel: BinsPanel, line: str) -> None:
    """Veil what is not distilled, draw the crossover."""
    if panel.taught is not None:
        veil = np.zeros((*panel.taught.shape, 4))
        veil[~panel.taught] = (0.55, 0.57, 0.6, 0.82)
        bins_image(axes, veil, panel.bin_hz, panel.frame_seconds)
    if panel.crossover is not None:
        frames = np.arange(len(panel.crossover)) * panel.frame_seconds
        heights = (np.asarray(panel.crossover) + 0.5) * panel.bin_hz / 1000
        axes.plot(frames, heights, color=line, linewidth=0.9, drawstyle="steps-mid")


def bins_image(
    axes: "Axes", values: np.ndarray, bin_hz: float, frame_seconds: float, start_seconds: float = 0.0,
    **colors: Any,
) -> "AxesImage":  # fmt: skip
    """An image with a field for every bin and frame (bins, frames), over seconds and kHz."""
    bins, frames = values.shape[:2]
    left, bottom = start_seconds - frame_seconds / 2, -bin_hz / 2000
    extent = (left, left + frames * frame_seconds, bottom, bottom + bins * bin_hz / 1000)
    image = axes.imshow(
        values, origin="lower", aspect="auto", interpolation="nearest", extent=extent, **colors
    )
    axes.set(xlim=extent[:2], ylim=extent[2:], xlabel="seconds", ylabel="kHz")
    axes.locator_params(nbins=5)
    axes.xaxis.set_major_formatter("{x:g}")
    return image


def blank_axes(height_inches: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained")
    axes = canvas.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=INK, alpha=0.35)
    axes.tick_params(colors=INK, labelsize=POINTS, length=3)
    axes.xaxis.label.set(color=INK, size=POINTS)
    axes.yaxis.label.set(color=INK, size=POINTS)
    return canvas, axes


def as_svg(canvas: "Figure", title: str) -> str:
    """The figure as an <svg> element: no size of its own, the page's ink and font, ids of its own."""
    import matplotlib
    from markupsafe import escape

    title = shown(title)
    out = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the page's font draws the text
        canvas.savefig(out, format="svg", transparent=True, metadata=nothing)
    text = out.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)


def standing_alone(svg: str) -> str:
    """A figure as a file of its own: its ink and font no longer come from a page."""
    return svg.replace("<svg", '<svg style="color: #1d2128; background: #fff; font-family: sans-serif"', 1)


def require_drawing(what: str) -> None:
    """Raises UserError when the packages that figures and pages need are not installed. what: "comparing"."""
    require(("matplotlib", "jinja2"), "report", what)
