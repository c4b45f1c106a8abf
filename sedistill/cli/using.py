"""Commands for whoever wants to use or look at what there is."""

from pathlib import Path
from typing import Annotated

import typer

from sedistill.cli.shared_options import Overwrite, RawLevel, TrustCode, Workers
from sedistill.common.errors import UserError

PIPE = Path("-")


def enhance(
    inputs: Annotated[list[Path], typer.Argument(help="Audio files, or folders of them; - is a pipe.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file to write for one input file, else the folder; none for a pipe."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="A saved model's folder, the name of a ready-made one, or a file of `sedistill export`.",
            show_default="the ready-made fastenhancer-b",
        ),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(
            metavar="DB",
            help="By how much noise may be lowered at most; 0 changes nothing.",
            show_default="no limit",
        ),
    ] = None,
    raw: Annotated[
        str | None,
        typer.Option(
            metavar="RATE[,CHANNELS[,FORMAT]]",
            help="What a pipe holds that is no WAV; formats as ffmpeg names them, s16le to f64le.",
        ),
    ] = None,
    whole_band: Annotated[
        bool,
        typer.Option(
            "--whole-band",
            help="Keep what lies above the network's band, lowered as the octave below it; files only.",
        ),
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda; a pipe takes cpu.")] = "auto",
    workers: Workers = None,
    raw_level: RawLevel = False,
    trust_code: TrustCode = False,
    dry: Annotated[bool, typer.Option("--dry", help="Say what would be done, and write nothing.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Denoise files: any rate, channels and length in; the same out.

    A network for 16 kHz, as the ready-made ones are, leaves nothing above 8 kHz without --whole-band.
    """
    from sedistill.inference.enhancing import enhance_files
    from sedistill.models.ready_made import default_model
    from sedistill.models.saving import load_model

    model, opened = model or default_model(), None
    if model.endswith(".onnx") and not Path(model).is_dir():
        from sedistill.inference.exporting.running import open_onnx

        opened = open_onnx(model)
    if PIPE in inputs:
        if len(inputs) > 1 or output not in (None, PIPE) or device == "cuda":
            raise UserError("`-` stands alone: from standard input to standard output, on the CPU.")
        if whole_band or dry:
            raise UserError("--whole-band and --dry are for files; a pipe, `-`, has neither.")
        from sedistill.inference.streaming import Stream
        from sedistill.inference.streaming.pipes import enhance_pipe, raw_sound

        network, sound = opened or load_model(model), None if raw is None else raw_sound(raw)
        enhance_pipe(
            lambda rate: Stream(network, rate, correct_level=not raw_level, strength_db=strength), sound
        )
        return
    if output is None or raw is not None:
        raise UserError("--raw is for a pipe, `-`." if output else "say where to write, with -o.")
    enhance_files(
        model, inputs, output, device=device, correct_level=not raw_level, overwrite=overwrite,
        opened=opened, strength_db=strength, whole_band=whole_band, workers=workers, dry=dry,
    )  # fmt: skip


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
