"""A paper's drawings: scores as lines, and one clip as each network makes it, waveform and spectrogram."""

from collections.abc import Iterator, Sequence

import numpy as np

from sedistill.audio.spectrum import Stft
from sedistill.common.report.document import Figure
from sedistill.common.report.figures import Curve, CurveFigure, Role, curves_svg
from sedistill.common.report.side_by_side import ClipPanel, side_by_side_svg
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.metrics import METRICS
from sedistill.inference.enhancing import enhance
from sedistill.workflows.reproducing.cells import Block, factor_of
from sedistill.workflows.reproducing.finished import Finished
from sedistill.workflows.reproducing.sources import Sources
from sedistill.workflows.reproducing.table import CLEAN_PANEL, NOISY_ROW, Chart, Picture, Table

ROLES: tuple[Role, ...] = ("alone", "clean", "distilled", "teacher")
"""The colors of a chart's lines, in their order."""


def charts(table: Table, blocks: Sequence[Block]) -> Iterator[Figure]:
    """Each chart of the table, once for each metric of its view, as far as there are numbers of ours."""
    by_key = {block.key: block for block in blocks}
    for number, chart in enumerate(table.charts, start=1):
        yield from _chart(chart, number, by_key[chart.view])


def _chart(chart: Chart, number: int, block: Block) -> Iterator[Figure]:
    cells = {line.row.key: dict(zip(block.columns, line.cells, strict=True)) for line in block.lines}
    for column in block.columns:
        curves = []
        for (label, rows), role in zip(chart.lines.items(), ROLES, strict=False):
            found = {x: cells[key][column].ours for x, key in sorted(rows.items()) if key in cells}
            known = {x: value for x, value in found.items() if np.isfinite(value)}
            if known:
                curves.append(Curve(label, role, list(known), list(known.values())))
        if curves:
            metric = METRICS[column[0]].label + (" (%)" if factor_of(block.view, column) == 100 else "")
            caption = f"{chart.title}: {metric}"
            svg = curves_svg(CurveFigure(caption, metric, curves, x_label=chart.x_label))
            yield Figure(f"chart-{number}-{column[0]}", svg, caption=caption)


def pictures(finished: Finished, sources: Sources) -> Iterator[Figure]:
    """Each picture of the table, of the first seed of every row that is finished."""
    for number, picture in enumerate(finished.table.pictures, start=1):
        if sources.set(picture.set).exists():
            yield _picture(finished, FixedSet(sources.set(picture.set)), picture, number)


def _picture(finished: Finished, pairs: FixedSet, picture: Picture, number: int) -> Figure:
    clip = chosen_clip(pairs, picture.noise, number - 1)
    noisy, clean = pairs[clip]
    rows = {row.key: row for row in finished.table.rows}
    stft = Stft()
    panels = []
    for key in picture.panels:
        if key in (CLEAN_PANEL, NOISY_ROW):
            samples = clean if key == CLEAN_PANEL else noisy
            title = key
        else:
            runs = finished.runs_of(rows[key])
            if not runs:
                continue
            samples = np.asarray(enhance(finished.output / runs[0].student, noisy, pairs.sample_rate))
            title = rows[key].label
        panels.append(ClipPanel(title, samples, stft.level_db(samples)))
    noise = pairs.noise_classes[clip].decode() or "noise of a kind that is not known"
    caption = f"{picture.title}. {pairs.name(clip)}: {noise}, SNR {pairs.snr_db[clip]:.1f} dB"
    return Figure(f"picture-{number}", side_by_side_svg(caption, panels, pairs.sample_rate), caption=caption)


def chosen_clip(pairs: FixedSet, noise: str | None, number: int) -> int:
    """The first clip with that noise; without such a one the clip of this `number` from the lowest SNR on."""
    if noise is not None and (of_noise := np.flatnonzero(pairs.noise_classes == noise.encode())).size:
        return int(of_noise[0])
    return int(np.argsort(pairs.snr_db, kind="stable")[number % len(pairs)])
