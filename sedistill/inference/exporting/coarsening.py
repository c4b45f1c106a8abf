"""A graph in fewer bits: int8, calibrated on sound, or fp16.

For NPUs: on CPUs networks of this size are slower in int8 than in fp32, and some lose much of their quality.
So `verifying.verify_coarse` hears the file before anybody gets it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from sedistill.inference.exporting.calibration import Clip
from sedistill.inference.exporting.onnx_session import Session
from sedistill.inference.exporting.packages import package
from sedistill.inference.exporting.running import open_onnx

Precision = Literal["fp32", "int8", "fp16"]
MOST_EXAMPLES = 400
"""Steps, or clips, whose ranges are looked at."""
OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
EXACT = ("frames.",)
"""Weights of these names stay: a Fourier transform in eight bits is noise."""


def coarse(model: Any, precision: Precision, clips: Sequence[Clip]) -> Any:
    """An ONNX model with metadata, in int8 (static, per channel) or fp16; inputs and outputs stay float32."""
    package("onnxruntime")
    if precision == "fp16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        return convert_float_to_float16(model, keep_io_types=True)
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Examples(CalibrationDataReader):
        def __init__(self, given: Iterator[dict[str, NDArray]]) -> None:
            self.given = given

        def get_next(self) -> dict[str, NDArray] | None:
            return next(self.given, None)

    facts = list(model.metadata_props)
    prepared = model.metadata_props.add()  # shapes are known and norms folded; else it advises to do that
    prepared.key, prepared.value = "onnx.quant.pre_process", "onnxruntime.quant"
    with TemporaryDirectory(prefix="sedistill-") as folder:
        before, after = (Path(folder) / name for name in ("before.onnx", "after.onnx"))
        package("onnx").save(model, str(before))
        quantize_static(
            before,
            after,
            Examples(iter(examples(before, clips))),
            op_types_to_quantize=list(OPERATORS),
            nodes_to_exclude=exact_nodes(model),
            per_channel=True,
            extra_options={"MatMulConstBOnly": True},  # products of two signals lose most
        )
        made = package("onnx").load(str(after))
    del made.metadata_props[:]
    made.metadata_props.extend(facts)
    return made


def examples(path: Path, clips: Sequence[Clip]) -> list[dict[str, NDArray]]:
    """The inputs of an exported file while it enhances clips, by name, taken evenly from all steps."""
    network: Any = open_onnx(path)
    session, heard = network.session, []

    class Listening(Session):
        def __init__(self) -> None:
            vars(self).update(vars(session))

        def run(self, *arrays: NDArray) -> list[NDArray]:
            heard.append(dict(zip(self._names, (array.copy() for array in arrays), strict=True)))
            return session.run(*arrays)

    network.session = Listening()
    with torch.no_grad():
        for clip in clips:
            network(torch.from_numpy(clip.noisy)[None])
    chosen = np.linspace(0, len(heard) - 1, min(len(heard), MOST_EXAMPLES)).round().astype(int)
    return [heard[i] for i in chosen]


def exact_nodes(model: Any) -> list[str]:
    """Names of the nodes that multiply by a weight of `EXACT`, turned or not."""
    exact = {one.name for one in model.graph.initializer if any(part in one.name for part in EXACT)}
    for node in model.graph.node:
        if node.op_type == "Transpose" and exact & set(node.input):
            exact |= set(node.output)
    return [node.name for node in model.graph.node if exact & set(node.input)]
