"""What a chunk may be: an array or a tensor, floating point or integer PCM, with one channel or several."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sedistill.inference.channels import refuse_swapped_axes
from sedistill.inference.streaming.pass_through import Samples

Chunk = TypeVar("Chunk", NDArray, Tensor)
PCM = {"int16": (2.0**15, 0), "int32": (2.0**31, 0), "uint8": (2.0**7, 128)}
"""What full scale is in integer samples, and where silence lies."""


@dataclass(frozen=True)
class Form:
    """How a chunk came, so that it goes back so."""

    dtype: np.dtype
    like: Tensor | None
    is_flat: bool


def samples_of(chunk: NDArray | Tensor, channels: int | None) -> tuple[Samples, Form]:
    """float32 (channels, samples), full scale 1, and the form.

    channels: of the stream, once they are known: then a chunk of so many may be as short as it likes.

    Raises TypeError for what is no array or tensor of floating point or integer PCM, and ValueError for
    another shape than (samples,) and (channels, samples).
    """
    if not isinstance(chunk, np.ndarray | Tensor):
        raise TypeError(f"a chunk must be an array or a tensor, not a {type(chunk).__name__}")
    like = chunk if isinstance(chunk, Tensor) else None
    if isinstance(chunk, Tensor):
        given = chunk.detach().cpu()
        array = (given.float() if given.dtype == torch.bfloat16 else given).numpy()
    else:
        array = chunk
    if array.ndim != 2 or len(array) != channels:
        refuse_swapped_axes(array.shape, "a chunk")
    form = Form(array.dtype, like, array.ndim == 1)
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return np.atleast_2d(array.astype(np.float32)), form
    if array.dtype.name not in PCM:
        raise TypeError(
            f"a chunk of {array.dtype} is neither floating point with full scale 1 nor PCM as "
            f"{', '.join(PCM)}; convert it first"
        )
    scale, silence = PCM[array.dtype.name]
    return np.atleast_2d((array.astype(np.float64) - silence) / scale).astype(np.float32), form


def as_given(samples: Samples, form: Form) -> NDArray | Tensor:
    """Samples in the form that a chunk had; PCM is rounded and limited to its range."""
    array: NDArray = samples[0] if form.is_flat else samples
    if form.dtype.kind != "f":
        scale, silence = PCM[form.dtype.name]
        limits = np.iinfo(form.dtype)
        array = np.clip(np.rint(array.astype(np.float64) * scale) + silence, limits.min, limits.max)
    array = np.ascontiguousarray(array.astype(form.dtype))
    return array if form.like is None else torch.from_numpy(array).to(form.like)
