"""A benchmark as tables for the terminal, and as a page with a picture of quality against cost."""

from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING

from sedistill.common.report.counts import human_count
from sedistill.common.report.document import Document, Figure, Section, TextTable
from sedistill.common.report.figures import as_svg
from sedistill.common.wording import UNKNOWN
from sedistill.evaluation.metrics import METRICS as KNOWN
from sedistill.workflows.benchmarking.cases import FOREIGN
from sedistill.workflows.benchmarking.cost_figure import Point, cost_canvas
from sedistill.workflows.benchmarking.measurements import METRICS, Benchmark, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

PICTURE = "quality-and-cost"
TIME_NOTE = (
    "RTF: time that a second of sound takes, of whole clips where a way takes them, else step by step "
    "(stream); CPU time on one thread, time on the clock on several, and of programs, which "
    "work in processes of their own (their memory is not known). p50, p99 and worst: of a step, on the "
    "clock."
)
SIZE_NOTE = (
    "MB held: by a process that does nothing else, in steps where there are some, Python and its imports "
    "counted; a denoiser from elsewhere is opened with PyTorch beside it. kB: of the file."
)
PICTURE_NOTE = (
    "Up is better, left is cheaper. CPU time of one thread, in steps where there are some; a line joins the "
    "ways of one network."
)

Cell = Callable[[Row], str]


def benchmark_tables(found: Benchmark) -> list[tuple[str, TextTable]]:
    """Times, then sizes and quality; each fits 80 columns."""
    times: dict[str, Cell] = {
        "RTF": lambda row: _of_costs(row, "real_time", 4),
        f"on {found.cores}": lambda row: _number(row.real_time_all, 4),
        "stream": lambda row: _of_costs(row, "streaming", 4),
        "p50 ms": lambda row: _of_costs(row, "p50_ms", 2),
        "p99 ms": lambda row: _of_costs(row, "p99_ms", 2),
        "worst": lambda row: _of_costs(row, "worst_ms", 1),
    }
    sizes: dict[str, Cell] = {
        "MB held": lambda row: _of_costs(row, "memory_mb", 0),
        "kB": lambda row: _number(None if row.bytes is None else row.bytes / 1000, 0),
        "params": lambda row: _count(row.parameters),
        "MAC/s": lambda row: _count(row.macs_per_second),
    }
    noisy = []
    if found.set_name:
        for name in METRICS:
            sizes[KNOWN[name].label] = lambda row, name=name: _score(row.scores, name)  # type: ignore[misc]
        noisy.append(
            ["noisy", *[""] * (len(sizes) - len(METRICS)), *(_score(found.noisy, n) for n in METRICS)]
        )
    quality = f"Size and quality on {found.set_name} ({found.clips} clips)" if found.set_name else "Size"
    return [
        ("Time", TextTable(["", *times], _rows(found, times), TIME_NOTE)),
        (quality, TextTable(["", *sizes], [*_rows(found, sizes), *noisy], SIZE_NOTE)),
    ]


def sentences(found: Benchmark) -> list[str]:
    """What makes the times doubtful, and what could not be measured and why."""
    refused = [f"{row.label} was not measured: {row.refused}" for row in found.rows if row.refused]
    return [*(text[0].upper() + text[1:] for text in found.warnings), *refused]


def benchmark_document(found: Benchmark) -> Document:
    """Everything, with the picture where there is quality to draw."""
    sections = [Section(title, tables=[table]) for title, table in benchmark_tables(found)]
    if found.noisy:
        picture = Figure(PICTURE, as_svg(quality_and_cost(found), "Quality against cost"))
        sections.insert(0, Section("Quality and cost", PICTURE_NOTE, figures=[picture]))
    return Document(
        title="What it costs",
        summary=f"{found.rounds} rounds of {found.seconds:g} s of sound, each case in a process of its own.",
        sections=[Section(sentences=sentences(found)), *sections],
        facts=found.made_by.lines(),
    )


def quality_and_cost(found: Benchmark) -> "MatplotlibFigure":
    """The picture, as a matplotlib figure."""
    metric = KNOWN[METRICS[0]]
    points = [
        Point(row.network, row.way, row.costs.streaming or row.costs.real_time, row.scores[metric.name])
        for row in found.rows
        if row.costs and metric.name in row.scores
    ]
    return cost_canvas(points, metric.label, found.noisy[metric.name])


def _rows(found: Benchmark, columns: dict[str, Cell]) -> list[list[str]]:
    rows = []
    for network, of_one in groupby(found.rows, key=lambda row: row.network):
        ways = list(of_one)
        if ways[0].way != FOREIGN:
            rows.append([network, *[""] * len(columns)])
        for row in ways:
            label = network if row.way == FOREIGN else f"  {row.way}"
            rows.append([label, *(cell(row) for cell in columns.values())])
    return rows


def _of_costs(row: Row, name: str, digits: int) -> str:
    return _number(None if row.costs is None else getattr(row.costs, name), digits)


def _score(scores: dict[str, float], name: str) -> str:
    return _number(scores.get(name), KNOWN[name].digits)


def _number(value: float | None, digits: int) -> str:
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else human_count(value)
