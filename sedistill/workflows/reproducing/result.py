"""A result from what lies in the output folder: evaluations, cards, curves, facts."""

from collections.abc import Mapping

import numpy as np
import torch

from sedistill.common.provenance import Provenance
from sedistill.common.report.document import Document, Section, TextTable
from sedistill.common.wording import counted
from sedistill.data.corpus import Corpus
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.scores import NOISY
from sedistill.models.complexity import macs_per_second, parameters
from sedistill.models.presets import build_model
from sedistill.models.saving import read_card
from sedistill.training.gradients import KD_OVER_SE
from sedistill.training.run_folder.logs import read_metrics
from sedistill.workflows.jobs import is_finished
from sedistill.workflows.reproducing.cells import Block, Scores, block, numbers_csv
from sedistill.workflows.reproducing.drawing import charts, pictures
from sedistill.workflows.reproducing.evaluations import (
    EVALUATIONS,
    evaluation_of,
    load_evaluation,
    model_evaluation,
)
from sedistill.workflows.reproducing.finished import Finished
from sedistill.workflows.reproducing.gains import gain_lines, gains_csv
from sedistill.workflows.reproducing.report_text import gain_table, reading, text_table
from sedistill.workflows.reproducing.session import Session
from sedistill.workflows.reproducing.table import NOISY_ROW
from sedistill.workflows.reproducing.training_traces import figures, observed

RUN_COLUMNS = (
    "", "parameters", "steps", "best", "validation loss", "factor onto clean", "KD/SE gradient", "minutes",
    "s a step", "MB",
)  # fmt: skip


def gather(session: Session) -> tuple[Document, dict[str, str]]:
    """The result of all rows that there are, and its numbers as CSV by what they are."""
    finished = session.finished
    scores = scores_of(session)
    blocks = blocks_of(finished, scores)
    gains = [(one, gain_lines(one, session.table, scores)) for one in blocks]
    sections = []
    for one, lines in gains:
        missing = one.view.set is not None and not session.sources.has(one.view.set)
        sections.append(Section(one.view.title, tables=[text_table(one, session.scale, missing)]))
        if lines:
            sections.append(Section(f"{one.view.title}, gains", tables=[gain_table(one, lines)]))
    if finished.runs:
        sections.append(Section("Runs", tables=[runs_table(finished)]))
    drawings = [*figures(finished), *charts(session.table, blocks), *pictures(finished, session.sources)]
    how_to_read = reading(session.table, session.scale_name, session.scale, blocks, finished.teachers)
    document = Document(
        title=f"{session.table.paper}. {session.table.title}",
        summary=summary(session),
        sections=[
            *sections,
            *([Section(figures=drawings)] if drawings else []),
            Section("How to read it", sentences=how_to_read),
        ],
        facts=facts(session),
        label="Small scale" if session.is_small else "",
    )
    numbers = {"result": numbers_csv(blocks)}
    if any(lines for _, lines in gains):
        numbers["gains"] = gains_csv(gains)
    return document, numbers


def scores_of(session: Session) -> dict[str, Scores]:
    """The scores of every row, as far as there are any."""
    output = session.output
    scores: dict[str, Scores] = {}
    for row in session.table.rows:
        if row.key == NOISY_ROW:
            scores[row.key] = {0: load_evaluation(output / EVALUATIONS / NOISY)}
        elif row.model is not None:
            found = {0: load_evaluation(model_evaluation(output, row.model))}
            scores[row.key] = {seed: sets for seed, sets in found.items() if sets}
        else:
            runs = session.work.runs_of(row)
            found = {run.seed: load_evaluation(evaluation_of(output, run)) for run in runs}
            scores[row.key] = {seed: sets for seed, sets in found.items() if sets}
    return scores


def blocks_of(finished: Finished, scores: Mapping[str, Scores]) -> list[Block]:
    """The numbers of every view."""
    table = finished.table
    sizes = sizes_of(finished) if table.shows("size") else {}
    seen = observed(finished)
    return [block(key, table, scores, sizes, seen) for key in table.views]


def sizes_of(finished: Finished) -> dict[str, dict[str, float]]:
    """Million parameters and true GMAC of a second of every row's network, as the scale has it."""
    sizes, known = {}, {}
    for row in finished.table.rows:
        description = finished.recipes[row.key].get("student", row.network)
        if description is None:
            continue
        if str(description) not in known:
            with torch.device("meta"):  # shapes are enough
                network = build_model(description)
            size = {"parameters": parameters(network) / 1e6, "macs": macs_per_second(network) / 1e9}
            known[str(description)] = size
        sizes[row.key] = known[str(description)]
    return sizes


def runs_table(finished: Finished) -> TextTable:
    """What happened in training."""
    rows = []
    for run in finished.runs:
        card = read_card(finished.output / run.student)
        about = card["training"]
        curves = read_metrics(finished.output / run.folder)
        memory = [value for _, value in curves.get("memory_mb", [])]
        balance = [value for _, value in curves.get(KD_OVER_SE, [])]
        rows.append(
            [
                str(run), f"{card['parameters']:,}", f"{about['steps']:,}", f"{about['best_step']:,}",
                f"{card['metrics']['validation_loss']:.4g}", f"{card['output_gain']:.2f}",
                f"{np.median(balance):.2g}" if balance else "", f"{about['minutes']:.1f}",
                f"{60 * about['minutes'] / about['steps']:.2f}", f"{max(memory):.0f}" if memory else "",
            ]
        )  # fmt: skip
    note = (
        "Validation losses compare within one kind of network only. KD/SE gradient: the median over training "
        "of the ratio of the norms of both terms' gradients. MB: the most memory that the training used."
    )
    return TextTable(RUN_COLUMNS, rows, note)


def summary(session: Session) -> str:
    """The result in one sentence."""
    if not session.table.trains:
        return "Sizes of the networks, ours and the paper's."
    runs = session.finished.runs
    recipes, seeds = {run.name for run in runs}, {run.seed for run in runs}
    return f"{counted(len(recipes), 'recipe')}, {counted(len(seeds), 'seed')}, {session.scale_name} scale."


def facts(session: Session) -> list[tuple[str, str]]:
    """How the numbers came about."""
    lines: list[tuple[str, str]] = []
    if session.table.trains:
        lines.append(("scale", session.scale_name))
    if session.work.runs:
        lines += _data_facts(session)
    if session.table.trains:
        runs = {*session.finished.runs, *session.work.runs}
        cards = [read_card(session.output / r.student) for r in runs if is_finished(session.output, r)]
        minutes = sum(card["training"]["minutes"] for card in cards)
        lines.append(("training", f"{minutes:.1f} min over {len(cards)} runs, teachers among them"))
    if session.changes:
        lines.append(("changed in every recipe", " ".join(session.changes)))
    return lines + Provenance.now().lines()


def _data_facts(session: Session) -> list[tuple[str, str]]:
    corpora, sets = session.sources_needed()
    lines = []
    for name in corpora:
        counts = Corpus.load(session.sources.corpus(name)).facts.get("counts", {})
        told = [f"{key} {value['hours']:.2f} h" for key, value in counts.items() if key.startswith("train ")]
        lines.append((f"corpus {name}", ", ".join(told) or "as prepared"))
    for name in sets:
        pairs = FixedSet(session.sources.set(name))
        told_set = f"{len(pairs)} clips, {pairs.seconds / 3600:.2f} h, hash {pairs.hash[:12]}"
        lines.append((f"set {name}", told_set))
    return lines
