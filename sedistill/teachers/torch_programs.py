"""Networks saved with their code: TorchScript, and programs of torch.export. And functions of Python."""

import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sedistill.common.errors import UserError
from sedistill.common.extensions import find_part, package_of, refuse_untrusted
from sedistill.common.integrity import facts_checksum, file_hash
from sedistill.teachers.foreign import ForeignTeacher, Wave
from sedistill.teachers.teacher_settings import TeacherFrom


class TorchProgram(ForeignTeacher):
    """A file of torch.jit.save or torch.export.save: (1, T) -> (1, T), on the CPU, in eval mode, frozen.

    Both hold code, and to read them is to unpickle: they have to be trusted.
    """

    def __init__(self, settings: TeacherFrom) -> None:
        self.path = Path(str(getattr(settings, settings.kind)))
        facts = {"kind": settings.kind, "file": file_hash(self.path), "rate": settings.rate}
        refuse_untrusted(f"the teacher {self.path} is a program of torch")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that TorchScript has a successor
                self.program = _loaded(settings.kind, self.path)
        except Exception as error:
            raise UserError(
                f"{self.path} is no {settings.kind} file that torch can read: {_first(error)}"
            ) from None
        super().__init__(settings.name, facts_checksum(facts), settings.rate)

    @torch.no_grad()
    def clean(self, noisy: Wave, sample_rate: int) -> Wave:
        try:
            output = self.program(torch.from_numpy(noisy)[None])
        except Exception as error:  # other shapes, a device that is not there
            if "cuda" in str(error).lower() and not torch.cuda.is_available():
                raise UserError(
                    f"{self.path} asks for a GPU, and there is none here; save the network from the CPU."
                ) from None
            raise UserError(f"{self.path} fails on (1, {len(noisy)}) samples: {_first(error)}") from None
        if not isinstance(output, torch.Tensor):
            raise UserError(
                f"{self.path} is no denoiser: it gives a {type(output).__name__}, not a waveform."
            )
        return output.detach().cpu().squeeze().numpy()


class PythonFunction(ForeignTeacher):
    """A function of NumPy, float32 (T,) to (T,), of a package that is trusted."""

    def __init__(self, settings: TeacherFrom) -> None:
        path = str(settings.python).replace(":", ".")
        no_own: dict[str, Callable] = {}
        self.function = find_part("teachers", path, no_own, "teacher", callable)
        module = import_module(str(settings.python).partition(":")[0])
        source = getattr(module, "__file__", None)
        facts = {
            "kind": "python", "path": path, "package": package_of(path), "rate": settings.rate,
            "file": file_hash(source) if source else None,
        }  # fmt: skip
        super().__init__(settings.name, facts_checksum(facts), settings.rate)

    def clean(self, noisy: Wave, sample_rate: int) -> Wave:
        try:
            return np.asarray(self.function(noisy.copy()))
        except Exception as error:
            raise UserError(
                f"the teacher {self.name} raises {type(error).__name__}: {_first(error)}"
            ) from error


def _loaded(kind: str, path: Path) -> Any:
    if kind == "torchscript":
        return torch.jit.freeze(torch.jit.load(str(path), map_location="cpu").eval())
    return torch.export.load(str(path)).module()


def _first(error: Exception) -> str:
    """The first line of what it says, as the end of a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{(lines or [type(error).__name__])[0].rstrip('.')}."
