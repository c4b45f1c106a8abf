"""Commands for whoever takes a network elsewhere."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from sedistill.cli.shared_options import Overwrite, RawLevel, TrustCode, Workers, listed


class Form(str, Enum):
    """As in `sedistill.inference.exporting.command`."""

    stream = "stream"
    spectrum = "spectrum"
    clip = "clip"
    sherpa = "sherpa"


class Precision(str, Enum):
    """As in `sedistill.inference.exporting.coarsening`."""

    fp32 = "fp32"
    int8 = "int8"
    fp16 = "fp16"


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
    opset: Annotated[int, typer.Option(help="ONNX's operator set, 18 to 23.")] = 18,
    precision: Annotated[
        Precision, typer.Option(help="int8 and fp16 are for NPUs; on CPUs they are slower.")
    ] = Precision.fp32,
    calibrate: Annotated[
        Path | None,
        typer.Option(help="Sound like what it will hear: a file, a folder, a set of pairs. For int8."),
    ] = None,
    max_pesq_loss: Annotated[
        float, typer.Option(min=0, max=4, help="How much WB-PESQ int8 or fp16 may lose on these pairs.")
    ] = 0.1,
    raw_level: RawLevel = False,
    trust_code: TrustCode = False,
    overwrite: Overwrite = False,
) -> None:
    """Write a network as ONNX, compared with PyTorch in onnxruntime before the file appears."""
    from sedistill.inference.exporting.command import export as write

    findings = write(
        model, output, form.value, opset, not raw_level, overwrite, precision.value, calibrate, max_pesq_loss
    )
    typer.echo(f"{output}: {findings.text()}")


def benchmark(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Saved models, ready-made ones, presets (untrained: cost alone), deepfilternet, or another "
            "teacher as '{onnx: FILE}' (docs/teachers.md)."
        ),
    ] = None,
    onnx: Annotated[
        list[Path] | None, typer.Option(help="A denoiser's ONNX file, by whomever; repeat for more.")
    ] = None,
    on: Annotated[
        Path | None, typer.Option("--on", help="A folder with noisy/ and clean/, for the quality.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The folder to write: a page, a picture, the numbers."),
    ] = None,
    ways: Annotated[
        str,
        typer.Option(
            help="Of eager, compiled (by torch.compile, which takes minutes), onnx and int8 (with --on); "
            "commas between."
        ),
    ] = "eager,onnx",
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="Of sound in a round.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="How often.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON, for programs.")] = False,
    workers: Workers = None,
    trust_code: TrustCode = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure what networks cost on this machine: time, memory, size, and quality on a set."""
    import json

    from sedistill.common.report.figures import require_drawing
    from sedistill.common.report.printing import print_tables
    from sedistill.common.writing import refuse_existing
    from sedistill.workflows.benchmarking.command import FACTS, write_benchmark
    from sedistill.workflows.benchmarking.command import benchmark as run
    from sedistill.workflows.benchmarking.report_text import benchmark_tables, sentences

    if output is not None:
        require_drawing("writing a page")
        refuse_existing(output, overwrite, marker=FACTS)
    found = run(models or [], onnx or [], on, listed("--ways", ways) or (), seconds, rounds, workers)
    if output is not None:
        write_benchmark(found, output, overwrite)
    if as_json:
        print(json.dumps(found.facts(), indent=2))
    else:
        print_tables(benchmark_tables(found), sentences(found))
        if output is not None:
            print(f"A page, the picture and the numbers are in {output}.")
