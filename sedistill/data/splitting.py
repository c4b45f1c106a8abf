"""Which clips train, which validate, which test, where the folders do not say."""

import hashlib
import math
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedistill.common.texts import Texts
from sedistill.common.wording import counted
from sedistill.data.clip_table import Clip, ClipTable
from sedistill.data.layouts.split_names import split_named

LEAKS_SHOWN = 3


def assign_splits(
    clips: ClipTable,
    shares: Mapping[str, Mapping[str, float]],
    seed: int,
    shortest_frames: Mapping[str, int],
    in_time: frozenset[str] = frozenset(),
) -> tuple[ClipTable, list[tuple[Clip, str]], list[str]]:
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
    names = list(clips.choices["split"])
    splits = clips.codes["split"].astype(np.int64)
    cut: list[Clip] = []
    warnings: list[str] = []
    are_open = clips.is_in("split", "")
    for kind, rows in _by_kind(clips, np.flatnonzero(are_open)).items():
        wanted = shares[kind]
        units = joined_units(clips, rows)
        if kind == "noise" and kind not in in_time and len(units.names) <= len(wanted):
            units = joined_units(clips, rows, by_group=False)
            if len(units.names) > len(wanted):
                warnings.append(
                    "noise: there are fewer classes than splits, so recordings are split, and splits share "
                    "classes"
                )
        if len(units.names) > len(wanted) and kind not in in_time:
            split_of = _split_groups(units.names, wanted, f"{seed} {kind}")
            names += [name for name in ("train", *wanted) if name not in names]
            splits[rows] = np.array([names.index(split_of[name]) for name in units.names])[units.numbers]
            are_open[rows] = False
            continue
        if kind not in in_time:
            warnings.append(
                f"{kind}: only {counted(len(units.names), 'group')} (speakers, classes or "
                "files), so each recording is split in time; its parts are not independent"
            )
        cut += [part for row in rows.tolist() for part in _split_in_time(clips[row], wanted)]
    done = clips.with_splits(names, splits)
    if not cut:
        return done, [], warnings
    kept = [part for part in cut if part.frames >= shortest_frames[part.kind]]
    left_out = [
        (part, f"its {part.split} part of {part.frames} samples is too short")
        for part in cut
        if part.frames < shortest_frames[part.kind]
    ]
    return ClipTable.of([*done.take(~are_open), *kept]), left_out, warnings


@dataclass(frozen=True)
class Units:
    """What must stay together: the number of each clip's unit (n,), and the names of the units."""

    numbers: NDArray[np.int64]
    names: Sequence[str]


def joined_units(clips: ClipTable, rows: NDArray[np.int64], by_group: bool = True) -> Units:
    """What these clips must stay together with, called by the first group (or recording) of it.

    Both files of a pair are one; clips of one group (unless `by_group` is off), of one recording or with the
    same audio are joined, and what is joined to either of two joined clips is joined to both.
    """
    keys = _keys(clips, rows, by_group)
    first = np.full(len(rows), -1)
    for key in keys:
        first = np.where(first < 0, key, first)
    often = np.bincount(np.concatenate([key[key >= 0] for key in keys])) > 1
    parents: dict[int, int] = {}

    def root(key: int) -> int:
        while parents.setdefault(key, key) != key:
            parents[key] = key = parents[parents[key]]
        return key

    for key in keys:  # a key of one clip alone joins nothing
        joins = (key >= 0) & (key != first) & often[key]
        for one, other in zip(first[joins].tolist(), key[joins].tolist(), strict=True):
            parents[root(other)] = root(one)
    roots = np.arange(len(often))
    for joined in list(parents):
        roots[joined] = root(joined)
    _, numbers = np.unique(roots[first], return_inverse=True)
    return Units(numbers, _first_names(clips, rows, numbers, by_group))


def _keys(clips: ClipTable, rows: NDArray[np.int64], by_group: bool) -> list[NDArray[np.int64]]:
    """Numbers (n,) of what joins clips, the first of them what most have; -1 where a clip has no such key."""
    texts = {name: clips.texts[name].take(rows) for name in ("audio_sha256", "pair")}
    paired, none = texts["pair"].are_there, np.full(len(rows), -1)
    # The same noise may lie under several sentences.
    audio = np.where(~paired | clips.is_in("kind", "clean")[rows], texts["audio_sha256"].codes(), -1)
    recording = none.copy()
    alone = np.flatnonzero(clips.is_in("kind", "noise")[rows] & ~paired)
    if len(alone):
        recording[alone] = Texts.of(clips.cut_from(rows[alone])).codes()
    columns = [audio, np.where(paired, texts["pair"].codes(), -1), recording]
    columns = [clips.codes["group"][rows].astype(np.int64), *columns] if by_group else columns
    used = 0
    for number, column in enumerate(columns):
        columns[number] = np.where(column >= 0, column + used, -1)
        used += int(column.max()) + 1
    return columns


def _first_names(
    clips: ClipTable, rows: NDArray[np.int64], units: NDArray[np.int64], by_group: bool
) -> list[str]:
    """For each unit, by number, the first of its groups or recordings."""
    names: dict[int, str] = {}
    if by_group:
        groups = clips.choices["group"]
        both = np.unique(np.stack([units, clips.codes["group"][rows]], axis=1), axis=0).tolist()
        of_units: Iterable[tuple[int, str]] = ((unit, groups[group]) for unit, group in both)
    else:
        of_units = zip(units.tolist(), clips.cut_from(rows), strict=True)
    for unit, name in of_units:
        names[unit] = min(names.get(unit, name), name)
    return [names[unit] for unit in range(len(names))]


def find_leaks(clips: ClipTable, unknown: Mapping[str, Container[str]] | None = None) -> list[str]:
    """Sentences about speakers, recordings of noise and sound that are in two splits.

    Args:
        unknown: for each kind, groups that stand for a single file, because nothing told the speaker.
    """
    rows = np.flatnonzero(~clips.is_in("kind", "noisy"))
    rows = rows[~_shared(clips, clips.file[rows], rows)]  # cut in time, which was warned about
    is_noise = clips.is_in("kind", "noise")[rows]
    paired = clips.texts["pair"].take(rows).are_there
    noise, speech = rows[is_noise], rows[~is_noise]
    known = ~np.array(
        [
            (group in (unknown or {}).get("noisy", ()), group in (unknown or {}).get("clean", ()))
            for group in clips.choices["group"]
        ]
    ).reshape(-1, 2)
    speech = speech[np.where(paired[~is_noise], *known[clips.codes["group"][speech]].T)]
    recordings = Texts.of(
        recording or _without_splits(path) for recording, path in clips.lines(("recording", "path"), noise)
    )
    found = {
        "speaker": (clips.codes["group"][speech], speech, clips.lines(("group",), speech)),
        "noise recording": (recordings.codes(), noise, ((name,) for name in recordings)),
        "recording": (clips.texts["audio_sha256"].take(rows).codes(), rows, clips.lines(("path",), rows)),
    }
    told = []
    for what, (codes, places, names) in found.items():
        first_names: dict[int, str] = {}
        leaks = _shared(clips, codes, places)
        if leaks.any():
            tested = _tested(clips, codes, places)
            for code, leak, (name,) in zip(codes.tolist(), (leaks & ~tested).tolist(), names, strict=True):
                if leak:
                    first_names.setdefault(code, name)
        told += _leak_sentence(what, sorted(first_names.values()), _HOW[what])
    return told


_HOW = {"speaker": "by name", "noise recording": "by name", "recording": "with the same audio"}


def _shared(clips: ClipTable, codes: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,): whether what these rows are by `codes` is in several splits."""
    _, numbers = np.unique(codes, return_inverse=True)
    both = np.unique(np.stack([numbers, clips.codes["split"][rows]], axis=1), axis=0)
    return (np.bincount(both[:, 0], minlength=len(rows)) > 1)[numbers]


def _tested(clips: ClipTable, codes: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,): whether what these rows are by `codes` is in splits to test with alone."""
    _, numbers = np.unique(codes, return_inverse=True)
    others = np.array([not split.startswith("test") for split in clips.choices["split"]])
    return (np.bincount(numbers, weights=others[clips.codes["split"][rows]]) == 0)[numbers]


def _without_splits(path: str) -> str:
    *folders, name = path.split("/")
    return "/".join([*(folder for folder in folders if not split_named(folder)), name])


def _leak_sentence(what: str, shared: Sequence[str], how: str) -> list[str]:
    if not shared:
        return []
    shown = ", ".join(shared[:LEAKS_SHOWN]) + (", ..." if len(shared) > LEAKS_SHOWN else "")
    plural = "s are" if len(shared) > 1 else " is"
    return [f"{len(shared)} {what}{plural} in more than one split {how} ({shown}); check it"]


def _by_kind(clips: ClipTable, rows: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Rows by the kind that decides, both files of a pair under noisy; the kinds as they first appear."""
    paired = clips.texts["pair"].take(rows).are_there
    kinds = {kind: rows[clips.is_in("kind", kind)[rows] & ~paired] for kind in clips.choices["kind"]} | {
        "noisy": rows[paired | clips.is_in("kind", "noisy")[rows]]
    }
    there = {kind: found for kind, found in kinds.items() if len(found)}
    return dict(sorted(there.items(), key=lambda one: one[1][0]))


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
