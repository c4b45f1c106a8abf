"""The page about trained networks: scores, sound, curves and pictures in one file without outside parts."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedistill.common.reading import TO_BE_READ
from sedistill.common.report.counts import human_count
from sedistill.common.report.document import render as render_template
from sedistill.common.report.figures import (
    DYNAMIC_RANGE_DB,
    BinsPanel,
    CurveFigure,
    Role,
    curves_svg,
    gap_svg,
    require_drawing,
    spectrograms_svg,
)
from sedistill.common.wording import UNKNOWN
from sedistill.common.writing import write_whole
from sedistill.evaluation.metrics import METRICS
from sedistill.evaluation.scores import NOISY, SetScores

NAMES: Mapping[str, str] = {
    "noisy": "noisy input", "alone": "student alone", "distilled": "distilled student", "teacher": "teacher",
    "clean": "clean speech",
}  # fmt: skip
HINTS = {
    "pesq_wb": "estimated opinion of listeners, 1 to 4.6",
    "stoi": "intelligibility, 0 to 1",
    "si_sdr": "how much of the output is the speech",
}


@dataclass(frozen=True)
class System:
    """A column of the table: the noisy input or a network, its label among the scores, and its size."""

    role: Role
    label: str
    parameters: int | None = None
    macs_per_second: float | None = None


@dataclass(frozen=True)
class Track:
    """One version of a clip to listen to: samples (T,) in [-1, 1], and its own scores as text."""

    role: Role
    samples: NDArray[np.float32]
    scores: str = ""


@dataclass(frozen=True)
class Player:
    """One clip in several versions, which can be switched while it plays."""

    title: str
    sample_rate: int
    tracks: Sequence[Track]


@dataclass(frozen=True)
class TrainingPage:
    """Everything the page shows. Paragraphs are plain text; `commands` are (comment, command line) pairs.

    legend: (color, meaning) of what is marked in the spectrograms.
    names: what the roles are called.
    """

    title: str
    summary: str
    scores: SetScores
    systems: Sequence[System]
    curves: Sequence[CurveFigure]
    spectrograms: Sequence[BinsPanel]
    players: Sequence[Player]
    reading: Sequence[str]
    commands: Sequence[tuple[str, str]]
    facts: Sequence[tuple[str, str]]
    gap: BinsPanel | None = None
    legend: Sequence[tuple[str, str]] = ()
    names: Mapping[str, str] = field(default_factory=lambda: NAMES)

    def for_terminal(self) -> str:
        """A line a system, and what to make of it."""
        width = max(len(self.names[system.role]) for system in self.systems)
        lines = []
        for system in self.systems:
            means = ((one, self.scores.mean(system.label, one)) for one in self.scores.metrics)
            told = (f"{self.scores.label(one)} {mean:.{METRICS[one].digits}f}" for one, mean in means)
            lines.append(f"  {self.names[system.role]:<{width}}  {'   '.join(told)}")
        return "\n\n".join(["\n".join(lines), *self.reading])

    def render(self) -> str:
        """The page as HTML text. Raises UserError when jinja2 or matplotlib is not installed."""
        require_drawing("writing a page")
        return render_template(
            "training_page.html.jinja", self.title, self.summary, self.facts,
            filters={"wav": _wav_uri, "count": human_count},
            report=self,
            names=self.names,
            rows=[self._row(metric) for metric in self.scores.metrics],
            clip_scores=", ".join(map(self.scores.label, self.scores.metrics)),
            range_db=DYNAMIC_RANGE_DB,
            curves=[(figure, curves_svg(figure)) for figure in self.curves],
            spectrograms=list(zip(self.spectrograms, spectrograms_svg(self.spectrograms), strict=True)),
            gap=gap_svg(self.gap) if self.gap else "",
        )  # fmt: skip

    def write(self, path: Path | str) -> None:
        """Write the page to `path`. Raises UserError when jinja2 or matplotlib is not installed."""
        page = self.render()
        write_whole(path, page, **TO_BE_READ)

    def _row(self, metric: str) -> Mapping[str, object]:
        """A line of the table: what is measured, and mean, spread, gain over noisy and n of each system."""
        digits = METRICS[metric].digits
        found = [self.scores.statistic(system.label, metric) for system in self.systems]
        same = len({(one.n, one.of) for one in found}) == 1 and found[0].n == found[0].of
        cells = []
        for system, one in zip(self.systems, found, strict=True):
            gain = self.scores.improvement_statistic(system.label, metric)
            texts = [f"{one.mean:.{digits}f}"]
            texts += [f"± {one.sd:.{digits}f}"] if one.n > 1 else []
            texts += [f"{gain.mean:+.{digits}f}"] if gain.n and system.label != NOISY else []
            texts += [] if same else [f"n = {one.n} of {one.of}"]
            cells.append([text.replace("-", "−") for text in texts] if one.n else [UNKNOWN])
        hints = (HINTS.get(metric, ""), f"n = {found[0].n}" if same else "")
        return {"label": self.scores.label(metric), "hint": ", ".join(filter(None, hints)), "cells": cells}


def _wav_uri(samples: np.ndarray, sample_rate: int) -> str:
    """16-bit WAV as a data URI: every browser plays it."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, np.clip(samples, -1, 1), sample_rate, format="WAV", subtype="PCM_16")
    return "data:audio/wav;base64," + base64.b64encode(out.getvalue()).decode()
