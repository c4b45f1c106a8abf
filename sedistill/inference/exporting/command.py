"""`export`: a network as an ONNX file that was proved to be the network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from sedistill.common.errors import UserError
from sedistill.common.writing import atomic_path, refuse_existing
from sedistill.inference.exporting.calibration import Clip, calibration_clips
from sedistill.inference.exporting.coarsening import Precision, coarse
from sedistill.inference.exporting.graphs import ClipGraph, FrameGraph, SlotGraph, StepGraph
from sedistill.inference.exporting.metadata import facts
from sedistill.inference.exporting.onnx_session import SLOT_STATES
from sedistill.inference.exporting.packages import package
from sedistill.inference.exporting.tracing import EXAMPLE_SAMPLES, OPSETS, traced
from sedistill.inference.exporting.verifying import (
    MOST_PESQ_LOSS,
    CoarseFindings,
    Findings,
    verify,
    verify_coarse,
)
from sedistill.models.base import SpeechEnhancer, check_network
from sedistill.models.frames import FrameEnhancer
from sedistill.models.saving import load_model

Form = Literal["stream", "spectrum", "clip", "sherpa"]
SUFFIX = ".onnx"
DEFAULT_OPSET = 18


def export(
    model: SpeechEnhancer | Path | str,
    output: Path | str,
    form: Form = "stream",
    opset: int = DEFAULT_OPSET,
    correct_level: bool = True,
    overwrite: bool = False,
    precision: Precision = "fp32",
    calibrate: Path | str | None = None,
    max_pesq_loss: float = MOST_PESQ_LOSS,
) -> Findings | CoarseFindings:
    """Write a network as an ONNX file, and return what was found when it was compared with PyTorch.

    Args:
        model: a network, or the folder or name of a saved one.
        output: the file to write, with the suffix .onnx.
        form: "stream": the samples of one step and states in, samples and states out. "spectrum": the same
            with a frame of the spectrum, (1, bins, 1, 2), for programs with a Fourier transform of their own.
            "clip": a waveform (1, T) of any length. "sherpa": as "spectrum", for the GTCRN slot of
            sherpa-onnx. States begin as zeros. Metadata of the file say all that a program has to know.
        opset: of ONNX, 18 to 23.
        correct_level: multiply by the model's `output_gain` inside the file.
        overwrite: replace a file that is there.
        precision: "fp32"; "int8" (static, a scale a channel) and "fp16" are for NPUs, and slower on CPUs.
        calibrate: sound like what the network will hear, at any rate: a file, a folder, or a set of pairs
            (noisy/ and clean/), of which 25 clips are taken. int8 needs it.
        max_pesq_loss: how much WB-PESQ int8 or fp16 may lose on these pairs or, without, on the check clip.

    Norms are folded into the weights. Before the file appears it is run in onnxruntime, at three lengths, and
    compared with the network: outputs (to 1e-4), causality, the window's reconstruction and WB-PESQ.

    Raises UserError where the network has no such form or cannot be exported, naming the operator or the
    reason, where the file is not as the network, and where packages are missing; nothing is written then.
    """
    output = Path(output)
    for name in ("onnx", "onnxscript", "onnxruntime"):
        package(name)
    network = load_model(model) if isinstance(model, Path | str) else model
    check_network(network)
    _refuse_impossible(network, output, form, opset)
    _refuse_uncalibrated(precision, calibrate)
    refuse_existing(output, overwrite)
    gain = float(network.output_gain) if correct_level else 1.0
    clips = [] if calibrate is None else calibration_clips(calibrate, network.sample_rate)
    onnx_model = _in_form(network, form, gain, opset, precision, clips)
    with atomic_path(output, overwrite) as place:
        package("onnx").save(onnx_model, str(place))
        try:
            if precision == "fp32":
                return verify(place, network, gain)
            return verify_coarse(place, network, gain, clips, max_pesq_loss, precision)
        except UserError as error:
            raise UserError(f"{output} was not written: {error}") from None


def _in_form(
    network: SpeechEnhancer, form: Form, gain: float, opset: int, precision: Precision, clips: Sequence[Clip]
) -> Any:
    """The ONNX model with its metadata."""
    model, shapes = _traced(network, form, gain, opset, precision)
    for name, value in facts(network, form, gain, shapes, precision).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, value
    return model if precision == "fp32" else coarse(model, precision, clips)


def _traced(
    network: SpeechEnhancer, form: Form, gain: float, opset: int, precision: Precision
) -> tuple[Any, list[list[int]]]:
    """The ONNX model, and the shapes of its states."""
    what = f"{type(network).__name__} as {form}"
    if form == "clip":
        example = torch.zeros(1, EXAMPLE_SAMPLES)
        clip = ClipGraph(network, gain, norms_inside=precision == "fp32")  # fewer bits need constant weights
        return traced(clip, [example], ["noisy"], ["enhanced"], opset, what, True), []
    graph = _graph(network, form, gain)
    inputs = graph.example()
    names, ends = [f"state_{i}" for i in range(len(inputs) - 1)], ("noisy", "enhanced")
    if form == "sherpa":
        names, ends = list(SLOT_STATES), ("mix", "enh")
    outputs = [ends[1], *(f"{name}_out" for name in names)]
    model = traced(graph, inputs, [ends[0], *names], outputs, opset, what)
    return model, [list(state.shape) for state in inputs[1:]]


def _graph(network: SpeechEnhancer, form: Form, gain: float) -> StepGraph | FrameGraph:
    if form == "stream":
        return StepGraph(network, gain)
    assert isinstance(network, FrameEnhancer)
    return SlotGraph(network, gain) if form == "sherpa" else FrameGraph(network, gain)


def _refuse_uncalibrated(precision: Precision, calibrate: Path | str | None) -> None:
    if precision not in get_args(Precision):
        raise UserError(f"precision = {precision}: choose one of {', '.join(get_args(Precision))}.")
    if precision == "int8" and calibrate is None:
        raise UserError("int8 needs sound to be calibrated on; name clips like those it will hear.")


def _refuse_impossible(network: SpeechEnhancer, output: Path, form: str, opset: int) -> None:
    name = type(network).__name__
    if form not in get_args(Form):
        raise UserError(f"form = {form}: choose one of {', '.join(get_args(Form))}.")
    if opset not in OPSETS:
        raise UserError(f"opset = {opset}: choose one from {OPSETS[0]} to {OPSETS[-1]}.")
    if output.suffix != SUFFIX:
        raise UserError(f"{output}: an exported file ends in {SUFFIX}.")
    if form != "clip" and network.step_samples is None:
        why = "looks at the whole clip" if network.latency_samples is None else "has no steps"
        raise UserError(f"{name} {why} and cannot be exported as {form}; choose --form clip.")
    if form in ("spectrum", "sherpa") and not isinstance(network, FrameEnhancer):
        raise UserError(f"{name} works on waveforms, not on spectra; choose --form stream or clip.")
    if (
        form == "sherpa"
        and isinstance(network, FrameEnhancer)
        and network.frames.length != 2 * network.frames.hop
    ):
        frames = network.frames
        raise UserError(
            f"sherpa-onnx adds frames without a division, which takes a hop of half the window; {name} has "
            f"one of {frames.hop} samples in {frames.length}; choose --form stream."
        )
