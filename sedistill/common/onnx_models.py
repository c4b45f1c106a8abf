"""ONNX files in onnxruntime, on the CPU."""

from pathlib import Path
from typing import Any

from sedistill.common.errors import UserError
from sedistill.common.extras import needed
from sedistill.common.reading import is_utf8
from sedistill.common.wording import first_line


def open_onnx_model(model: Path | bytes, extra: str, threads: int = 1, what: str = "this") -> Any:
    """A session of onnxruntime. extra, what: as for `needed`. Raises UserError for what is no model.

    model: a file, or what one would hold, which messages call `what`.
    """
    onnxruntime = needed("onnxruntime", extra, what)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what fails is raised, too
    try:
        given = model if isinstance(model, bytes) else _as_taken(model)
        return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = first_line(error).rpartition(" : ")[2]
        name = what if isinstance(model, bytes) else model
        raise UserError(f"{name} is not a model that onnxruntime can run ({reason.rstrip('.')}).") from None


def _as_taken(file: Path) -> str | bytes:
    """Its path, or what it holds where the path is no UTF-8, which onnxruntime does not take."""
    return str(file) if is_utf8(file) else file.read_bytes()
