"""Anybody's own folders: clean speech with noise to be mixed, or noisy and clean files of equal names."""

from collections.abc import Iterable
from pathlib import Path

from sedistill.data.layouts.listing import (
    TEN_PERCENT_EACH,
    VALID_ONLY,
    Listing,
    Source,
    audio_files,
    group_of,
    match_pairs,
)

SPLIT_NAMES = {
    "train": "train", "training": "train",
    "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid",
    "test": "test",
}  # fmt: skip


def list_folders(clean: Path, noise: Path) -> Listing:
    """Plain folders of clean speech and of noise, to be mixed."""
    listing = Listing("folders", {"clean": clean.absolute(), "noise": noise.absolute()})
    for kind, folder in (("clean", clean), ("noise", noise)):
        files = list(audio_files(folder))
        splits = _splits_named(files)
        for file in files:
            split, group = _place(file, splits)
            if split is None:
                listing.left_out.append((str(folder / file), "outside of the train/valid/test folders"))
            else:
                listing.sources.append(Source(kind, file.as_posix(), kind, split, group))
        _cut_what_is_missing(listing, kind, splits)
    return listing


def list_pairs(clean: Path, noisy: Path) -> Listing:
    """Two folders with equal file names below them (suffixes may differ)."""
    listing = Listing("pairs", {"clean": clean.absolute(), "noisy": noisy.absolute()})
    noisy_files, clean_files = list(audio_files(noisy)), list(audio_files(clean))
    splits = _splits_named(noisy_files)
    pairs = match_pairs(listing, ("noisy", noisy, noisy_files), ("clean", clean, clean_files))
    for name, noisy_file, clean_file in pairs:
        split, group = _place(noisy_file, splits)
        if split is None:
            reason = "outside of the train/valid/test folders"
            listing.left_out += [(str(noisy / noisy_file), reason), (str(clean / clean_file), reason)]
        else:
            listing.add_pair("noisy", noisy_file, "clean", clean_file, split, group, name)
    _cut_what_is_missing(listing, "noisy", splits)
    return listing


def _splits_named(files: Iterable[Path]) -> set[str]:
    """The splits that first-level sub-folders stand for; none unless there is one for training."""
    tops = {file.parts[0].lower() for file in files if len(file.parts) > 1}
    splits = {SPLIT_NAMES[top] for top in tops if top in SPLIT_NAMES}
    return splits if "train" in splits else set()


def _place(file: Path, splits: set[str]) -> tuple[str | None, str]:
    """(split, group) of a file; split "" where folders name none, None outside of those they name."""
    if not splits:
        return "", group_of(file.parts)
    split = SPLIT_NAMES.get(file.parts[0].lower()) if len(file.parts) > 1 else None
    if split == "train" and "valid" not in splits:
        split = ""
    return split, group_of(file.parts[1:])


def _cut_what_is_missing(listing: Listing, kind: str, splits: set[str]) -> None:
    if not splits:
        listing.shares[kind] = TEN_PERCENT_EACH
    elif "valid" not in splits:
        listing.shares[kind] = VALID_ONLY
    if splits and "test" not in splits:
        listing.warnings.append(f"{kind}: there is a train folder but no test folder")
