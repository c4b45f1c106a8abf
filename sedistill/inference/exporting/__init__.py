"""Networks for other runtimes: written as ONNX, and proved before they are written."""

from sedistill.inference.exporting.command import export
from sedistill.inference.exporting.running import open_onnx

__all__ = ["export", "open_onnx"]
