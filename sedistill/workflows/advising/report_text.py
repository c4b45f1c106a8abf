"""Advice in words, at 80 columns; as plain data; and as a recipe with its reasons."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sedistill.common.yaml_files import yaml_text
from sedistill.evaluation.metrics import METRICS
from sedistill.workflows.advising.choosing import NAMES
from sedistill.workflows.advising.nearness import Row

if TYPE_CHECKING:
    from sedistill.workflows.advising.command import Advice

COLUMNS = 80
ORDER = ("loss", "gate", "keep", "weight")


def advice_text(advice: Advice) -> str:
    """Four blocks: what they are, scores, where the teacher is nearer, what one would begin with."""
    lines = [
        line for name, text in [*advice.teacher, ("student", advice.student)] for line in _fact(name, text)
    ]
    lines += ["", *_score_lines(advice), "", *_row_lines(advice), "", "One would begin with", ""]
    for key in ORDER:
        value = f"{advice.choice.objective[key]}: " if key in advice.choice.objective else ""
        lines += _fact(key, value + advice.choice.reasons[key])
    for note in advice.notes:
        lines += ["", *textwrap.wrap(note, COLUMNS)]
    return "\n".join(lines)


def advice_json(advice: Advice) -> dict[str, Any]:
    """The same for programs. error_db: of the teacher over whom it is held against, below 0: nearer."""
    near = advice.nearness
    return {
        "teacher": dict(advice.teacher),
        "student": advice.student,
        "clips": near.all.clips,
        "scores": advice.scores,
        "all": asdict(near.all),
        "bands": [asdict(row) for row in near.bands],
        "snrs": [asdict(row) for row in near.snrs],
        "noises": [asdict(row) for row in near.noises],
        "pull": asdict(advice.choice.pull),
        "objective": advice.choice.objective,
        "reasons": advice.choice.reasons,
        "notes": advice.notes,
        "recipe": advice.recipe,
    }


def recipe_text(advice: Advice) -> str:
    """The recipe as a file."""
    reasons = [f"{key}: {advice.choice.reasons[key]}" for key in ORDER] + advice.notes
    head = [f"Advised for {advice.teacher[0][1]}, from {advice.nearness.all.clips} clips.", *reasons]
    comments = [f"# {line}" for text in head for line in textwrap.wrap(text, COLUMNS - 2)]
    return "\n".join([*comments, yaml_text(advice.recipe)])


def _fact(name: str, text: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS, initial_indent=f"{name:<11}", subsequent_indent=" " * 11)


def _score_lines(advice: Advice) -> list[str]:
    metrics = list(dict.fromkeys(name for scores in advice.scores.values() for name in scores))
    if not metrics:
        return ["No scores: pip install 'sedistill[eval]' brings what computes them."]
    labels = [f"{METRICS[name].label} {METRICS[name].unit}".strip() for name in metrics]
    lines = [f"{f'{advice.nearness.all.clips} clips':<22}" + "".join(f"{label:>13}" for label in labels)]
    for name, scores in advice.scores.items():
        values = (
            f"{scores[metric]:>13.{METRICS[metric].digits}f}" if metric in scores else f"{'–':>13}"
            for metric in metrics
        )
        lines.append(f"{NAMES.get(name, name):<22}" + "".join(values))
    return lines


def _row_lines(advice: Advice) -> list[str]:
    near = advice.nearness
    head = f"{'the teacher':<22}" + "".join(f"{f'against the {NAMES[one]}':>27}" for one in near.rivals)
    below = f"{'':<22}" + f"{'error':>14}{'nearer in':>13}" * len(near.rivals)
    lines = [head, below, _row_line(near.all)]
    for rows in (near.bands, near.snrs, near.noises):
        lines += ["", *map(_row_line, rows)] if rows else []
    return [
        *lines, "",
        *textwrap.wrap(
            "Error: of its compressed spectra towards the clean ones, over that of the other; below 0 dB "
            "it is nearer. Nearer in: so many of the patches of 20 bins and one frame.", COLUMNS,
        ),
    ]  # fmt: skip


def _row_line(row: Row) -> str:
    values = []
    for rival, error in row.error_db.items():
        values.append(f"{f'{error:+.1f} dB':>14}{f'{100 * row.nearer[rival]:.0f} %':>13}")
    return f"{textwrap.shorten(row.name, 22, placeholder=''):<22}" + "".join(values)
