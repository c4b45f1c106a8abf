"""What a result says: its tables as text, how to read them, and what cannot be concluded from them."""

import math
from collections.abc import Mapping, Sequence

from sedistill.common.report.document import TextTable
from sedistill.common.wording import UNKNOWN
from sedistill.evaluation.metrics import METRICS
from sedistill.workflows.reproducing.cells import MOST_GROUPS, Block, Cell, Line, digits_of, label_of
from sedistill.workflows.reproducing.gains import Gain, GainLine
from sedistill.workflows.reproducing.table import NOISY_ROW, Row, Scale, ScaleName, Table

SMALL = (
    "Small scale: small networks, little data and short training stand in for the paper's. It shows that "
    "every row runs, and what it does to these networks on these recordings. It neither confirms nor refutes "
    "the paper's numbers, and the difference from them says nothing about a method."
)


def text_table(block: Block, scale: Scale, missing: bool = False) -> TextTable:
    """A view: ours and, in brackets, the paper's number and the difference.

    missing: the set it is about cannot be had.
    """
    header = ["", *(["seeds"] if any(line.seeds for line in block.lines) else [])]
    counted = len(header) == 2
    header += [label_of(block.view, column) for column in block.columns]
    rows = []
    for line in block.lines:
        cells = [
            cell_text(cell, digits_of(block.view, column))
            for column, cell in zip(block.columns, line.cells, strict=True)
        ]
        rows.append([line.row.label, *([str(line.seeds or UNKNOWN)] if counted else []), *cells])
    return TextTable(header, rows, _note(block, scale, missing))


def cell_text(cell: Cell, digits: int) -> str:
    """2.61 ± 0.01 (2.58, +0.03): ours with its spread over seeds, the paper's, the difference.

    [298 of 300 clips] where the others have no value.
    """
    counted = f" [{cell.clips} of {cell.of} clips]" if cell.leaves_out else ""
    return _numbers_text(cell, digits) + counted


def _numbers_text(cell: Cell, digits: int) -> str:
    printed = "" if math.isnan(cell.paper) else f"{cell.paper:.{digits}f}"
    if math.isnan(cell.ours):
        return f"{UNKNOWN} ({printed})" if printed else UNKNOWN
    ours = f"{cell.ours:.{digits}f}"
    if not math.isnan(cell.spread):
        ours += f" ± {cell.spread:.{digits}f}"
    return f"{ours} ({printed}, {cell.difference:+.{digits}f})" if printed else ours


def gain_table(block: Block, lines: Sequence[GainLine]) -> TextTable:
    """Rows over their baselines."""
    header = ["", "over", *(label_of(block.view, column) for column in block.columns)]
    digits = [digits_of(block.view, column) for column in block.columns]
    rows = [
        [line.row.label, line.baseline.label,
         *(gain_text(gain, places) for gain, places in zip(line.gains, digits, strict=True))]
        for line in lines
    ]  # fmt: skip
    printed = any(not math.isnan(gain.paper) for line in lines for gain in line.gains)
    note = (
        "± is the standard error over clips of the mean over seeds, between recordings where clips share an "
        "utterance or a noise recording; square brackets hold each seed's gain"
        f"{', round ones the gain that the paper prints' if printed else ''}."
    )
    return TextTable(header, rows, note)


def gain_text(gain: Gain, digits: int) -> str:
    """+0.03 ± 0.01 [+0.02, +0.04] (+0.05): ours, over clips, by seed where there are several, the paper's."""
    if math.isnan(gain.ours):
        return UNKNOWN
    parts = [f"{gain.ours:+.{digits}f}"]
    if not math.isnan(gain.error):
        parts.append(f"± {gain.error:.{digits}f}")
    if len(gain.by_seed) > 1:
        parts.append(f"[{', '.join(f'{value:+.{digits}f}' for value in gain.by_seed)}]")
    if not math.isnan(gain.paper):
        parts.append(f"({gain.paper:+.{digits}f})")
    return " ".join(parts)


def reading(
    table: Table,
    name: ScaleName,
    scale: Scale,
    blocks: Sequence[Block],
    teachers: Mapping[str, str] | None = None,
) -> list[str]:
    """How to read the numbers, and what they do not say. teachers: row -> the row that taught it, by keys."""
    sentences = [SMALL] if name == "small" and table.trains else []
    sentences += [text for text in (table.note, scale.note) if text]
    over = "our mean over seeds ± the standard deviation over them" if table.trains else "ours"
    printed = "; in brackets the paper's number and the difference, ours minus the paper's"
    sentences.append(
        f"Each cell: {over}{printed if any(row.paper for row in table.rows) else ''}. {UNKNOWN}: not run."
    )
    if any(cell.leaves_out for block in blocks for line in block.lines for cell in line.cells):
        sentences.append(
            "Where square brackets give a number of clips, the metric is undefined on the others and the "
            "mean is without them: compare such a cell only with cells of the same clips (clips.csv of the "
            "evaluation has the reasons)."
        )
    if any(row.baseline for row in table.rows):
        sentences.append(
            "Gains compare what was trained and scored alike, clip by clip. One within two standard errors, "
            "or whose sign changes from seed to seed, is none."
        )
    sentences += [text for block in blocks for text in teacher_sentences(block, teachers or {})]
    sentences += seed_sentences(blocks)
    sentences += [f"{line.row.label}: {line.row.note}" for line in _noted(blocks)]
    return sentences


def teacher_sentences(block: Block, teachers: Mapping[str, str]) -> list[str]:
    """Where a teacher is not ahead of the student that was trained without it, over all clips of a set."""
    if block.view.statistic != "mean" or block.view.by is not None:
        return []
    lines = {line.row.key: line for line in block.lines}
    untaught = {
        (teachers[key], line.row.baseline): None
        for key, line in lines.items()
        if key in teachers and line.row.baseline not in (None, *teachers)
    }
    sentences = []
    for teacher, baseline in untaught:
        if teacher in lines and baseline in lines:
            cells = zip(block.columns, lines[teacher].cells, lines[baseline].cells, strict=True)
            behind = [METRICS[column[0]].label for column, one, other in cells if one.ours <= other.ours]
            if behind:
                sentences.append(
                    f"{block.view.title}: in {' and '.join(behind)} {lines[teacher].row.label} is not ahead "
                    f"of {lines[baseline].row.label}; what a method gains there is not the teacher's "
                    "knowledge."
                )
    return sentences


def seed_sentences(blocks: Sequence[Block]) -> list[str]:
    """What the number of seeds forbids to conclude. Teachers and what is not trained have no say in it."""
    lines = [line for block in blocks for line in block.lines if line.seeds and line.row.seeds is None]
    if not any(block.view.is_scored for block in blocks) or not lines:
        return []
    fewest = min(line.seeds for line in lines)
    if fewest == 1:
        return [
            "One seed: whether a difference between two rows would come back with another seed cannot be "
            "concluded. Say --seeds 3 or more for that; what is trained is kept."
        ]
    if fewest < 6:
        return [
            f"{fewest} seeds: the spread itself is known roughly only. For tests and intervals run "
            "`sedistill compare` on the evaluations."
        ]
    return []


def _noted(blocks: Sequence[Block]) -> list[Line]:
    seen: dict[str, Line] = {}
    for block in blocks:
        for line in block.lines:
            if line.row.note:
                seen.setdefault(line.row.key, line)
    return list(seen.values())


def _note(block: Block, scale: Scale, missing: bool) -> str:
    view = block.view
    parts = []
    if view.set is not None:
        clips = max((line.clips for line in block.lines), default=0)
        label = scale.sets[view.set].label if view.set in scale.sets else view.set
        counted = "; not scored, as it is not there" if missing else f", {clips} clips" if clips else ""
        parts.append(f"{label}{counted}.")
    if view.statistic == "sd":
        parts.append("Standard deviations over clips.")
    if view.statistic == "t_test":
        against = next((line.row.label for line in block.lines if line.row.key == view.against), view.against)
        parts.append(
            f"Two-sample t-test over clips against {against}, as the paper has it; each seed on its own."
        )
    if view.statistic == "size":
        parts.append("True multiply-adds of one second of sound.")
    if view.statistic == "patches":
        parts.append(
            "Of the patches of the clips that were watched. The paper's are of one speech sample at a level "
            "it does not state, on which the shares depend. analysis/analysis.html shows the patches on "
            "spectrograms: by category, by knowledge gap, by how often they were distilled."
        )
    if not set(block.columns) & set(view.columns):
        parts.append(
            f"Our set has other groups than the paper, whose numbers are left out; at most {MOST_GROUPS} are "
            "shown, those with the most clips."
        )
    return " ".join([*parts, *([view.note] if view.note else [])])


def noisy_first(table: Table) -> Table:
    """The table with a row of the noisy input, where it scores anything and lacks one."""
    scored = any(view.is_scored for view in table.views.values())
    if not scored or any(row.key == NOISY_ROW for row in table.rows):
        return table
    views = {
        name: view.model_copy(update={"rows": [NOISY_ROW, *view.rows]})
        if view.rows and view.is_scored
        else view
        for name, view in table.views.items()
    }
    rows = [Row(key=NOISY_ROW, label="Noisy"), *table.rows]
    return table.model_copy(update={"rows": rows, "views": views})
