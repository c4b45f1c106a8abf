"""Commands for whoever takes a network elsewhere."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from sedistill.cli.shared_options import Overwrite, RawLevel


class Form(str, Enum):
    """As in `sedistill.inference.exporting.command`."""

    stream = "stream"
    spectrum = "spectrum"
    clip = "clip"
    sherpa = "sherpa"


def export(
    model: Annotated[str, typer.Argument(help="A saved model's folder, or the name of a ready-made one.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .onnx file to write.")],
    form: Annotated[
        Form,
        typer.Option(
            help="stream: samples and states in and out; spectrum: the same with frames of a spectrum; "
            "clip: a waveform of any length; sherpa: for the GTCRN slot of sherpa-onnx."
        ),
    ] = Form.stream,
    opset: Annotated[int, typer.Option(help="ONNX's operator set, 17 to 23.")] = 18,
    raw_level: RawLevel = False,
    overwrite: Overwrite = False,
) -> None:
    """Write a network as ONNX, compared with PyTorch in onnxruntime before the file appears."""
    from sedistill.inference.exporting.command import export as write

    findings = write(model, output, form.value, opset, not raw_level, overwrite)
    typer.echo(f"{output}: {findings.text()}")
