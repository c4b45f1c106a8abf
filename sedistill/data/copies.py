"""Exact copies among the clips of a corpus: one of them stays."""

from collections.abc import Sequence

from sedistill.audio.listing import Unread
from sedistill.data.clip_table import Clip
from sedistill.data.layouts import Listing
from sedistill.data.layouts.timit_noisex92 import SIMILAR

SPLIT_ORDER = ("train", "valid", "test", "test_with_reverb", SIMILAR)


def without_copies(clips: Sequence[Clip], listing: Listing) -> tuple[list[Clip], list[Unread]]:
    """Keep one of each set of exact copies: that of the latest split, so that test sets stay whole.

    A noise file that is also clean speech is left out as well. Pairs count as copies when noisy and clean
    both are: one clean recording under several noises is usual.
    """
    keys = _copy_keys(clips)
    first_of: dict[str, Clip] = {}
    dropped: dict[str, str] = {}

    def precedence(number: int) -> tuple[bool, int, int]:
        return clips[number].kind == "noise", -split_rank(clips[number].split), number

    for number in sorted(range(len(clips)), key=precedence):
        clip = clips[number]
        kept = first_of.setdefault(keys[number], clip)
        # The other file of a pair has the same key, and is no copy.
        if kept is not clip and not (clip.pair and clip.pair == kept.pair):
            dropped[f"{clip.root}/{clip.path}"] = str(listing.place(*kept.given))
    remaining = [clip for clip in clips if f"{clip.root}/{clip.path}" not in dropped]
    copies = [(clip, dropped.get(f"{clip.root}/{clip.path}")) for clip in clips]
    return remaining, [
        Unread(listing.place(*clip.given), "exact copy", f"the same audio as {kept}")
        for clip, kept in copies
        if kept
    ]


def _copy_keys(clips: Sequence[Clip]) -> list[str]:
    hashes: dict[str, dict[str, str]] = {}
    for clip in clips:
        if clip.pair:
            hashes.setdefault(clip.pair, {})[clip.kind] = clip.audio_sha256
    return [
        "{noisy} {clean}".format(**hashes[clip.pair]) if clip.pair else clip.audio_sha256 for clip in clips
    ]


def split_rank(split: str) -> int:
    return SPLIT_ORDER.index(split) if split in SPLIT_ORDER else -1
