"""A clip of any length in ONNX, made of the graph of one step.

Recurrent layers traced with a dynamic time axis are exported into a graph that works for one length alone. A
step has none; so the clip's graph runs the step's over all steps, with ONNX's own loop (Scan).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sedistill.inference.exporting.packages import package


def clip_of_steps(step: Any, size: int, delay: int) -> Any:
    """An ONNX model (1, T) -> (1, T) of one that maps (1, size) and states, zeros at first, to the same.

    What a step gives is `delay` samples late; the clip's output is not.
    """
    package("onnx")
    from onnx import TensorProto, helper, numpy_helper

    noisy, *states = step.graph.input
    enhanced, *following = step.graph.output
    constants = {"delay": [delay], "size": [size], "none": [0], "one": [1], "two": [2],
                 "steps_shape": [-1, 1, size], "clip_shape": [1, -1], "no_pads": [0, 0, 0]}  # fmt: skip
    initializers = [
        numpy_helper.from_array(np.array(value, np.int64), f"clip_{name}")
        for name, value in constants.items()
    ]
    first = [f"first_{state.name}" for state in states]
    initializers += [
        numpy_helper.from_array(np.zeros(_shape(state), np.float32), name)
        for state, name in zip(states, first, strict=True)
    ]
    body = helper.make_graph(
        step.graph.node, "step", [*states, noisy], [*following, enhanced], list(step.graph.initializer)
    )
    last = [f"last_{state.name}" for state in states]
    nodes = [
        helper.make_node("Shape", ["noisy"], ["clip_length"], start=1),
        helper.make_node("Add", ["clip_length", "clip_delay"], ["clip_late_length"]),
        helper.make_node("Neg", ["clip_late_length"], ["clip_negative"]),
        helper.make_node("Mod", ["clip_negative", "clip_size"], ["clip_rest"]),  # as in Python, never below 0
        helper.make_node("Add", ["clip_delay", "clip_rest"], ["clip_behind"]),
        helper.make_node("Concat", ["clip_no_pads", "clip_behind"], ["clip_pads"], axis=0),
        helper.make_node("Pad", ["noisy", "clip_pads"], ["clip_padded"]),
        helper.make_node("Reshape", ["clip_padded", "clip_steps_shape"], ["clip_steps"]),
        helper.make_node(
            "Scan", [*first, "clip_steps"], [*last, "clip_enhanced_steps"], body=body, num_scan_inputs=1
        ),
        helper.make_node("Reshape", ["clip_enhanced_steps", "clip_clip_shape"], ["clip_late"]),
        helper.make_node("Slice", ["clip_late", "clip_delay", "clip_late_length", "clip_one"], ["enhanced"]),
    ]
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, "samples"]) for n in ("noisy", "enhanced")
    ]
    graph = helper.make_graph(nodes, "clip", ends[:1], ends[1:], initializers)
    return helper.make_model(graph, opset_imports=step.opset_import, ir_version=step.ir_version)


def _shape(value: Any) -> Sequence[int]:
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
