"""The commands about the tables of papers."""

from pathlib import Path
from typing import Annotated

import typer

from sedistill.cli.shared_options import TrustCode
from sedistill.common.errors import UserError


def reproduce(
    table: Annotated[
        str, typer.Argument(help="A table, such as dispatch/table1 (`sedistill recipes`), or a folder.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the corpora; with --scale small one with clean/ and noise/."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The folder of runs, scores and tables.",
            show_default="reproduced/PAPER-SCALE",
        ),
    ] = None,
    scale: Annotated[str, typer.Option(help="full: as in the paper; small: for two CPU cores.")] = "full",
    seeds: Annotated[int, typer.Option(min=1, max=10_000, help="Seeds of every row.")] = 1,
    only: Annotated[
        list[str] | None, typer.Option(help="A row's key; repeat for more.", show_default="all rows")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Trainings at a time.", show_default="one a GPU, or one"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="key=value", help="Change every recipe; for trials."),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print runs, hours (measured here) and disk, and stop.")
    ] = False,
    trust_code: TrustCode = False,
) -> None:
    """Train and score what a table of a paper needs, and write our numbers beside the paper's."""
    from sedistill.workflows.reproducing.command import reproduce as run

    run(
        table, data=data, output=output, scale=scale, seeds=seeds, only=only, plan_only=plan, jobs=jobs,
        changes=settings or [],
    )  # fmt: skip


def recipes(
    name: Annotated[
        str | None, typer.Argument(help="A paper or a table; without it all tables are listed.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Copy the paper's recipes into this folder.")
    ] = None,
) -> None:
    """List the tables that `sedistill reproduce` knows, or copy a paper's recipes out to be edited."""
    from sedistill.workflows.reproducing.shipped import copy_recipes, print_table_names, shipped_tables

    if output is None:
        print_table_names(shipped_tables(name))
    elif name is None:
        raise UserError("say which paper's recipes are to be copied; `sedistill recipes` lists them.")
    else:
        place = copy_recipes(name, output)
        print(f"Copied to {place}. Edit what you like; then: sedistill reproduce {place}/TABLE")
