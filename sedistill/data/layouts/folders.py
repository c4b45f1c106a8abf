"""Anybody's own folders: clean speech with noise to be mixed, or ready pairs of noisy and clean files."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from sedistill.audio.listing import Unread
from sedistill.data.layouts.layout_listing import VALID_ONLY, Listing, Source, audio_files, match_pairs
from sedistill.data.layouts.recording_names import find_recordings
from sedistill.data.layouts.speakers import Grouping, by_folder, find_speakers
from sedistill.data.layouts.split_names import SplitFolders, find_split_folders

OUTSIDE = "outside of the splits", "outside of the train/valid/test folders"
Pattern = re.Pattern[str] | None


def list_folders(
    clean: Path | None, noise: Path | None, speaker_from: Pattern, noise_from: Pattern
) -> Listing:
    """Plain folders of clean speech and of noise, to be mixed.

    Args:
        clean, noise: one may be None, where the other is to be joined with an earlier corpus.
        speaker_from, noise_from: what tells the speaker, or the recording of a noise, in a path.
    """
    folders = {kind: folder for kind, folder in (("clean", clean), ("noise", noise)) if folder is not None}
    listing = Listing("folders", {kind: folder.absolute() for kind, folder in folders.items()})
    for kind, folder in folders.items():
        files = audio_files(folder)
        places = find_split_folders(files, kind)
        below = places.below
        if kind == "clean":
            groups = _speakers(listing, kind, below, speaker_from)
            recordings = [""] * len(files)
        else:
            classes = by_folder(below, range(len(below)))
            groups = [classes.get(index, file.stem) for index, file in enumerate(below)]
            found = find_recordings(below, noise_from)
            recordings = found.names
            listing.warnings += found.warnings
        splits = _splits(places)
        for file, split, group, recording in zip(files, splits, groups, recordings, strict=True):
            if split is None:
                listing.left_out.append(Unread(folder / file, *OUTSIDE))
            else:
                source = Source(kind, file.as_posix(), kind, split, group, recording=recording)
                listing.sources.append(source)
        _cut_what_is_missing(listing, kind, places)
    return listing


def list_pairs(clean: Path, noisy: Path, speaker_from: Pattern) -> Listing:
    """Two folders whose files are partners by their names."""
    listing = Listing("pairs", {"clean": clean.absolute(), "noisy": noisy.absolute()})
    noisy_files, clean_files = audio_files(noisy), audio_files(clean)
    pairs = match_pairs(listing, ("noisy", noisy, noisy_files), ("clean", clean, clean_files))
    noisy_files = [noisy_file for _, noisy_file, _ in pairs]
    places = find_split_folders(noisy_files, "noisy")
    groups = _speakers_of_pairs(listing, places, [clean_file for _, _, clean_file in pairs], speaker_from)
    for (name, noisy_file, clean_file), split, group in zip(pairs, _splits(places), groups, strict=True):
        if split is None:
            listing.left_out += [Unread(noisy / noisy_file, *OUTSIDE), Unread(clean / clean_file, *OUTSIDE)]
        else:
            listing.add_pair("noisy", noisy_file, "clean", clean_file, split, group, name)
    _cut_what_is_missing(listing, "noisy", places)
    return listing


def _speakers_of_pairs(
    listing: Listing, places: SplitFolders, clean_files: Sequence[Path], pattern: Pattern
) -> list[str]:
    """By the names of the noisy files, or where these tell less, by those of the clean ones."""
    below = places.below
    if find_speakers(below, "noisy", pattern).unknown:
        others = find_split_folders(clean_files, "clean").below
        if not find_speakers(others, "noisy", pattern).unknown:
            below = others
    return _speakers(listing, "noisy", below, pattern)


def _speakers(listing: Listing, kind: str, files: Sequence[Path], pattern: Pattern) -> list[str]:
    found: Grouping = find_speakers(files, kind, pattern)
    listing.unknown[kind] = found.unknown
    listing.notes += found.notes
    listing.warnings += found.warnings
    return found.groups


def _splits(places: SplitFolders) -> Iterator[str | None]:
    """Of each file; "" where it is still to be decided, None outside of the folders that say it."""
    said = places.splits
    for split in places.split_of:
        if not split:
            yield None if "train" in said else ""
        else:
            yield "" if split == "train" and "valid" not in said else split


def _cut_what_is_missing(listing: Listing, kind: str, places: SplitFolders) -> None:
    """Which splits the files without one are shared out to."""
    listing.notes += places.notes
    listing.warnings += places.warnings
    splits = places.splits
    if "train" in splits:
        listing.shares[kind] = VALID_ONLY
    else:
        listing.shares[kind] = {split: 0.1 for split in ("valid", "test") if split not in splits}
    if splits and "test" not in splits and "train" in splits:
        listing.warnings.append(f"{kind}: there is a train folder but no test folder")
