"""Which clips train, which validate, which test, where the folders do not say."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sedistill.data.corpus import Clip

LEAKS_SHOWN = 3


def assign_splits(
    clips: Sequence[Clip],
    shares: Mapping[str, Mapping[str, float]],
    seed: int,
    shortest_frames: Mapping[str, int],
    in_time: frozenset[str] = frozenset(),
) -> tuple[list[Clip], list[tuple[Clip, str]], list[str]]:
    """Give a split to every clip that has none; whole groups (speakers, classes, recordings) stay together.

    Groups are ranked by a hash of (seed, name), so the same folder is always split the same way, and each
    split gets at least one. With fewer groups than splits, every recording is cut in time instead.

    Args:
        shares: for each kind, the shares of the splits beside train, for example {"valid": 0.1, "test": 0.1}.
            A pair follows its noisy clip.
        shortest_frames: for each kind, what a piece cut in time must have.
        in_time: kinds whose recordings are cut in time by design, however many groups there are.

    Returns: the clips; those left out, with the reason; warnings.
    """
    done = [clip for clip in clips if clip.split]
    left_out: list[tuple[Clip, str]] = []
    warnings: list[str] = []
    open_clips = [clip for clip in clips if not clip.split]
    for kind, of_kind in _by_kind(open_clips).items():
        wanted = shares[kind]
        groups = {clip.group for clip in of_kind}
        if len(groups) > len(wanted) and kind not in in_time:
            split_of = _split_groups(groups, wanted, f"{seed} {kind}")
            done += [replace(clip, split=split_of[clip.group]) for clip in of_kind]
            continue
        if kind not in in_time:
            warnings.append(
                f"{kind}: only {len(groups)} group{'s' if len(groups) > 1 else ''} (speakers, classes or "
                "files), so each recording is split in time; its parts are not independent"
            )
        for clip in of_kind:
            parts = list(_split_in_time(clip, wanted))
            shortest = shortest_frames[clip.kind]
            done += [part for part in parts if part.frames >= shortest]
            left_out += [
                (part, f"its {part.split} part of {part.frames} samples is too short")
                for part in parts
                if part.frames < shortest
            ]
    return done, left_out, warnings


def find_leaks(clips: Iterable[Clip]) -> list[str]:
    """Sentences about speakers, or noise recordings of equal name, that are in two splits."""
    speakers: dict[str, set[str]] = {}
    recordings: dict[str, set[str]] = {}
    for clip in clips:
        if clip.start or clip.pair:  # splits in time were warned about; a pair's group need not be a speaker
            continue
        if clip.kind == "clean":
            speakers.setdefault(clip.group, set()).add(clip.split)
        else:
            name = "/".join(clip.path.split("/")[1:]) if clip.split == clip.path.split("/")[0] else clip.path
            recordings.setdefault(name, set()).add(clip.split)
    return _leak_sentence("speaker", speakers) + _leak_sentence("noise recording", recordings)


def _leak_sentence(what: str, splits_of: Mapping[str, set[str]]) -> list[str]:
    shared = sorted(name for name, splits in splits_of.items() if len(splits) > 1)
    if not shared:
        return []
    shown = ", ".join(shared[:LEAKS_SHOWN]) + (", ..." if len(shared) > LEAKS_SHOWN else "")
    plural = "s are" if len(shared) > 1 else " is"
    return [f"{len(shared)} {what}{plural} in more than one split by name ({shown}); check it"]


def _by_kind(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """Clips by the kind that decides: both files of a pair under noisy."""
    kinds: dict[str, list[Clip]] = {}
    for clip in clips:
        kinds.setdefault("noisy" if clip.pair else clip.kind, []).append(clip)
    return kinds


def _split_groups(groups: Iterable[str], shares: Mapping[str, float], salt: str) -> dict[str, str]:
    ranked = sorted(groups, key=lambda group: hashlib.sha256(f"{salt} {group}".encode()).digest())
    split_of: dict[str, str] = {}
    first = 0
    for split, share in shares.items():
        count = max(1, round(share * len(ranked)))
        split_of |= dict.fromkeys(ranked[first : first + count], split)
        first += count
    return split_of | dict.fromkeys(ranked[first:], "train")


def _split_in_time(clip: Clip, shares: Mapping[str, float]) -> Iterable[Clip]:
    """Train first, then the others; no sample is in two of them."""
    start = 0
    all_shares = {"train": 1.0 - sum(shares.values()), **shares}
    for split, share in all_shares.items():
        last = split == list(all_shares)[-1]
        frames = clip.frames - start if last else math.floor(clip.frames * share)
        yield replace(clip, split=split, start=start, frames=frames)
        start += frames
