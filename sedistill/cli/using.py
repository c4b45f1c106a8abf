"""Commands for whoever wants to look at what there is."""

from pathlib import Path
from typing import Annotated

import typer

from sedistill.cli.shared_options import Overwrite, TrustCode


def check(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Corpora, sets, runs, saved models, checkpoints, evaluations, kept outputs."),
    ],
    trust_code: TrustCode = False,
) -> None:
    """Say what each path is and whether all in it is as it was written; exit code 1 where it is not."""
    from sedistill.workflows.checking import check_paths

    if not check_paths(paths):
        raise typer.Exit(1)


def models(
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON, for programs.")] = False,
) -> None:
    """What to choose: ready-made networks, and those to train, with size, cost, causality and latency."""
    from sedistill.models.catalogue import catalogue_json, print_catalogue

    if as_json:
        print(catalogue_json())
    else:
        print_catalogue()


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")] = Path("demo"),
    overwrite: Overwrite = False,
) -> None:
    """Run everything on a corpus made on the spot, and write a page to look at and listen to."""
    from sedistill.workflows.demo import make_demo

    make_demo(output, overwrite=overwrite)
