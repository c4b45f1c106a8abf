"""The DNS challenge of Interspeech 2020: speech and noise to mix, and two synthetic test sets of pairs."""

import re
from pathlib import Path

from sedistill.common.errors import UserError
from sedistill.data.expected_counts import Part
from sedistill.data.layouts.layout_listing import (
    TEN_PERCENT_EACH,
    VALID_ONLY,
    Listing,
    Source,
    audio_files,
    group_of,
    match_pairs,
)
from sedistill.data.layouts.recording_names import certain_recordings

# Split: (name of the published part, folder names it is known by).
TEST_SETS = {
    "test": ("dns2020-no-reverb", ("no_reverb",)),
    "test_with_reverb": ("dns2020-reverb", ("with_reverb", "reverb")),
}


def list_dns2020(root: Path) -> Listing:
    """datasets/clean, datasets/noise and datasets/test_set/synthetic, below `root` or `root` itself.

    Test pairs match by the number after "fileid_"; those without reverberation are the split "test", those
    with it "test_with_reverb". Speakers are the numbers after "reader_".
    """
    datasets = root / "datasets" if (root / "datasets").is_dir() else root
    clean, noise = datasets / "clean", datasets / "noise"
    if not clean.is_dir() or not noise.is_dir():
        raise UserError(f"{root} does not hold datasets/clean and datasets/noise, as DNS2020 does.")
    listing = Listing("dns2020", {"clean": clean.absolute(), "noise": noise.absolute()})
    for kind, folder in (("clean", clean), ("noise", noise)):
        files = list(audio_files(folder))
        recordings = certain_recordings(files) if kind == "noise" else [""] * len(files)
        for file, recording in zip(files, recordings, strict=True):
            listing.sources.append(Source(kind, file.as_posix(), kind, "", _group(file), recording=recording))
        listing.parts.append(Part(f"dns2020-{kind}", frozenset((kind,)), kind))
    for split, (published, names) in TEST_SETS.items():
        place = _test_folder(datasets, names)
        if place is None:
            listing.warnings.append(f"there is no test set {datasets / 'test_set' / 'synthetic' / names[0]}")
        else:
            _add_test_set(listing, place, split, published)
    tested = any(source.split == "test" for source in listing.sources)
    listing.shares = dict.fromkeys(("clean", "noise"), VALID_ONLY if tested else TEN_PERCENT_EACH)
    return listing


def _group(file: Path) -> str:
    reader = re.search(r"reader_(\d+)", file.name)
    return f"reader_{reader[1]}" if reader else group_of(file.parts)


def _test_folder(datasets: Path, names: tuple[str, ...]) -> Path | None:
    places = [datasets / "test_set" / "synthetic" / name for name in names]
    return next((place for place in places if place.is_dir()), None)


def _add_test_set(listing: Listing, folder: Path, split: str, published: str) -> None:
    roots = {f"{folder.name}_{side}": (folder / side).absolute() for side in ("noisy", "clean")}
    for place in roots.values():
        if not place.is_dir():
            raise UserError(f"{place} does not exist; a DNS2020 test set has noisy/ and clean/.")
    listing.roots |= roots
    noisy, clean = ((name, place, list(audio_files(place))) for name, place in roots.items())
    for name, noisy_file, clean_file in match_pairs(listing, noisy, clean):
        pair = f"{folder.name}/{name}"
        listing.add_pair(noisy[0], noisy_file, clean[0], clean_file, split, folder.name, pair)
    listing.parts.append(Part(published, frozenset(roots), "noisy"))
