"""An earlier corpus and new recordings as one: every clip keeps its split, so what was test stays test."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from sedistill.common.errors import UserError
from sedistill.common.texts import Texts
from sedistill.data.clip_table import Clip, ClipTable
from sedistill.data.corpus import Corpus


@dataclass(frozen=True)
class Joined:
    """Clips of both, where their audio lies, and the new clips that the earlier corpus had already."""

    clips: ClipTable
    roots: dict[str, Path]
    copies: list[Clip]


def joined_with(earlier: Corpus, clips: ClipTable, roots: Mapping[str, Path]) -> Joined:
    """Put new clips, with their roots, to those of an earlier corpus, whose roots get other names.

    A new clip with the same audio as one of the earlier corpus is left out, whatever its split: a recording
    that was tested on is not learnt from later.
    """
    names = _free_names(earlier.roots, roots)
    kept = (replace(clip, root=names[clip.root], source=_renamed(clip.source, names)) for clip in earlier)
    sounds = [table.texts["audio_sha256"] for table in (earlier.clips, clips)]
    codes = Texts.of(chain(*sounds)).codes()
    is_known = np.isin(codes[len(earlier.clips) :], codes[: len(earlier.clips)])
    copies = [clips[row] for row in np.flatnonzero(is_known).tolist()]
    places = {names[name]: place for name, place in earlier.roots.items()}
    return Joined(ClipTable.of(chain(kept, clips.take(~is_known))), {**places, **roots}, copies)


def refuse_unjoinable(earlier: Corpus, sample_rate: int, pairs: bool) -> None:
    """Raise UserError where new recordings cannot be put to an earlier corpus: another rate, ready pairs."""
    if earlier.sample_rate != sample_rate:
        raise UserError(
            f"{earlier.folder} has {earlier.sample_rate} Hz, the new recordings would have {sample_rate} Hz; "
            f"prepare them at its rate (--sample-rate {earlier.sample_rate})."
        )
    if earlier.shards is not None:
        raise UserError(
            f"the audio of {earlier.folder} lies in shards, which are not joined with files; join the corpus "
            "that they were written from."
        )
    if pairs or earlier.has_pairs:
        raise UserError(
            "ready pairs of noisy and clean files cannot be joined with another corpus; join folders of "
            "clean speech and noise."
        )


def _free_names(taken: Iterable[str], new: Iterable[str]) -> dict[str, str]:
    """For every root of the earlier corpus a name that no other has: clean, clean-2, clean-3, ..."""
    used = set(new)
    names = {}
    for name in taken:
        base = name.rsplit("-", 1)[0] if name.rsplit("-", 1)[-1].isdigit() else name
        free, number = name, 1
        while free in used:
            number += 1
            free = f"{base}-{number}"
        used.add(free)
        names[name] = free
    return names


def _renamed(source: str, names: Mapping[str, str]) -> str:
    """The source of a converted clip, "root/path", with the root's new name; "" stays."""
    root, slash, path = source.partition("/")
    return f"{names.get(root, root)}{slash}{path}"
