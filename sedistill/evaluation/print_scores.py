"""The scores of a set as a table on the terminal."""

from sedistill.common.report.document import TextTable
from sedistill.common.report.printing import print_tables
from sedistill.evaluation.score_files import count_text, score_cell
from sedistill.evaluation.scores import NOISY, SetScores


def print_score_tables(scores: SetScores) -> None:
    """Print the means of a set with their improvement over noisy, and what they hold for."""
    rows = [
        ["", *(scores.label(metric) for metric in scores.metrics)],
        *(
            [model, *(score_cell(scores, model, metric, spread=False) for metric in scores.metrics)]
            for model in scores.models
        ),
    ]
    if len(scores.metrics) > len(scores.models):  # the longer list downwards, so that the cells stay whole
        rows = [list(column) for column in zip(*rows, strict=True)]
    print_tables([(scores.name, TextTable(rows[0], rows[1:], _legend(scores)))], [])


def _legend(scores: SetScores) -> str:
    level = scores.facts["level_correction"]
    models = scores.facts["models"].items()
    factors = [f"{label} x {facts['output_multiplied_by']:.4g}" for label, facts in models]
    level_text = f"Level correction {level}" + (f" ({', '.join(factors)})." if factors else ".")
    return f"In brackets: mean improvement over {NOISY}. {count_text(scores)} {level_text}"
