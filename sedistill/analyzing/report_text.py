"""What a patch analysis says, in figures, tables and sentences: from numbers to data for text and page."""

from collections.abc import Sequence

import numpy as np

from sedistill.analyzing.categories import CATEGORIES
from sedistill.analyzing.gaps import KEEP, Gap, distilled_shares, mean_over_bins, over_bins, stft_of
from sedistill.analyzing.nearest_teacher import chosen_sections
from sedistill.analyzing.patch_figures import (
    CategoryCurve,
    CategoryCurves,
    CategoryMap,
    ShareMap,
    category_curves_svg,
    category_map_svg,
    share_map_svg,
    share_text,
)
from sedistill.analyzing.trends import RunTrends
from sedistill.common.report.document import Document, Figure, Section, TextTable
from sedistill.common.report.figures import BinsPanel, gap_svg
from sedistill.common.wording import UNKNOWN, counted

WIDER = (1, 2, 3)  # the paper names thresholds of 0.01, 0.02 and 0.03
FEW_RECORDS = 10
SHOWN_CLIPS = 2


WATCHED = {
    "valid": "The clips are of the validation set; the paper takes a sample of its training data "
    "(patch_record.split: train).",
    "train": "The clips are of the training data, as in the paper, so overfitting counts too.",
}


def analysis_document(
    runs: Sequence[RunTrends], gaps: Sequence[Gap], facts: Sequence[tuple[str, str]]
) -> Document:
    """Everything the text and the page show."""
    return Document(
        title="What became of the patches",
        summary=_summary(runs),
        sections=[
            Section(sentences=reading(runs, gaps)),
            Section("Shares of the categories", tables=[shares_table(runs), widened_table(runs)]),
            _curves_section(runs),
            *(_gap_section(gap) for gap in gaps),
            *(section for number, run in enumerate(runs) for section in chosen_sections(run, number)),
            *(
                _clip_section(runs, gaps, place)
                for place in range(min(SHOWN_CLIPS, len(runs[0].record.clips)))
            ),
        ],
        facts=facts,
    )


def shares_table(runs: Sequence[RunTrends]) -> TextTable:
    """One line a run: the share of each category over all clips."""
    rows = [[run.name, *map(share_text, run.shares()), f"{run.categories.size:,}"] for run in runs]
    return TextTable(["", *CATEGORIES, "patches"], rows, "Of the patches of all clips.")


def widened_table(runs: Sequence[RunTrends]) -> TextTable:
    """The shares with thresholds further apart: what hangs on them."""
    sorting = runs[0].sorting
    rows = [
        [f"{run.name}, {factor * sorting.converging_below:g} and {factor * sorting.exploding_above:g}",
         *map(share_text, run.shares_at(factor))]
        for run in runs for factor in WIDER
    ]  # fmt: skip
    return TextTable(["", *CATEGORIES], rows, "The same with thresholds two and three times as far from 0.")


def gap_table(gap: Gap, whose: RunTrends) -> TextTable:
    """What DISPatch makes of the patches in each category of one of the two runs."""
    record = gap.student.record
    distilled = distilled_shares(record)
    columns: dict[str, np.ndarray] = {"teacher ahead": gap.gap > 0, f"selected, keep {KEEP:g}": gap.selected}
    if distilled is not None:
        columns["distilled in training"] = mean_over_bins(distilled, record.facts["patch_size"])
    rows = []
    for category, name in enumerate(CATEGORIES):
        inside = whose.categories == category
        means = [
            share_text(values[inside].mean()) if inside.any() else UNKNOWN for values in columns.values()
        ]
        rows.append([name, share_text(inside.mean()), *means])
    rows.append(["all", share_text(1.0), *(share_text(values.mean()) for values in columns.values())])
    return TextTable(["", "share", *columns], rows, f"By the categories of {whose.name}.")


def reading(runs: Sequence[RunTrends], gaps: Sequence[Gap]) -> list[str]:
    """How to read the numbers, and what they do not say."""
    sorting, facts = runs[0].sorting, runs[0].record.facts
    level = facts["clean_rms_db"]
    sentences = [
        "Of each patch a line is fitted to its error over the training, and the change over that line sorts "
        f"it: below {sorting.converging_below:g} converging, above {sorting.exploding_above:g} exploding. "
        "What is stable has converged if its last error is at most the mean of its clip; else it is "
        "challenging.",
        f"The thresholds go with the level and with the {sorting.bin_reduction} over the bins of a patch: "
        "errors grow with the square of the level. The clean speech had an RMS of "
        f"{np.median(level):.1f} dB full scale ({min(level):.1f} to {max(level):.1f} over the clips). The "
        "paper does not state its level, so its shares are no yardstick for these.",
        WATCHED[facts.get("split", "valid")],
    ]
    if facts["correct_level"]:
        sentences.append(
            "Outputs were multiplied by their best factor onto clean speech, found at each record."
        )
    if sorting.include_init:
        sentences.append(
            "The untrained network is the first observation; its error makes many trends converging ones."
        )
    few = [run.name for run in runs if run.trends.count < FEW_RECORDS]
    if few:
        sentences.append(
            f"Fewer than {FEW_RECORDS} observations ({', '.join(few)}): a trend over so few is coarse."
        )
    if len(runs) > 1 and not gaps:
        sentences.append(
            "No run here is known as the teacher of another, so no knowledge gap is shown; name it with "
            "`sedistill analyze --teacher`."
        )
    if gaps:
        sentences.append(
            "Gaps are those of the networks at their last record, which need not be the ones that were saved."
        )
    return sentences


def _summary(runs: Sequence[RunTrends]) -> str:
    told = [f"{run.name} ({run.trends.count} observations to step {run.record.step:,})" for run in runs]
    facts, clips = runs[0].record.facts, counted(len(runs[0].record.clips), "clip")
    seconds = len(runs[0].record.clean) / facts["sample_rate"]
    return (
        f"Errors of patches of {facts['patch_size']} bins and one frame, followed through the training of "
        f"{' and '.join(told)}, on {clips} of together {seconds:.1f} s."
    )


def category_curves(runs: Sequence[RunTrends]) -> list[CategoryCurves]:
    """Mean errors over the training of each run, all on one scale."""
    curves = [_curves(run) for run in runs]
    errors = [error for of_run in curves for curve in of_run for error in curve.errors if error > 0]
    limits = (min(errors) / 1.3, max(errors) * 1.3) if errors else None
    return [
        CategoryCurves(f"errors of {run.name}", of_run, limits)
        for run, of_run in zip(runs, curves, strict=True)
    ]


def _curves_section(runs: Sequence[RunTrends]) -> Section:
    pictures = zip(runs, category_curves(runs), strict=True)
    figures = [
        Figure(f"curves-{place}", category_curves_svg(picture), run.name)
        for place, (run, picture) in enumerate(pictures, start=1)
    ]
    return Section(
        "Errors by category",
        "Mean error of the patches in each category, over all clips, with the share of patches (after "
        "figure 2 of the paper). Patches are sorted by all observations; at most 64 of these, evenly spaced, "
        "and the last are kept and drawn.",
        figures=figures,
    )


def _curves(run: RunTrends) -> list[CategoryCurve]:
    shares = run.shares()
    return [
        CategoryCurve(name, shares[category], run.steps.tolist(), run.curve(category).tolist())
        for category, name in enumerate(CATEGORIES)
        if shares[category] > 0
    ]


def _gap_section(gap: Gap) -> Section:
    return Section(
        f"{gap.teacher.name} and {gap.student.name}",
        "In what share of the patches the teacher is closer to the clean speech, what share DISPatch would "
        "select by the knowledge gap, and at what share of the records the training did select, if it does.",
        tables=[gap_table(gap, gap.student), gap_table(gap, gap.teacher)],
    )


def _clip_section(runs: Sequence[RunTrends], gaps: Sequence[Gap], place: int) -> Section:
    figures = [_category_figure(run, number, place) for number, run in enumerate(runs, start=1)]
    figures += [_gap_figure(gap, number, place) for number, gap in enumerate(gaps, start=1)]
    for number, run in enumerate(runs, start=1):
        figures += _distilled_figure(run, number, place)
    return Section(f"Clip {runs[0].record.clips[place]}", figures=figures)


def _category_figure(run: RunTrends, number: int, place: int) -> Figure:
    record, frames = run.record, run.record.frame_slices[place]
    picture = CategoryMap(
        f"categories of {run.name} in clip {place + 1}",
        over_bins(run.categories, record)[:, frames],
        stft_of(record).level_db(record.noisy[record.sample_slices[place]]),
        *_scales(run),
    )
    shares = zip(CATEGORIES, run.shares(frames), strict=True)
    caption = "In this clip: " + ", ".join(f"{name} {share_text(share)}" for name, share in shares) + "."
    return Figure(
        f"clip-{place + 1}-categories-{number}", category_map_svg(picture), f"Categories: {run.name}",
        f"{caption} The brighter, the louder the noisy input.",
    )  # fmt: skip


def _gap_figure(gap: Gap, number: int, place: int) -> Figure:
    frames = gap.student.record.frame_slices[place]
    title = f"knowledge gap of {gap.student.name} in clip {place + 1}"
    picture = BinsPanel(title, over_bins(gap.gap, gap.student.record)[:, frames], *_scales(gap.student))
    ahead = share_text((gap.gap[:, frames] > 0).mean())
    return Figure(
        f"clip-{place + 1}-gap-{number}", gap_svg(picture),
        f"Knowledge gap: {gap.student.name} to {gap.teacher.name}",
        f"Violet where the teacher is closer to the clean speech ({ahead} of the patches), orange where the "
        "student is; logarithmic.",
    )  # fmt: skip


def _distilled_figure(run: RunTrends, number: int, place: int) -> list[Figure]:
    shares = distilled_shares(run.record)
    if shares is None:
        return []
    shown = shares[:, run.record.frame_slices[place]]
    title = f"distilled patches of {run.name} in clip {place + 1}"
    picture = ShareMap(title, "of the records", shown, *_scales(run))
    caption = f"At how many of {run.record.selections} records the objective of this run selected each bin."
    if rule := run.record.facts["rule"]:
        caption += f" It distils {rule}."
    return [
        Figure(
            f"clip-{place + 1}-distilled-{number}", share_map_svg(picture), f"Distilled: {run.name}", caption
        )
    ]


def _scales(run: RunTrends) -> tuple[float, float]:
    """Hz of a bin and seconds of a frame."""
    stft, rate = stft_of(run.record), run.record.facts["sample_rate"]
    return rate / stft.window_length, stft.hop_length / rate
