"""An exported file open in onnxruntime. Nothing here needs PyTorch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sedistill.common.errors import UserError
from sedistill.common.onnx_models import open_onnx_model

FORM = "sedistill_form"
"""Names the form of an exported file; a file without it is none of ours."""

SLOT_STATES = ("conv_cache", "tra_cache", "inter_cache")


class Session:
    """A session of onnxruntime and the file's facts; `run` takes and gives arrays in the file's order."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._session = open_onnx_model(path, "export", threads)
        self.path = path
        self.facts: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._names = [one.name for one in self._session.get_inputs()]
        self.state_shapes = [tuple(one.shape) for one in self._session.get_inputs()[1:]]
        if len(self._session.get_outputs()) != len(self._names):
            raise UserError(f"{path} has {len(self._names)} inputs and another number of outputs.")

    def run(self, *arrays: NDArray) -> list[NDArray]:
        return self._session.run(None, dict(zip(self._names, arrays, strict=True)))

    def number(self, name: str) -> int:
        value = read(self.facts, name)
        if not isinstance(value, int):
            raise ValueError(f"{name} is {value}")
        return value


def read(facts: Mapping[str, str], name: str) -> Any:
    """A fact as it was before it became text; None where it is missing or null."""
    return json.loads(facts.get(name, "null"))
