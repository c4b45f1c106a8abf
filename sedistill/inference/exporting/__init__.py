"""Networks for other runtimes: written as ONNX, and proved before they are written."""
