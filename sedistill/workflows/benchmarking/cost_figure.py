"""The picture of quality against cost: one dot a way, the ways of one network joined."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sedistill.common.report.figures import COLORS, INK, POINTS, blank_axes, drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WAY_COLORS = {
    "eager": COLORS["alone"], "compiled": COLORS["noisy"], "onnx": COLORS["distilled"],
    "int8": COLORS["clean"], "foreign": COLORS["teacher"],
}  # fmt: skip


@dataclass(frozen=True)
class Point:
    """A network in a way: its real-time factor and its score."""

    network: str
    way: str
    cost: float
    quality: float


def cost_canvas(points: Sequence[Point], quality: str, noisy: float) -> "Figure":
    """Dots over a logarithmic axis of cost; `noisy` is the score of the input, a dashed line."""
    canvas, axes = blank_axes(3.4)
    axes.axhline(noisy, color=COLORS["noisy"], linestyle="--", linewidth=1)
    axes.annotate("noisy", (1, noisy), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                  fontsize=0.85 * POINTS, color=COLORS["noisy"])  # fmt: skip
    for network in dict.fromkeys(point.network for point in points):
        mine = sorted((point.cost, point.quality) for point in points if point.network == network)
        axes.plot(*zip(*mine, strict=True), color=INK, alpha=0.3, linewidth=1)
        axes.annotate(drawn(network), mine[-1], xytext=(7, 1), textcoords="offset points", va="bottom",
                      fontsize=0.85 * POINTS, color=INK)  # fmt: skip
    for way in dict.fromkeys(point.way for point in points):
        dots = [(point.cost, point.quality) for point in points if point.way == way]
        label = "from elsewhere" if way == "foreign" else way
        axes.plot(*zip(*dots, strict=True), "o", color=WAY_COLORS[way], ms=7, label=label, linestyle="")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(lambda cost, _: f"{cost:g}" if f"{cost:.0e}"[0] in "235" else "")
    axes.margins(x=0.25, y=0.15)
    axes.set(xlabel="real-time factor, one thread", ylabel=drawn(quality))
    axes.grid(alpha=0.15, color=INK)
    axes.legend(frameon=False, labelcolor=INK, fontsize=0.85 * POINTS, ncols=2, loc="upper center",
                bbox_to_anchor=(0.5, 1.2))  # fmt: skip
    return canvas
