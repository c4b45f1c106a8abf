"""From a graph in PyTorch to one in ONNX."""

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sedistill.common.errors import UserError
from sedistill.inference.exporting.packages import package

OPSETS = range(18, 24)
EXAMPLE_SAMPLES = 8009
"""A prime: of a length that is a multiple of a hop the padding would be left out for all lengths."""


def traced(
    graph: nn.Module,
    inputs: Sequence[Tensor],
    names: Sequence[str],
    output_names: Sequence[str],
    opset: int,
    what: str,
    any_length: bool = False,
) -> Any:
    """The ONNX model of a graph; with `any_length` the last axis of its only input is dynamic.

    Raises UserError saying why `what` cannot be exported.
    """
    package("onnx")
    package("onnxscript")
    dynamic: dict[str, Any] = (
        {"dynamic_shapes": ({1: torch.export.Dim("samples", min=2)},)} if any_length else {}
    )
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                graph.eval(), tuple(inputs), None, dynamo=True, opset_version=opset, verbose=False,
                input_names=list(names), output_names=list(output_names), **dynamic,
            )  # fmt: skip
            assert program is not None
            model = program.model_proto
    except Exception as error:
        raise UserError(f"{what} cannot be exported: {_reason(error)}.") from error
    found = next(one.version for one in model.opset_import if one.domain == "")
    if found != opset:
        raise UserError(f"{what} cannot be exported with opset {opset}; take {found}.")
    return model


def _reason(error: BaseException) -> str:
    """The cause at the bottom in a line; an operator that ONNX lacks is named."""
    texts, cause = [], error
    while cause is not None:
        texts.append(str(cause))
        cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]
    whole = "\n".join(texts)
    operator = re.search(r"No ONNX function found for.*?op='([\w.]+)'", whole)
    if operator:
        return f"ONNX has no operator for {operator[1]}"
    if "specialized it to be a constant" in whole or "Constraints violated" in whole:
        return "a layer of it, such as a recurrent one that looks both ways, works for one length only"
    lines = [line.strip() for line in texts[-1].splitlines() if line.strip()]
    line = (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
    return f"PyTorch's exporter does not follow it ({line})"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says about packages and operators that nobody asked for."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
