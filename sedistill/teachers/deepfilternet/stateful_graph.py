"""Graphs over many frames made to go on: what they would forget between two calls comes in and goes out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedistill.common.extras import needed
from sedistill.common.onnx_models import open_onnx_model

TIME_AXIS = 2
"""Of what convolutions see: (1, channels, frames, bins)."""

Arrays = dict[str, NDArray[np.float32]]


class StatefulGraph:
    """A graph, and with what its states begin.

    Where the file pads silence before the first frame, and where a GRU begins at zero, an input and an output
    take their part, named in `begin`.
    """

    def __init__(self, model: bytes, what: str) -> None:
        onnx = needed("onnx", "teachers", what)
        proto = onnx.load_model_from_string(model)
        self.inputs = [one.name for one in proto.graph.input]
        self.begin = _with_states(onnx, proto.graph)
        self.session = open_onnx_model(proto.SerializeToString(), "teachers", what=what)
        self.outputs = [one.name for one in self.session.get_outputs()]

    def __call__(self, given: Arrays, states: Arrays) -> Arrays:
        """Its outputs for some frames, of inputs among those given; `states` are moved on."""
        taken = {name: given[name] for name in self.inputs}
        made = dict(zip(self.outputs, self.session.run(None, {**taken, **states}), strict=True))
        states.update({name: made.pop(_after(name)) for name in states})
        return made


def _after(state: str) -> str:
    return f"{state}_after"


def _with_states(onnx: Any, graph: Any) -> Arrays:
    """Give a graph inputs and outputs for its states, in place. Returns with what they begin."""
    begin: Arrays = {}
    for place, node in reversed(list(enumerate(graph.node))):
        if node.op_type == "GRU":
            name, size = f"hidden_{place}", _attribute(onnx, node, "hidden_size")
            begin[name] = np.zeros((1, 1, size), np.float32)
            node.input[5], node.output[1] = name, _after(name)
        elif node.op_type == "Pad":
            name = f"past_{place}"
            begin[name] = np.zeros(_shape_of_past(graph, node), np.float32)
            _join_past(onnx, graph, place, name, begin[name].shape[TIME_AXIS])
    for name, state in begin.items():
        for side, port in ((graph.input, name), (graph.output, _after(name))):
            side.append(onnx.helper.make_tensor_value_info(port, onnx.TensorProto.FLOAT, state.shape))
    return begin


def _shape_of_past(graph: Any, pad: Any) -> tuple[int, ...]:
    """Of the frames that the convolution behind a padding sees of the past."""
    convolution = next(node for node in graph.node if pad.output[0] in node.input)
    kernel = next(one for one in graph.initializer if one.name == convolution.input[1])
    port = next(one for one in graph.input if one.name == pad.input[0])
    shape = [size.dim_value for size in port.type.tensor_type.shape.dim]
    shape[TIME_AXIS] = kernel.dims[TIME_AXIS] - 1
    return tuple(shape)


def _join_past(onnx: Any, graph: Any, place: int, name: str, frames: int) -> None:
    """Put the last frames of the call before where silence was padded."""
    node = graph.node[place]
    bounds = {"begin": -frames, "end": np.iinfo(np.int64).max, "axis": TIME_AXIS}
    for what, value in bounds.items():
        array = np.array([value], np.int64)
        graph.initializer.append(onnx.numpy_helper.from_array(array, f"{name}_{what}"))
    ports = [node.output[0], *(f"{name}_{what}" for what in bounds)]
    graph.node.insert(place + 1, onnx.helper.make_node("Slice", ports, [_after(name)]))
    node.CopyFrom(onnx.helper.make_node("Concat", [name, node.input[0]], [node.output[0]], axis=TIME_AXIS))


def _attribute(onnx: Any, node: Any, name: str) -> Any:
    return next(onnx.helper.get_attribute_value(one) for one in node.attribute if one.name == name)
