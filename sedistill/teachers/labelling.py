"""Teachers' outputs for all clips that come again: their size and time told, then computed."""

import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import groupby

import numpy as np

from sedistill.common import ranks
from sedistill.common.devices import usable_cores
from sedistill.common.errors import UserError
from sedistill.common.progress import duration_text
from sedistill.teachers.cached import NoPlaceError, OutputCache
from sedistill.teachers.foreign import InStep
from sedistill.teachers.in_rounds import help_first, no_more

FEW, MEASURED = 100, 16
"""Clips: up to so few, the time is not told; on so many it is measured."""


def opened(caches: Sequence[OutputCache], device: str, limit_gb: float | None = None) -> list[np.ndarray]:
    """The outputs of each, computed where they are not on the disk; how large they are is said before.

    Processes that train together share the work; the first looks and writes.
    limit_gb: of all of them together, 1e9 bytes each; None: what the disk has room for.

    Raises UserError where they are larger, and NoPlaceError where there is no place for them.
    """
    if not ranks.is_first():
        return _helped(caches, device)
    try:
        outputs = _opened_by_first(caches, device, limit_gb)
    except NoPlaceError as error:
        no_more(str(error))
        raise
    no_more()
    return outputs


def _helped(caches: Sequence[OutputCache], device: str) -> list[np.ndarray]:
    named = {cache.folder.name: cache for cache in caches}
    with ExitStack() as stack:
        for cache in caches:
            stack.enter_context(cache.on(device))
        why_none = help_first(lambda name: partial(named[name].rows, device))
    if why_none is not None:
        raise NoPlaceError(why_none)
    outputs = [cache.whole() for cache in caches]
    if unseen := [cache.folder for cache, one in zip(caches, outputs, strict=True) if one is None]:
        raise UserError(
            f"{unseen[0]}: the teacher's outputs, which another process has computed, cannot be seen by this "
            "one; name a folder that all machines share (teacher_use.cache_folder)."
        )
    return [one for one in outputs if one is not None]


def _opened_by_first(caches: Sequence[OutputCache], device: str, limit_gb: float | None) -> list[np.ndarray]:
    there = [cache.whole() for cache in caches]
    missing = [cache for cache, outputs in zip(caches, there, strict=True) if outputs is None]
    if missing:
        _refuse_too_large(caches, missing, limit_gb)
        for cache in missing:
            cache.take_place()
        _tell(missing, device)
    return [
        cache.open(device) if outputs is None else outputs
        for cache, outputs in zip(caches, there, strict=True)
    ]


def _refuse_too_large(
    caches: Sequence[OutputCache], missing: Sequence[OutputCache], limit_gb: float | None
) -> None:
    fewer = "lower data.repeat_epochs or data.epoch_mixtures"
    size = sum(cache.bytes for cache in caches)
    if limit_gb is not None and size > 1e9 * limit_gb:
        raise UserError(
            f"the teachers' outputs take {size / 1e9:.2f} GB, more than teacher_use.disk_limit_gb = "
            f"{limit_gb:g}; raise it, or {fewer}."
        )
    place = next(one for one in missing[0].folder.parents if one.exists())
    new, free = sum(cache.bytes_missing for cache in missing), shutil.disk_usage(place).free
    if new > free:
        raise UserError(
            f"the teachers' outputs take {new / 1e9:.2f} GB, but {place} has {free / 1e9:.2f} GB free; make "
            f"room, name another place (teacher_use.cache_folder), or {fewer}."
        )


def _tell(missing: Sequence[OutputCache], device: str) -> None:
    """Size and time; of few clips nothing, as they are done before it is read."""
    clips = sum(cache.clips_missing for cache in missing)
    if clips <= FEW:
        return
    seconds = 0.0
    for _, group in groupby(missing, lambda cache: cache.source.hash):
        of_one_teacher = list(group)
        left = sum(cache.clips_missing for cache in of_one_teacher)
        seconds += left * _seconds_a_clip(of_one_teacher[0], device)
    megabytes = sum(cache.bytes_missing for cache in missing) / 1e6
    print(
        f"teacher's outputs: {clips:,} clips, {megabytes:,.0f} MB in "
        f"{missing[0].folder.parent}, about {duration_text(seconds / ranks.count())}.",
        flush=True,
    )


def _seconds_a_clip(cache: OutputCache, device: str) -> float:
    """Measured on a few, after as many as are begun at once."""
    warming = 2 * usable_cores() if isinstance(cache.source.teacher, InStep) else 1
    begun, clips = time.monotonic(), 0
    clips_of_cache = range(len(cache.clips))
    with cache.on(device), closing(cache.outputs(clips_of_cache, device)) as outputs:
        for number, (noisy, _) in enumerate(outputs, start=1):
            clips += len(noisy)
            if clips >= MEASURED and number > warming:
                break
            if number == warming and clips < len(cache.clips):
                begun, clips = time.monotonic(), 0
    return (time.monotonic() - begun) / clips
