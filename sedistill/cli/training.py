"""Commands that train."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="key=value", help="Any key of the recipe: seed=1 optimiser.learning_rate=5e-4"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The run's folder.", show_default="runs/NAME/seed-N"),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print what would happen, and stop.")] = False,
) -> None:
    """Train a network, plain or distilled. The same line again resumes an interrupted run."""
    from sedistill.training.run import train as run

    run(recipe, overrides or [], output=output, plan_only=plan)
