"""The command that most people come for: files, pipes and microphones without their noise."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sedistill.cli.shared_options import Overwrite, RawLevel, TrustCode, Workers
from sedistill.common.errors import UserError

if TYPE_CHECKING:
    from sedistill.models.base import SpeechEnhancer

PIPE = Path("-")


class Backend(str, Enum):
    """What computes."""

    torch = "torch"
    onnx = "onnx"


def enhance(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(help="Audio files, or folders of them; - is a pipe.", show_default=False),
    ] = None,
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
    whole_band: Annotated[
        bool,
        typer.Option(
            "--whole-band",
            help="Keep what lies above the network's band, lowered as the octave below it; files only.",
        ),
    ] = False,
    raw: Annotated[
        str | None,
        typer.Option(
            metavar="RATE[,CHANNELS[,FORMAT]]",
            help="What a pipe holds that is no WAV; formats as ffmpeg names them, s16le to f64le.",
        ),
    ] = None,
    resampling: Annotated[
        str | None,
        typer.Option(
            metavar="VHQ|HQ|MQ|LQ",
            help="Of a pipe or microphone at another rate than the network's: lower ones wait less.",
            show_default="VHQ; LQ with --live",
        ),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="From the microphone to the loudspeaker.")] = False,
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="Show microphones and loudspeakers, and end.")
    ] = False,
    microphone: Annotated[
        str | None, typer.Option(help="Its number or a part of its name.", show_default="the system's")
    ] = None,
    loudspeaker: Annotated[
        str | None, typer.Option(help="Its number or a part of its name.", show_default="the system's")
    ] = None,
    backend: Annotated[
        Backend | None,
        typer.Option(
            help="onnx: exported, compared and run in onnxruntime.",
            show_default="torch; onnx for a file of export",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda; pipes and onnx take cpu.")] = "auto",
    workers: Workers = None,
    raw_level: RawLevel = False,
    trust_code: TrustCode = False,
    dry: Annotated[bool, typer.Option("--dry", help="Say what would be done, and write nothing.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Denoise files: any rate, channels and length in; the same out. Or a pipe, or a microphone.

    A network for 16 kHz, as the ready-made ones are, leaves nothing above 8 kHz without --whole-band.
    """
    from sedistill.models.ready_made import default_model
    from sedistill.models.saving import load_model

    if list_devices:
        from sedistill.inference.adapters.sound_devices import device_table

        typer.echo(device_table())
        return
    streams = live or PIPE in (inputs or [])
    if streams and (whole_band or dry or device == "cuda"):
        raise UserError("--whole-band, --dry and --device cuda are for files, not for a pipe or --live.")
    if resampling is not None and not streams:
        raise UserError("--resampling is for a pipe or --live; files are resampled at VHQ.")
    if raw is not None and (live or not streams):
        raise UserError("--raw is for a pipe, `-`.")
    if (microphone or loudspeaker) and not live:
        raise UserError("--microphone and --loudspeaker are for --live.")
    if live and (inputs or output):
        raise UserError("--live takes no files: it plays what the microphone hears, without the noise.")
    if not live and not inputs:
        raise UserError("nothing to enhance; name audio files or folders, `-` for a pipe, or --live.")

    model = model or default_model()
    opened = _in_onnxruntime(model, backend, device)
    if not streams:
        if output is None:
            raise UserError("say where to write, with -o.")
        from sedistill.inference.enhancing import enhance_files

        enhance_files(
            model, inputs or [], output, device=device, correct_level=not raw_level, overwrite=overwrite,
            opened=opened, strength_db=strength, whole_band=whole_band, workers=workers, dry=dry,
        )  # fmt: skip
        return
    from sedistill.inference.streaming import Stream

    network = opened or load_model(model)
    # A listener who waits wants an early answer rather than the best one.
    quality = resampling or ("LQ" if live else "VHQ")

    def open_stream(rate: int) -> Stream:
        return Stream(network, rate, correct_level=not raw_level, strength_db=strength, resampling=quality)

    if live:
        from sedistill.inference.adapters.live import enhance_live

        enhance_live(open_stream, network.sample_rate, microphone, loudspeaker)
        return
    if len(inputs or []) > 1 or output not in (None, PIPE):
        raise UserError("`-` stands alone: from standard input to standard output.")
    from sedistill.inference.streaming.pipes import enhance_pipe, raw_sound

    enhance_pipe(open_stream, None if raw is None else raw_sound(raw))


def _in_onnxruntime(model: str, backend: Backend | None, device: str) -> "SpeechEnhancer | None":
    """The network where onnxruntime is to compute; None where PyTorch is. Raises UserError."""
    is_exported = model.endswith(".onnx") and not Path(model).is_dir()
    if is_exported and backend is Backend.torch:
        raise UserError(f"{model} is an exported file, which onnxruntime runs; leave out --backend torch.")
    if not is_exported and backend is not Backend.onnx:
        return None
    if device == "cuda":
        raise UserError("onnxruntime computes on the CPU here; leave out --device cuda.")
    if is_exported:
        from sedistill.inference.exporting.running import open_onnx

        return open_onnx(model)
    from sedistill.inference.exporting.backend import in_onnxruntime

    network, findings = in_onnxruntime(model)
    typer.echo(f"Exported for this run: {findings.text()}", err=True)
    return network
