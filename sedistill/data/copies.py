"""Exact copies among the clips of a corpus: one of them stays."""

import numpy as np
from numpy.typing import NDArray

from sedistill.audio.listing import Unread
from sedistill.data.clip_table import ClipTable
from sedistill.data.layouts import Listing
from sedistill.data.split_order import split_rank


def without_copies(clips: ClipTable, listing: Listing) -> tuple[ClipTable, list[Unread]]:
    """Keep one of each set of exact copies: that of the latest split, so that test sets stay whole.

    A noise file that is also clean speech is left out as well. Pairs count as copies when noisy and clean
    both are: one clean recording under several noises is usual.
    """
    sounds = _sounds(clips)
    ranks = np.array([split_rank(split) for split in clips.choices["split"]], np.int64)[clips.codes["split"]]
    order = np.lexsort((np.arange(len(clips)), -ranks, clips.is_in("kind", "noise")))
    _, first = np.unique(sounds[order], return_index=True)
    kept = order[first][sounds]  # (n,): the clip that stays instead of each
    doubled = np.flatnonzero(kept != np.arange(len(clips)))
    # The other file of a pair has the same sound, and is no copy.
    is_pair = clips.texts["pair"].are_there
    copies = [
        row
        for row in doubled.tolist()
        if not (is_pair[row] and clips.text("pair", row) == clips.text("pair", kept[row]))
    ]
    if not copies:
        return clips, []
    kept_of_file = dict(zip(clips.file[copies].tolist(), kept[copies].tolist(), strict=True))
    dropped = np.isin(clips.file, list(kept_of_file))
    left_out = []
    for row in np.flatnonzero(dropped).tolist():
        stays = listing.place(*clips[kept_of_file[clips.file[row]]].given)
        place = listing.place(*clips[row].given)
        left_out.append(Unread(place, "exact copy", f"the same audio as {stays}"))
    return clips.take(~dropped), left_out


def _sounds(clips: ClipTable) -> NDArray[np.int64]:
    """(n,): the same number for the same audio, of pairs for that of both files."""
    audio = clips.texts["audio_sha256"].codes()
    both = np.flatnonzero(clips.texts["pair"].are_there)
    if not len(both):
        return audio
    pairs = np.unique(clips.texts["pair"].take(both).codes(), return_inverse=True)[1]
    sides = np.zeros((pairs.max() + 1, 2), np.int64)
    sides[pairs, clips.is_in("kind", "clean")[both].astype(np.int64)] = audio[both]
    audio[both] = len(clips) + np.unique(sides, axis=0, return_inverse=True)[1].reshape(-1)[pairs]
    return np.unique(audio, return_inverse=True)[1]
