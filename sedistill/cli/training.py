"""Commands that train."""

from pathlib import Path
from typing import Annotated

import typer

from sedistill.cli.shared_options import Output, TrustCode
from sedistill.common.errors import UserError


def train(
    recipe: Annotated[Path | None, typer.Argument(help="A YAML recipe.", show_default=False)] = None,
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
    trust_code: TrustCode = False,
    keys: Annotated[
        str | None,
        typer.Option("--keys", metavar="WORD", help="List the recipe's keys about this word, and stop."),
    ] = None,
) -> None:
    """Train a network, plain or distilled. The same line again resumes an interrupted run."""
    if keys is not None:
        from sedistill.training.recipe.keys import keys_about

        print("\n".join(key.text() for key in keys_about(keys)))
        return
    if recipe is None:
        raise UserError("name a recipe; `sedistill train --keys WORD` lists what one may say.")
    from sedistill.common.freed_memory import keep_freed_memory
    from sedistill.training.run import train as run

    keep_freed_memory()
    run(recipe, overrides or [], output=output, plan_only=plan)


def distil(
    output: Output,
    clean: Annotated[Path | None, typer.Option(help="Folder of clean speech.")] = None,
    noise: Annotated[Path | None, typer.Option(help="Folder of noise.")] = None,
    noisy: Annotated[
        Path | None,
        typer.Option(
            help="Folder of noisy recordings from where the student will be used, without clean speech: it "
            "learns from the teacher's output for them, and they are enhanced, to be heard on the page."
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="An earlier result: its student learns on, from its recordings and the new ones together. "
            "Then --clean or --noise may be given alone.",
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="A ready-made model's name, the folder of a saved one, deepfilternet, an .onnx file, any "
            "other as '{kind: ...}' or in a .yaml file (docs/teachers.md), or larger: a larger network of "
            "the student's kind is trained first, in half of the time.",
            show_default="fastenhancer-b, or that of --from",
        ),
    ] = None,
    student: Annotated[
        str | None,
        typer.Option(
            help="The network that is to be good: a preset's name, or a class of another package as "
            "package.module.Name or '{class: NAME, SETTING: ...}', with --trust-code.",
            show_default="fastenhancer-t",
        ),
    ] = None,
    hours: Annotated[
        float, typer.Option(help="By the clock, for everything: preparing, training, measuring, the page.")
    ] = 1.0,
    no_twin: Annotated[
        bool, typer.Option("--no-twin", help="Do not train the same student without the teacher, to compare.")
    ] = False,
    weak_teacher: Annotated[
        bool,
        typer.Option("--weak-teacher", help="Go on although the teacher is worse than the noisy input."),
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Measure, print what would be done and how long it takes; stop.")
    ] = False,
    trust_code: TrustCode = False,
) -> None:
    """From two folders to a distilled student and a page about it, within some hours.

    Plans for this machine, prepares and mixes the recordings, keeps the teacher's outputs, trains the student
    with them and once without, measures both, and writes student/, report.html, and the same by hand:
    recipes/ and commands.sh. The same line again goes on after an interruption.
    """
    from sedistill.workflows.distilling.command import distil as run

    run(
        output, clean=clean, noise=noise, noisy=noisy, start=start, teacher=teacher, student=student,
        hours=hours, twin=not no_twin, weak_teacher=weak_teacher, plan_only=plan,
    )  # fmt: skip
