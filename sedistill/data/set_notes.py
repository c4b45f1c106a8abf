"""What whoever uses a set of pairs should know: files that are none of its clips, and offsets in those."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedistill.audio import levels
from sedistill.audio.listing import told
from sedistill.common.errors import UserError
from sedistill.common.reading import shown
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.set_files import SIDES


def notes_on(pairs: FixedSet, listened_to: int | None = None) -> list[str]:
    """Lines for the terminal; of the clips `listened_to`, evenly spread, are looked at, or all.

    What `sedistill mix` made is not: it took offsets away, and what mean a few seconds have left is rumble.
    """
    if pairs.is_mixed_here:
        return [*told(pairs.unread, pairs.folder)]
    heard = pairs if listened_to is None else pairs.evenly(listened_to)
    return [*told(pairs.unread, pairs.folder), *offset_warning(heard)]


def offset_warning(pairs: FixedSet) -> Iterator[str]:
    """Lines where clean or noisy files have an offset, which metrics and losses take for sound."""
    looked_at = 0
    with_offset: dict[str, list[tuple[float, Path]]] = {"clean": [], "noisy": []}
    for index in range(len(pairs)):
        try:
            noisy, clean = pairs[index]
        except UserError:  # whoever uses the clip says what is amiss with it
            continue
        looked_at += 1
        for path, side, samples in zip(pairs.paths(index), SIDES, (noisy, clean), strict=True):
            if offset := _offset(samples, pairs.sample_rate):
                with_offset[side].append((offset, path))
    for side, taken_for in (("clean", "speech"), ("noisy", "noise")):
        if with_offset[side]:
            largest, path = max(with_offset[side])
            yield (
                f"Warning: {len(with_offset[side])} of {looked_at} {side} files looked at have an offset (a "
                f"mean that is not 0), the largest, {largest:.3g} of full scale, {shown(path)}; SI-SDR and "
                f"segmental SNR as defined, and losses on waveforms, take it for {taken_for}, and it moves "
                "ESTOI, STOI and PESQ: prepare and mix the set again, or take the means away."
            )


def _offset(samples: NDArray, sample_rate: int) -> float:
    """The magnitude of an offset that lies on all of a clip (T,); 0 for rumble and for what is not finite."""
    if not np.isfinite(samples).all() or not levels.has_steady_mean(samples):
        return 0.0
    return abs(levels.offset_of(float(samples.mean()), levels.active_level_db(samples, sample_rate)))
