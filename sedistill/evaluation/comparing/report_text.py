"""What a comparison says, in tables and sentences: from its numbers to plain data for text and page."""

import math
from collections.abc import Sequence

from sedistill.common.report.document import Document, Figure, Section, TextTable
from sedistill.common.wording import UNKNOWN, counted
from sedistill.evaluation.comparing.alignment import AlignedSet
from sedistill.evaluation.comparing.by_snr import differences_by_snr
from sedistill.evaluation.comparing.cautions import below_noisy, cluster_sentences, counted_clips
from sedistill.evaluation.comparing.comparison import Comparison, Difference
from sedistill.evaluation.comparing.forest import ForestFigure, ForestRow, forest_svg, shown_range
from sedistill.evaluation.comparing.significance import PairedTest, t_quantile
from sedistill.evaluation.labels import file_names
from sedistill.evaluation.metrics import METRICS

SIGNIFICANT = 0.05
SEEDS_FOR_WILCOXON = 6  # 2 / 2^6 is the first power below 0.05
FIGURES_NOTE = (
    "In color: the 95 % interval over clips, with the difference as a bar; circles: single seeds; thin line: "
    "95 % interval over seeds, with an arrow where it goes on beyond the frame. One axis for each metric on "
    "all sets; in every picture better is to the side that its axis names."
)


def comparison_document(comparison: Comparison, facts: Sequence[tuple[str, str]]) -> Document:
    """Everything the text and the page show: how to read it, all figures, all tables, the summaries first."""
    names = [scores.name for scores in comparison.sets]
    keys = dict(zip(names, file_names(names), strict=True))
    shown = [(scores, metric) for scores in comparison.sets for metric in scores.metrics]
    figures = [_figure(comparison, one, metric, f"{keys[one.name]}-{metric}") for one, metric in shown]
    tested = comparison.methods
    methods = tested[0] if len(tested) == 1 else f"{len(tested)} methods"
    return Document(
        title=f"{methods} against {comparison.baseline}",
        summary=_summary(comparison),
        sections=[
            Section(sentences=reading(comparison)),
            Section("All differences", FIGURES_NOTE, figures=figures),
            *(Section(title, tables=[table]) for title, table in summary_tables(comparison)),
            *(_section(comparison, scores, metric) for scores, metric in shown),
        ],
        facts=facts,
    )


def summary_tables(comparison: Comparison) -> list[tuple[str, TextTable]]:
    """Of each set, with its heading."""
    return [
        (
            f"Differences from {comparison.baseline} on {scores.name} ({counted_clips(scores)})",
            summary_table(comparison, scores),
        )
        for scores in comparison.sets
    ]


def summary_table(comparison: Comparison, scores: AlignedSet) -> TextTable:
    """One line a metric: the baseline's mean, and every method's difference and whether it is borne out."""
    by_metric = {metric: comparison.of(scores.name, metric) for metric in scores.metrics}
    methods = [row.method for row in next(iter(by_metric.values()))]
    rows = [
        [
            scores.metrics[metric],
            _number(rows[0].baseline_mean, METRICS[metric].digits),
            *(_marked(row, metric) for row in rows),
        ]
        for metric, rows in by_metric.items()
    ]
    note = (
        f"The mean of {comparison.baseline}, and differences from it with the half of their 95 % intervals "
        f"over clips. c, s: p < {SIGNIFICANT} in the t-test over clips, over seeds, after Holm's correction "
        "(those of noisy and teacher uncorrected)."
    )
    return TextTable(["", comparison.baseline, *methods], rows, note)


def _figure(comparison: Comparison, scores: AlignedSet, metric: str, key: str) -> Figure:
    label = scores.metrics[metric]
    x_label = f"Δ{label} (better →)" if METRICS[metric].higher_is_better else f"Δ{label} (← better)"
    on_all_sets = [row for one in comparison.sets for row in _forest_rows(comparison, one, metric)]
    figure = ForestFigure(
        f"{label}: differences from {comparison.baseline} on {scores.name}",
        x_label,
        _forest_rows(comparison, scores, metric),
        shown_range(on_all_sets),
    )
    return Figure(key, forest_svg(figure), heading=f"{label} on {scores.name}")


def _section(comparison: Comparison, scores: AlignedSet, metric: str) -> Section:
    rows = comparison.of(scores.name, metric)
    tables = [clips_table(comparison, metric, rows)]
    if any(len(row.seeds) > 1 for row in rows):
        tables.append(seeds_table(comparison, metric, rows))
    if len(scores.snr_ranges) > 1:
        tables.append(snr_table(comparison, scores, metric))
    return Section(f"{scores.metrics[metric]} on {scores.name}", tables=tables)


def clips_table(comparison: Comparison, metric: str, rows: Sequence[Difference]) -> TextTable:
    """The tests over clips, and the share of the gap that was closed."""
    digits = METRICS[metric].digits
    header = [
        "", "clips", "mean", comparison.baseline, "difference [95 %]",
        "t-test p (Holm)", "Wilcoxon p (Holm)", "d_z", "gap closed [95 %]",
    ]  # fmt: skip
    cells = [
        [
            row.method,
            str(row.of) if row.clips == row.of else f"{row.clips} of {row.of}",
            _number(row.method_mean, digits),
            _number(row.baseline_mean, digits),
            interval_text(row.over_clips, digits),
            _both(row.over_clips.p_t, row.corrected.clips_t),
            _both(row.over_clips.p_wilcoxon, row.corrected.clips_wilcoxon),
            _signed(row.over_clips.d_z, 2),
            _gap_text(row, comparison),
        ]
        for row in rows
    ]
    note = "Over clips: differences averaged over seeds."
    if any(row.clusters is not None for row in rows):
        note += (
            " Clips that share a recording are not independent: intervals and t-tests are between recordings."
        )
    if comparison.teacher is None:
        header, cells = header[:-1], [row[:-1] for row in cells]
    return TextTable(header, cells, note)


def seeds_table(comparison: Comparison, metric: str, rows: Sequence[Difference]) -> TextTable:
    """The tests over seeds."""
    digits = METRICS[metric].digits
    header = [
        "", "seeds", "difference of each", "mean [95 %]", "t-test p (Holm)", "Wilcoxon p (Holm)", "d_z",
    ]  # fmt: skip
    cells = [
        [
            row.method,
            ", ".join(map(str, row.seeds)) or UNKNOWN,
            ", ".join(_signed(value, digits) for value in row.by_seed) or UNKNOWN,
            interval_text(row.over_seeds, digits),
            _both(row.over_seeds.p_t, row.corrected.seeds_t),
            _both(row.over_seeds.p_wilcoxon, row.corrected.seeds_wilcoxon),
            _signed(row.over_seeds.d_z, 2),
        ]
        for row in rows
    ]
    return TextTable(header, cells, "Over seeds: differences averaged over clips, paired by seed.")


def snr_table(comparison: Comparison, scores: AlignedSet, metric: str) -> TextTable:
    """The differences of every method within each range of SNR."""
    digits = METRICS[metric].digits
    header = ["", *(f"{snr} ({within.sum()} clips)" for snr, within in scores.snr_ranges.items())]
    cells = []
    for method in comparison.methods:
        found = differences_by_snr(comparison, scores, metric, method)
        cells.append([method, *(interval_text(one.test, digits) for one in found)])
    note = "By SNR: differences with their 95 % intervals over the clips of a range, not corrected."
    return TextTable(header, cells, note)


def reading(comparison: Comparison) -> list[str]:
    """How to read the numbers, and what they do not say."""
    methods, sets = len(comparison.methods), len(comparison.sets)
    family = counted(comparison.family_size, "hypothesis", "hypotheses")
    sentences = [
        *below_noisy(comparison),
        "Over clips is about other clips of the same kind, for the networks at hand; over seeds is about "
        "other seeds, for the clips at hand. A method is better only as far as both say so.",
        f"All tests are paired and two-tailed. Holm's correction is over at most {family} for each metric "
        f"and test: {counted(methods, 'method')} on {counted(sets, 'set')}, as far as they got that test. "
        "Intervals are not corrected.",
        *cluster_sentences(comparison),
        "d_z is the mean difference in standard deviations of the differences.",
        *_seed_sentences(comparison),
        *_dropped_sentence(comparison),
    ]
    if comparison.teacher is not None:
        baseline, teacher = comparison.baseline, comparison.teacher
        sentences.append(
            f"Gap closed: (method - {baseline}) / ({teacher} - {baseline}), with Fieller's interval over "
            f"clips; {UNKNOWN} where {teacher} is not clearly better (on every seed, and at the 5 % level "
            f"over clips). The same scores of {teacher} stand beside every seed: nothing here is about other "
            "teachers."
        )
    return sentences


def _seed_sentences(comparison: Comparison) -> list[str]:
    rows = [row for row in comparison.differences if row.method in comparison.methods]
    by_method = {row.method: row.seeds for row in rows}
    counts = sorted({len(seeds) for seeds in by_method.values()})
    sentences = []
    for count in counts:
        names = ", ".join(method for method, seeds in by_method.items() if len(seeds) == count)
        whose = "" if len(counts) == 1 else f" ({names})"
        if count == 0:
            sentences.append(
                f"No seed in common with {comparison.baseline}{whose}: nothing is paired by seed, and "
                "whether a difference is the method's or that of the seeds cannot be concluded."
            )
        elif count == 1:
            sentences.append(
                f"One seed{whose}: whether a difference would come back with another seed cannot be "
                "concluded. The tests over clips compare these trained networks, not the methods; train more "
                "seeds for that."
            )
        elif count < SEEDS_FOR_WILCOXON:
            sentences.append(
                f"{count} seeds{whose}: the Wilcoxon test over seeds cannot fall below p = "
                f"{2 / 2**count:g}, whatever they show, and the interval reaches {t_quantile(count - 1):.1f} "
                "standard errors to each side. A large p over seeds is no sign that there is no difference."
            )
    if len(set(by_method.values())) > 1:
        sentences.append(
            "Not all methods have the same seeds; each is compared on those it shares with the baseline."
        )
    return sentences


def _dropped_sentence(comparison: Comparison) -> list[str]:
    dropped = [row for row in comparison.differences if row.clips < row.of]
    if not dropped:
        return []
    worst = max(dropped, key=lambda row: row.of - row.clips)
    label = METRICS[worst.metric].label
    return [
        "A pair is dropped where the metric is undefined for either network with any seed; the column clips "
        f"counts what is left (fewest: {worst.clips} of {worst.of}, {label} of {worst.method} on "
        f"{worst.set_name})."
    ]


def _summary(comparison: Comparison) -> str:
    sets = " and ".join(f"{one.name} ({counted_clips(one)})" for one in comparison.sets)
    seeds = sorted({len(row.seeds) for row in comparison.differences if row.method in comparison.methods})
    of_seeds = counted(seeds[0], "seed") if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    return f"{', '.join(comparison.methods)}: each against {comparison.baseline}, {of_seeds}, on {sets}."


def _forest_rows(comparison: Comparison, scores: AlignedSet, metric: str) -> list[ForestRow]:
    """Of the methods under test; noisy input and teacher lie far out and would squeeze them."""
    return [
        ForestRow(
            row.method,
            row.over_clips.mean,
            (row.over_clips.low, row.over_clips.high),
            (row.over_seeds.low, row.over_seeds.high),
            row.by_seed,
        )
        for row in comparison.of(scores.name, metric)
        if row.method in comparison.methods
    ]


def _marked(row: Difference, metric: str) -> str:
    clips, seeds = row.corrected.clips_t, row.corrected.seeds_t
    if math.isnan(clips) and math.isnan(seeds):
        clips, seeds = row.over_clips.p_t, row.over_seeds.p_t
    marks = ("c" if clips < SIGNIFICANT else "") + ("s" if seeds < SIGNIFICANT else "")
    test, digits = row.over_clips, METRICS[metric].digits
    text = _signed(test.mean, digits)
    if not math.isnan(test.low):
        text += f" ± {(test.high - test.low) / 2:.{digits}f}"
    return f"{marks} {text}" if marks else text


def _gap_text(row: Difference, comparison: Comparison) -> str:
    closed = row.gap_closed
    if row.method == comparison.teacher or closed is None:
        return UNKNOWN
    return f"{100 * closed.value:.0f} % [{100 * closed.low:.0f}, {100 * closed.high:.0f}]"


def interval_text(test: PairedTest, digits: int) -> str:
    """+0.050 [+0.040, +0.060], without the brackets where there is no interval."""
    mean = _signed(test.mean, digits)
    return mean if math.isnan(test.low) else f"{mean} [{test.low:+.{digits}f}, {test.high:+.{digits}f}]"


def p_text(p: float) -> str:
    """Two or three decimals; small ones as a bound, none as a dash."""
    if math.isnan(p):
        return UNKNOWN
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _both(p: float, corrected: float) -> str:
    return p_text(p) if math.isnan(corrected) else f"{p_text(p)} ({p_text(corrected)})"


def _number(value: float, digits: int) -> str:
    return UNKNOWN if math.isnan(value) else f"{value:.{digits}f}"


def _signed(value: float, digits: int) -> str:
    return UNKNOWN if math.isnan(value) else f"{value:+.{digits}f}"
