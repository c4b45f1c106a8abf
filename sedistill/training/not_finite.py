"""NaN and infinity in a training: found before they are learnt from or saved, and named."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sedistill.common import ranks

ELSEWHERE = "something in another process"


class NotFiniteError(Exception):
    """Something of a training is not finite; the message says what, and where it was first."""


def refuse_not_finite(values: Mapping[str, Tensor]) -> None:
    """Raise NotFiniteError naming the first of these scalars that is not finite.

    If one process does, all do.
    """
    finite = torch.stack([value.detach().double() for value in values.values()]).isfinite()
    own_fault = not bool(finite.all())
    if ranks.any_says(own_fault)[0]:
        named = (name for name, good in zip(values, finite, strict=True) if not good)
        raise NotFiniteError(next(named, ELSEWHERE))


def refuse_state_not_finite(state: Mapping[str, Any]) -> None:
    """Raise NotFiniteError naming the first tensor, of nested dicts and lists, with a value that is not."""
    for name, tensor in tensors_in(state):
        if not bool(tensor.isfinite().all()):
            raise NotFiniteError(name)


def broken_clips(values: Tensor) -> list[int]:
    """The numbers of the clips of a batch, (B,) or (B, ...), with a value that is not finite."""
    return (~values.isfinite()).reshape(len(values), -1).any(dim=1).nonzero().flatten().tolist()


def first_cause(
    fault: NotFiniteError,
    batch: Mapping[str, Tensor],
    network: nn.Module,
    terms: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
    origin: Callable[[int], str],
) -> NotFiniteError:
    """The fault of a step with what was not finite first: a signal of a clip, a weight, or a clip's term.

    terms: of `Step`. origin: a clip's "index" -> where it comes from.
    Of several processes the first that knows more than that there was a fault is the one that tells.
    """
    clips = batch["index"].tolist()

    def causes() -> Iterator[str]:
        for name, values in batch.items():
            yield from (f"`{name}` of {origin(clips[number])}" for number in broken_clips(values))
        for name, weight in tensors_in(network.state_dict()):
            if not bool(weight.isfinite().all()):
                yield f"the student's weight {name}"
        for number, clip in enumerate(clips):
            alone = {name: values[number : number + 1] for name, values in batch.items()}
            for term, value in terms(alone).items():
                if not bool(value.isfinite()):
                    yield f"{term}, first for {origin(clip)},"

    with ranks.alone():
        own = next(causes(), None)
    told = ranks.gathered((own is None, str(fault) == ELSEWHERE, own or str(fault)))
    return NotFiniteError(min(told, key=lambda one: one[:2])[2])


def tensors_in(values: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors in nested dicts and lists, with their places."""
    if isinstance(values, Tensor):
        yield name, values
    elif isinstance(values, Mapping):
        for key, value in values.items():
            yield from tensors_in(value, f"{name}.{key}" if name else str(key))
    elif isinstance(values, Sequence) and not isinstance(values, str | bytes):
        for number, value in enumerate(values):
            yield from tensors_in(value, f"{name}.{number}")
