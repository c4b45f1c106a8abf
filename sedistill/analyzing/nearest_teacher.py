"""Which of several teachers a run chose, by frequency and by SNR: as figures and tables of the page."""

from sedistill.analyzing.patch_figures import share_text
from sedistill.analyzing.trends import RunTrends
from sedistill.common.report.document import Figure, Section, TextTable
from sedistill.common.report.figures import INK, POINTS, as_svg, blank_axes, drawn
from sedistill.training.teaching.chosen_teachers import Chosen, read_chosen, shares

GROUPS = {"band_hz": "frequency (Hz)", "snr_db": "SNR of the clip (dB)"}


def chosen_sections(run: RunTrends, number: int) -> list[Section]:
    """One section an objective that heard the best of several teachers; none for another run."""
    rows = read_chosen(run.folder)
    sections = []
    for place, objective in enumerate(dict.fromkeys(row.objective for row in rows)):
        own = [row for row in rows if row.objective == objective]
        title = f"The nearest teacher: {run.name}, {objective}"
        figures = [
            Figure(f"chosen-{number}-{place}-{by}", shares_svg(own, by, f"{title} by {by}"), f"By {label}")
            for by, label in GROUPS.items()
        ]
        tables = [_table(own, by, label) for by, label in GROUPS.items()]
        note = (
            "Of several teachers the one nearest to the clean speech teaches. The share of the bins in which "
            "each is that, over clips taken evenly before the training; it does not depend on the student."
        )
        sections.append(Section(title, note=note, figures=figures, tables=tables))
    return sections


def shares_svg(rows: list[Chosen], by: str, title: str) -> str:
    """A bar a group, in the colors of the teachers."""
    canvas, axes = blank_axes(2.7)
    groups = shares(rows, by)
    names = list(next(iter(groups.values())))
    below = [0.0] * len(groups)
    for number, name in enumerate(names):
        heights = [of_group[name] for of_group in groups.values()]
        axes.bar(range(len(groups)), heights, bottom=below, color=f"C{number}", label=drawn(name))
        below = [start + height for start, height in zip(below, heights, strict=True)]
    axes.set_xticks(range(len(groups)), [drawn(group) for group in groups])
    axes.set(xlabel=GROUPS[by], ylabel="share of the bins", ylim=(0, 1))
    axes.tick_params(axis="x", labelsize=0.8 * POINTS)
    axes.legend(
        frameon=False, labelcolor=INK, fontsize=0.9 * POINTS, ncols=3, loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
    )  # fmt: skip
    return as_svg(canvas, title)


def _table(rows: list[Chosen], by: str, label: str) -> TextTable:
    groups = shares(rows, by)
    names = list(next(iter(groups.values())))
    cells = [[group, *(share_text(of_group[name]) for name in names)] for group, of_group in groups.items()]
    return TextTable([label, *names], cells)
