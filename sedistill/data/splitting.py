"""Which clips train, which validate, which test, where the folders do not say."""

import hashlib
import math
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace

from sedistill.common.wording import counted
from sedistill.data.clip_table import Clip
from sedistill.data.layouts.split_names import split_named

LEAKS_SHOWN = 3


def assign_splits(
    clips: Sequence[Clip],
    shares: Mapping[str, Mapping[str, float]],
    seed: int,
    shortest_frames: Mapping[str, int],
    in_time: frozenset[str] = frozenset(),
) -> tuple[list[Clip], list[tuple[Clip, str]], list[str]]:
    """Give a split to every clip that has none; what belongs together stays together.

    Together belong the clips of one group (speaker, class), of one recording, and with the same audio. Such
    units are ranked by a hash of (seed, name), so the same folder is always split the same way, and each
    split gets at least one. Noise of fewer classes than splits goes by recordings; where there are too few of
    them as well, or too few speakers, every recording is cut in time instead.

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
        units = joined_units(of_kind)
        if kind == "noise" and kind not in in_time and len(set(units)) <= len(wanted):
            units = joined_units(of_kind, by_group=False)
            if len(set(units)) > len(wanted):
                warnings.append(
                    "noise: there are fewer classes than splits, so recordings are split, and splits share "
                    "classes"
                )
        if len(set(units)) > len(wanted) and kind not in in_time:
            split_of = _split_groups(set(units), wanted, f"{seed} {kind}")
            done += [replace(clip, split=split_of[unit]) for clip, unit in zip(of_kind, units, strict=True)]
            continue
        if kind not in in_time:
            warnings.append(
                f"{kind}: only {counted(len(set(units)), 'group')} (speakers, classes or "
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


def joined_units(clips: Sequence[Clip], by_group: bool = True) -> list[str]:
    """For each clip the name of what it must stay together with: the first group (or recording) of its unit.

    Both files of a pair are one; clips of one group (unless `by_group` is off), of one recording or with the
    same audio are joined, and what is joined to either of two joined clips is joined to both.
    """
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        while parents.setdefault(key, key) != key:
            parents[key] = key = parents[parents[key]]
        return key

    keys = [_keys(clip, by_group) for clip in clips]
    for first, *others in keys:
        for other in others:
            parents[root(other)] = root(first)
    names: dict[str, str] = {}
    for clip, (first, *_) in zip(clips, keys, strict=True):
        name = clip.group if by_group else clip.cut_from
        names[root(first)] = min(names.get(root(first), name), name)
    return [names[root(first)] for first, *_ in keys]


def _keys(clip: Clip, by_group: bool) -> list[str]:
    keys = [f"group {clip.group}"] if by_group else []
    if not clip.pair or clip.kind == "clean":  # the same noise may lie under several sentences
        keys.append(f"audio {clip.audio_sha256}")
    if clip.pair:
        keys.append(f"pair {clip.pair}")
    elif clip.kind == "noise":
        keys.append(f"recording {clip.cut_from}")
    return keys


def find_leaks(clips: Iterable[Clip], unknown: Mapping[str, Container[str]] | None = None) -> list[str]:
    """Sentences about speakers, recordings of noise and sound that are in two splits.

    Args:
        unknown: for each kind, groups that stand for a single file, because nothing told the speaker.
    """
    clips = [clip for clip in clips if clip.kind != "noisy"]
    splits_of_file: dict[str, set[str]] = {}
    for clip in clips:
        splits_of_file.setdefault(f"{clip.root}/{clip.path}", set()).add(clip.split)
    speakers: dict[str, set[str]] = {}
    recordings: dict[str, set[str]] = {}
    sounds: dict[str, set[str]] = {}
    first_with: dict[str, str] = {}
    for clip in clips:
        if len(splits_of_file[f"{clip.root}/{clip.path}"]) > 1:
            continue  # cut in time, which was warned about
        if clip.kind == "noise":
            recordings.setdefault(clip.recording or _without_splits(clip.path), set()).add(clip.split)
        elif clip.group not in (unknown or {}).get("noisy" if clip.pair else "clean", ()):
            speakers.setdefault(clip.group, set()).add(clip.split)
        sound = first_with.setdefault(clip.audio_sha256, clip.path)
        sounds.setdefault(sound, set()).add(clip.split)
    return [
        *_leak_sentence("speaker", speakers, "by name"),
        *_leak_sentence("noise recording", recordings, "by name"),
        *_leak_sentence("recording", sounds, "with the same audio"),
    ]


def _without_splits(path: str) -> str:
    *folders, name = path.split("/")
    return "/".join([*(folder for folder in folders if not split_named(folder)), name])


def _leak_sentence(what: str, splits_of: Mapping[str, set[str]], how: str) -> list[str]:
    shared = sorted(
        name
        for name, splits in splits_of.items()
        if len(splits) > 1 and not all(split.startswith("test") for split in splits)
    )
    if not shared:
        return []
    shown = ", ".join(shared[:LEAKS_SHOWN]) + (", ..." if len(shared) > LEAKS_SHOWN else "")
    plural = "s are" if len(shared) > 1 else " is"
    return [f"{len(shared)} {what}{plural} in more than one split {how} ({shown}); check it"]


def _by_kind(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """Clips by the kind that decides: both files of a pair under noisy."""
    kinds: dict[str, list[Clip]] = {}
    for clip in clips:
        kinds.setdefault("noisy" if clip.pair else clip.kind, []).append(clip)
    return kinds


def _split_groups(groups: Iterable[str], shares: Mapping[str, float], salt: str) -> dict[str, str]:
    ranked = sorted(groups, key=lambda group: hashlib.sha256(os.fsencode(f"{salt} {group}")).digest())
    split_of: dict[str, str] = {}
    first = 0
    for split, share in shares.items():
        count = max(1, round(share * len(ranked)))
        split_of |= dict.fromkeys(ranked[first : first + count], split)
        first += count
    return split_of | dict.fromkeys(ranked[first:], "train")


def _split_in_time(clip: Clip, shares: Mapping[str, float]) -> Iterable[Clip]:
    """Train first, then the others; no sample is in two of them."""
    done = 0
    all_shares = {"train": 1.0 - sum(shares.values()), **shares}
    for split, share in all_shares.items():
        last = split == list(all_shares)[-1]
        frames = clip.frames - done if last else math.floor(clip.frames * share)
        yield replace(clip, split=split, start=clip.start + done, frames=frames)
        done += frames
