"""A saved network at work in onnxruntime, without a file that stays."""

from pathlib import Path
from tempfile import TemporaryDirectory

from sedistill.inference.exporting.command import export
from sedistill.inference.exporting.running import open_onnx
from sedistill.inference.exporting.verifying import CoarseFindings, Findings
from sedistill.models.base import SpeechEnhancer
from sedistill.models.saving import load_model


def in_onnxruntime(model: SpeechEnhancer | Path | str) -> tuple[SpeechEnhancer, Findings | CoarseFindings]:
    """The network exported for whole clips, compared with PyTorch and opened, and what was found.

    Raises UserError as `export` does.
    """
    network = load_model(model) if isinstance(model, Path | str) else model
    with TemporaryDirectory(prefix="sedistill-") as folder:
        path = Path(folder) / "network.onnx"
        findings = export(network, path, "clip", correct_level=False)  # so that the level stays a choice
        opened = open_onnx(path)
    opened.output_gain = network.output_gain
    return opened, findings
