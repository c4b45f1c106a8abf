"""The application, and the options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

import sedistill
from sedistill.cli.ending import Commands
from sedistill.common.errors import UserError

app = typer.Typer(
    cls=Commands,
    name="sedistill",
    help="Make small speech-enhancement networks good by knowledge distillation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Output = Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is at the output already.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, max=1024, help="How many at a time.", show_default="one a core"),
]
Align = Annotated[bool, typer.Option("--align", help="Shift ready pairs whose noisy file is late or early.")]
TrustPairs = Annotated[
    bool, typer.Option("--trust-pairs", help="Use ready pairs that do not seem to fit as they are.")
]
RawLevel = Annotated[bool, typer.Option("--raw-level", help="Leave level and sign as the network made them.")]


def _trust(context: typer.Context, wanted: bool) -> bool:
    from sedistill.common.extensions import trusting_code

    if wanted:
        context.with_resource(trusting_code())
    return wanted


TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        callback=_trust,
        help="Import what a file names of other packages: their code runs.",
    ),
]


def listed(option: str, text: str | None) -> list[str] | None:
    """The names that an option lists with commas between; None where it is left out. Raises UserError."""
    from sedistill.common.settings import parts_of

    names = None if text is None else parts_of(text)
    if names == []:
        raise UserError(f"{option} names nothing; give names with commas between, or leave it out.")
    return names


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sedistill {sedistill.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=show_version, help="Show the version.")
    ] = False,
) -> None:
    """Make small speech-enhancement networks good by knowledge distillation."""
