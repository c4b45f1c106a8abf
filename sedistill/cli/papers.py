"""The command about the tables of papers."""

from pathlib import Path
from typing import Annotated

import typer


def reproduce(
    folder: Annotated[Path, typer.Argument(help="A table's folder, such as recipes/dispatch/table1.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the corpora; with --scale small one with clean/ and noise/."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where all lands.", show_default="reproduced/PAPER-SCALE"),
    ] = None,
    scale: Annotated[str, typer.Option(help="full: as in the paper; small: for two CPU cores.")] = "full",
    seeds: Annotated[int, typer.Option(min=1, max=10_000, help="Seeds of every row.")] = 1,
    only: Annotated[
        list[str] | None, typer.Option(help="A row's key; repeat for more.", show_default="all rows")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=1024, help="Trainings at a time.")] = 1,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="key=value", help="Change every recipe; for rehearsals."),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print runs, hours (measured here) and disk, and stop.")
    ] = False,
) -> None:
    """Train and score what a table of a paper needs, and write our numbers beside the paper's."""
    from sedistill.reproducing import reproduce as run

    run(
        folder, data=data, output=output, scale=scale, seeds=seeds, only=only, plan_only=plan, jobs=jobs,
        changes=settings or [],
    )  # fmt: skip
