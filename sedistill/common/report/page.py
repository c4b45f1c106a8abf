"""One web page that holds everything: tables, figures and sound in a single file without outside parts."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sedistill.common.reading import TO_BE_READ
from sedistill.common.report import document
from sedistill.common.report.figures import (
    DYNAMIC_RANGE_DB,
    CurveFigure,
    GapPanel,
    Role,
    SpectrogramPanel,
    curves_svg,
    gap_svg,
    require_drawing,
    spectrograms_svg,
)
from sedistill.common.writing import atomic_path


@dataclass(frozen=True)
class Score:
    """A mean over `n` of `total` clips, their standard deviation, and the improvement over the noisy input.

    The improvement is None for that input itself.
    """

    mean: float
    spread: float
    n: int
    total: int
    improvement: float | None = None


@dataclass(frozen=True)
class Metric:
    """A line of the table: what is measured, how to read it, with how many digits to print it."""

    key: str
    label: str
    hint: str
    digits: int = 2


@dataclass(frozen=True)
class System:
    """A column of the table: the noisy input or a network, with its size and its scores by metric key."""

    name: str
    role: Role
    scores: dict[str, Score]
    parameters: int | None = None
    macs_per_second: float | None = None


@dataclass(frozen=True)
class Track:
    """One version of a clip to listen to: samples (T,) in [-1, 1], and its own scores as text."""

    name: str
    role: Role
    samples: np.ndarray
    scores: str = ""


@dataclass(frozen=True)
class Player:
    """One clip in several versions, which can be switched while it plays."""

    title: str
    sample_rate: int
    tracks: Sequence[Track]


@dataclass(frozen=True)
class ReportData:
    """Everything the page shows. Paragraphs are plain text; `commands` are (comment, command line) pairs.

    legend: (colour, meaning) of what is marked in the spectrograms. clip_scores: which scores tracks carry.
    """

    title: str
    summary: str
    systems: Sequence[System]
    metrics: Sequence[Metric]
    curves: Sequence[CurveFigure]
    spectrograms: Sequence[SpectrogramPanel]
    gap: GapPanel | None
    players: Sequence[Player]
    reading: Sequence[str]
    commands: Sequence[tuple[str, str]]
    facts: Sequence[tuple[str, str]]
    legend: Sequence[tuple[str, str]] = ()
    clip_scores: str = ""


def write_page(report: ReportData, path: Path | str) -> None:
    """Write the page to `path`. Raises UserError when jinja2 or matplotlib is not installed."""
    page = render(report)
    with atomic_path(path) as temporary:
        temporary.write_text(page, **TO_BE_READ)


def render(report: ReportData) -> str:
    """The page as HTML text."""
    require_drawing("writing a page")
    return document.render(
        "demo.html.jinja",
        report.title,
        report.summary,
        report.facts,
        filters={
            "wav": _wav_uri,
            "count": human_count,
            "signed": _signed,
            "number": _number,
            "common_n": _common_n,
        },
        report=report,
        range_db=DYNAMIC_RANGE_DB,
        curves=[(figure, curves_svg(figure)) for figure in report.curves],
        spectrograms=list(zip(report.spectrograms, spectrograms_svg(report.spectrograms), strict=True)),
        gap=gap_svg(report.gap) if report.gap else "",
    )  # fmt: skip


def _common_n(report: ReportData, metric: Metric) -> int | None:
    """The number of clips when every system was scored on all of them, else None: then each says its own."""
    scores = [system.scores[metric.key] for system in report.systems if metric.key in system.scores]
    counts = {(score.n, score.total) for score in scores}
    same = len(counts) == 1 and all(n == total for n, total in counts)
    return scores[0].n if same else None


def human_count(value: float) -> str:
    """A count as people say it, three digits at most: 36 k, 1.46 M, 9.8 G."""
    for divisor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * divisor:
            scaled = value / divisor
            digits = 0 if scaled >= 99.95 else 1 if scaled >= 9.995 else 2
            text = f"{scaled:.{digits}f}"
            return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {unit}"
    return f"{value:.0f}"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def _wav_uri(samples: np.ndarray, sample_rate: int) -> str:
    """16-bit WAV as a data URI: every browser plays it."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, np.clip(samples, -1, 1), sample_rate, format="WAV", subtype="PCM_16")
    return "data:audio/wav;base64," + base64.b64encode(out.getvalue()).decode()
