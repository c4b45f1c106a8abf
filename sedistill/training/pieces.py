"""A batch in equal pieces, computed one after the other where the whole does not fit into memory."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def pieces_of(batch: Mapping[str, Tensor], count: int) -> list[dict[str, Tensor]]:
    """So many parts of a batch, each with an equal share of the clips with and of those without clean speech.

    Values are (B, ...), or (C, ...) of the first C clips, which are those with "clean".
    """
    if count == 1:
        return [dict(batch)]
    known = len(batch["clean"])

    def shares(values: Tensor) -> list[Tensor]:
        first, rest = values[:known].chunk(count), values[known:].chunk(count)
        if len(values) == known:
            return list(first)
        return [torch.cat(both) for both in zip(first, rest, strict=True)]

    shared = {name: shares(values) for name, values in batch.items()}
    return [{name: of_all[number] for name, of_all in shared.items()} for number in range(count)]


def mean_of(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean over pieces of each named scalar; not finite where one is not."""
    if len(parts) == 1:
        return dict(parts[0])
    return {name: torch.stack([one[name] for one in parts]).mean() for name in parts[0]}
