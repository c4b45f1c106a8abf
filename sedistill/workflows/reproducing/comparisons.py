"""What a table wants compared: rows against one, with tests and intervals, and the worst clips to hear."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sedistill.common.provenance import Provenance
from sedistill.common.report.figures import Role
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.comparing.command import NAME as COMPARISON
from sedistill.evaluation.comparing.command import compare
from sedistill.evaluation.comparing.methods import trained
from sedistill.evaluation.metrics import METRICS
from sedistill.evaluation.scores import NOISY, ClipScore, SetScores, load_scores
from sedistill.models.saving import load_model
from sedistill.teachers.opening import open_teacher
from sedistill.workflows.page_contents import Networks, clip_player, spectrograms, systems_in, waves_of
from sedistill.workflows.reproducing.cells import model_of
from sedistill.workflows.reproducing.evaluations import evaluation_of, model_evaluation
from sedistill.workflows.reproducing.finished import Finished
from sedistill.workflows.reproducing.sources import SETS
from sedistill.workflows.reproducing.table import ComparedRows, Row
from sedistill.workflows.training_page import TrainingPage

COMPARED, PAGE = "compared", "worst-clips.html"
HEARD = 4
"""Clips on a page."""


def write_comparisons(finished: Finished, place: Path) -> list[Path]:
    """Write each comparison of the table as far as its rows are there.

    It is in `place`/compared/NAME, with NAME-worst-clips.html beside it. Returns the comparisons' pages.
    """
    scored = {row.key: scored_in(finished, row) for row in finished.table.rows}
    pages = []
    for name, wanted in finished.table.compared.items():
        rows = [key for key in wanted.rows if scored[key]]
        if not scored[wanted.baseline] or not rows:
            continue
        teacher = wanted.teacher if wanted.teacher and scored[wanted.teacher] else None
        keys = [wanted.baseline, *rows, *([teacher] if teacher else [])]
        named = {key: method_of(scored[key][0]) for key in keys}
        folder = place / COMPARED / name
        compare(
            [evaluation for key in keys for evaluation in scored[key]],
            folder,
            named[wanted.baseline],
            named[teacher] if teacher else None,
            methods=[named[key] for key in rows],
            overwrite=True,
        )
        pages.append(folder / f"{COMPARISON}.html")
        if finished.table.views[wanted.hear].set in load_scores(scored[rows[0]][0]):  # some sets are optional
            hearing(finished, wanted, rows[0], teacher).write(place / COMPARED / f"{name}-{PAGE}")
    return pages


def scored_in(finished: Finished, row: Row) -> list[Path]:
    """The evaluations of a row, by seed; of a model that is scored as it is the only one."""
    if row.model is not None:
        places = [model_evaluation(finished.output, row.model)]
    else:
        places = [evaluation_of(finished.output, run) for run in finished.runs_of(row)]
    return [place for place in places if place.exists()]


def method_of(evaluation: Path) -> str:
    """What `compare` calls the one network of an evaluation: the last word of its recipe, or its label."""
    scores = next(iter(load_scores(evaluation).values()))
    label = model_of(scores)
    return trained(label, scores.facts["models"][label]).parts[-1]


def hearing(finished: Finished, wanted: ComparedRows, key: str, teacher: str | None) -> TrainingPage:
    """The page with the clips in which a row lost most against the baseline, with the first seed of both."""
    view = finished.table.views[wanted.hear]
    set_name = view.set or ""
    rows = {row.key: row for row in finished.table.rows}
    of_role: dict[Role, Row] = {"alone": rows[wanted.baseline], "distilled": rows[key]}
    if teacher is not None:
        of_role["teacher"] = rows[teacher]
    scores = together(
        {role: load_scores(scored_in(finished, row)[0])[set_name] for role, row in of_role.items()},
        set_name,
        view.metrics,
    )
    pairs = FixedSet(finished.output / SETS / set_name)
    networks = networks_of(finished, of_role, pairs)
    clips = worst(scores, view.metrics[0])
    labels: dict[Role, str] = {"noisy": NOISY, **{role: role for role in of_role}}
    waves = [waves_of(pairs, clip, networks) for clip in clips]
    names: dict[str, str] = {
        "noisy": "noisy input", "clean": "clean speech", **{role: row.label for role, row in of_role.items()},
    }  # fmt: skip
    metric = METRICS[view.metrics[0]].label
    return TrainingPage(
        title=f"{wanted.title} The worst clips",
        summary=f"{rows[key].label} against {rows[wanted.baseline].label}, the first seed of each: the "
        f"clips in which it lost most {metric}, worst first.",
        scores=scores,
        systems=systems_in(labels, networks),
        curves=[],
        spectrograms=spectrograms(waves[0], pairs.sample_rate, names),
        players=[
            clip_player(clip, versions, pairs.sample_rate, scores, labels)
            for clip, versions in zip(clips, waves, strict=True)
        ],
        reading=[
            f"The table is over all {len(scores.rows(NOISY))} clips of the set; what follows is chosen to be "
            "bad and says nothing about the others."
        ],
        commands=[],
        facts=[("table", finished.table.title), *Provenance.now().lines()],
        names=names,
    )


def together(by_role: Mapping[Role, SetScores], name: str, metrics: Sequence[str]) -> SetScores:
    """One table of scores from several, in which networks go by their roles."""
    first = next(iter(by_role.values()))
    rows = list(first.only(metrics).rows(NOISY))
    for role, scores in by_role.items():
        rows += [replace(row, model=role) for row in scores.only(metrics).rows(model_of(scores))]
    return SetScores(name, list(metrics), rows, first.facts)


def worst(scores: SetScores, metric: str) -> list[ClipScore]:
    """The noisy rows of the clips in which "distilled" is furthest behind "alone", of those with values."""
    sign = 1 if METRICS[metric].higher_is_better else -1
    alone = {row.clip: row.values[metric] for row in scores.rows("alone")}
    gains = {row.clip: sign * (row.values[metric] - alone[row.clip]) for row in scores.rows("distilled")}
    known = sorted((clip for clip in gains if np.isfinite(gains[clip])), key=gains.__getitem__)
    noisy = {row.clip: row for row in scores.rows(NOISY)}
    return [noisy[clip] for clip in known[:HEARD]]


def networks_of(finished: Finished, of_role: Mapping[Role, Row], pairs: FixedSet) -> Networks:
    """What made each row: its model, or the first seed of those that were trained."""
    return {
        role: load_model(finished.output / finished.runs_of(row)[0].student)
        if row.model is None
        else open_teacher(row.model, pairs.sample_rate, on=pairs)
        for role, row in of_role.items()
    }
