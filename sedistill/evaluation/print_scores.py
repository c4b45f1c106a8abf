"""The scores as tables on the terminal."""

from rich.table import Table

from sedistill.evaluation.metrics import METRICS
from sedistill.evaluation.score_files import count_text, mean_cell
from sedistill.evaluation.scores import NOISY, SetScores
from sedistill.report.printing import console_for


def print_score_tables(scores: SetScores) -> None:
    """Print the means of a set with their improvement over noisy, and what they hold for."""
    table = Table(title=scores.name)
    table.add_column("", no_wrap=True)
    if len(scores.metrics) > len(scores.models):  # the longer list downwards, so that the cells stay whole
        for model in scores.models:
            table.add_column(model, justify="right", overflow="fold")
        for metric in scores.metrics:
            table.add_row(scores.label(metric), *(_cell(scores, model, metric) for model in scores.models))
    else:
        for metric in scores.metrics:
            table.add_column(scores.label(metric), justify="right", overflow="fold")
        for model in scores.models:
            table.add_row(model, *(_cell(scores, model, metric) for metric in scores.metrics))
    console = console_for(table)
    console.print(table)
    console.print(_legend(scores), markup=False, highlight=False)


def _cell(scores: SetScores, model: str, metric: str) -> str:
    digits = METRICS[metric].digits
    gain = scores.improvement_statistic(model, metric)
    mean = mean_cell(scores.statistic(model, metric), metric).replace("[", r"\[")
    return mean if model == NOISY or not gain.n else f"{mean} ({gain.mean:+.{digits}f})"


def _legend(scores: SetScores) -> str:
    level = scores.facts["level_correction"]
    models = scores.facts["models"].items()
    factors = [f"{label} x {facts['output_multiplied_by']:.4g}" for label, facts in models]
    level_text = f"Level correction {level}" + (f" ({', '.join(factors)})." if factors else ".")
    return f"In brackets: mean improvement over {NOISY}. {count_text(scores)} {level_text}"
