"""The folder layouts users own: which file is clean, noise or noisy, of which split, speaker or class.

A layout only looks at names; whether a file is usable is found out by `checking`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sedistill.audio.files import SUFFIXES
from sedistill.errors import UserError

LAYOUTS = ("auto", "folders", "pairs", "voicebank-demand", "dns2020")
SPLIT_NAMES = {
    "train": "train", "training": "train",
    "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid",
    "test": "test",
}  # fmt: skip
VOICEBANK_VALID_SPEAKERS = ("p226", "p287")
TEN_PERCENT_EACH = {"valid": 0.1, "test": 0.1}
VALID_ONLY = {"valid": 0.1}


@dataclass(frozen=True)
class Source:
    """A file as its place in a layout describes it. split "" is still to be decided; pair "" is no pair."""

    root: str
    path: str
    kind: str
    split: str
    group: str
    pair: str = ""


@dataclass
class Listing:
    """What a layout found.

    Attributes:
        roots: folders by name, absolute.
        sources: candidates; a pair's two files share `pair`.
        left_out: (path, reason) of files with audio names that have no place in the layout.
        shares: for each kind, which splits to cut from the sources without one, and their shares.
        warnings: sentences for the summary.
    """

    layout: str
    roots: dict[str, Path]
    sources: list[Source] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    shares: dict[str, Mapping[str, float]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def find_sources(
    layout: str, root: Path | None, clean: Path | None, noise: Path | None, noisy: Path | None
) -> Listing:
    """List a corpus. Raises UserError for missing or empty folders and contradicting choices."""
    if layout not in LAYOUTS:
        raise UserError(f"unknown layout '{layout}'; choose one of {', '.join(LAYOUTS)}.")
    for folder in (root, clean, noise, noisy):
        if folder is not None and not folder.is_dir():
            missing = "is a file, not a folder" if folder.is_file() else "does not exist"
            raise UserError(f"{folder} {missing}; give a folder of audio files.")
    if root is not None and any((clean, noise, noisy)):
        raise UserError(f"give either the folder {root} alone or --clean with --noise or --noisy, not both.")
    if root is not None:
        return _list_root(layout, root)
    if layout in ("voicebank-demand", "dns2020"):
        raise UserError(f"layout {layout} is one folder; give it in place of --clean, --noise and --noisy.")
    if clean and noise and not noisy and layout in ("auto", "folders"):
        return list_folders(clean, noise)
    if clean and noisy and not noise and layout in ("auto", "pairs"):
        return list_pairs(clean, noisy)
    raise UserError("give --clean with --noise (to mix), --clean with --noisy (ready pairs), or one folder.")


def list_folders(clean: Path, noise: Path) -> Listing:
    """Plain folders of clean speech and of noise, to be mixed."""
    listing = Listing("folders", {"clean": clean.absolute(), "noise": noise.absolute()})
    for kind, folder in (("clean", clean), ("noise", noise)):
        files = list(_audio_files(folder))
        splits = _splits_named(files)
        for file in files:
            split, group = _place(file, splits)
            if split is None:
                listing.left_out.append((str(folder / file), "outside of the train/valid/test folders"))
            else:
                listing.sources.append(Source(kind, file.as_posix(), kind, split, group))
        _cut_what_is_missing(listing, kind, splits)
    return listing


def list_pairs(clean: Path, noisy: Path, layout: str = "pairs") -> Listing:
    """Two folders with equal file names below them (suffixes may differ)."""
    listing = Listing(layout, {"clean": clean.absolute(), "noisy": noisy.absolute()})
    noisy_files, clean_files = list(_audio_files(noisy)), list(_audio_files(clean))
    splits = _splits_named(noisy_files)
    pairs = _match(listing, ("noisy", noisy, noisy_files), ("clean", clean, clean_files), _same_name)
    for name, noisy_file, clean_file in pairs:
        split, group = _place(noisy_file, splits)
        if split is None:
            reason = "outside of the train/valid/test folders"
            listing.left_out += [(str(noisy / noisy_file), reason), (str(clean / clean_file), reason)]
        else:
            _add_pair(listing, "noisy", noisy_file, "clean", clean_file, split, group, name)
    _cut_what_is_missing(listing, "noisy", splits)
    return listing


def list_voicebank_demand(root: Path) -> Listing:
    """VoiceBank+DEMAND (Valentini-Botinhao 2016) by its folder names, such as noisy_trainset_28spk_wav.

    The published set has no validation part: speakers p226 and p287 are taken out of the training set, as is
    usual; where neither is there, a tenth of the speakers.
    """
    listing = Listing("voicebank-demand", {})
    found = [folder for folder in sorted(root.glob("noisy_*set*")) if folder.is_dir()]
    for noisy in found:
        clean = noisy.with_name(noisy.name.replace("noisy_", "clean_", 1))
        if not clean.is_dir():
            raise UserError(f"{noisy} has no partner {clean}; both folders are needed.")
        test = "testset" in noisy.name
        listing.roots |= {noisy.name: noisy.absolute(), clean.name: clean.absolute()}
        both = (noisy.name, noisy, list(_audio_files(noisy))), (clean.name, clean, list(_audio_files(clean)))
        for name, noisy_file, clean_file in _match(listing, *both, _same_name):
            speaker = noisy_file.stem.split("_")[0]
            valid = speaker in VOICEBANK_VALID_SPEAKERS
            split = "test" if test else "valid" if valid else "train"
            pair = f"{noisy.name}/{name}"
            _add_pair(listing, noisy.name, noisy_file, clean.name, clean_file, split, speaker, pair)
    if not found:
        raise UserError(f"{root} holds no folder such as noisy_trainset_28spk_wav or noisy_testset_wav.")
    present = {source.split for source in listing.sources}
    if "train" in present and "valid" not in present:
        _leave_open(listing, "train")
        listing.shares["noisy"] = VALID_ONLY
    if "test" not in present:
        listing.warnings.append("there is no test set (noisy_testset_wav)")
    return listing


def list_dns2020(root: Path) -> Listing:
    """The DNS challenge of Interspeech 2020: datasets/clean, datasets/noise and the synthetic test sets.

    Test pairs match by the number after "fileid_"; those without reverberation are the split "test", those
    with it "test_with_reverb". Speakers are the numbers after "reader_".
    """
    datasets = root / "datasets" if (root / "datasets").is_dir() else root
    clean, noise = datasets / "clean", datasets / "noise"
    if not clean.is_dir() or not noise.is_dir():
        raise UserError(f"{root} does not hold datasets/clean and datasets/noise, as DNS2020 does.")
    listing = Listing("dns2020", {"clean": clean.absolute(), "noise": noise.absolute()})
    for kind, folder in (("clean", clean), ("noise", noise)):
        for file in _audio_files(folder):
            reader = re.search(r"reader_(\d+)", file.name)
            group = f"reader_{reader[1]}" if reader else _group(file.parts)
            listing.sources.append(Source(kind, file.as_posix(), kind, "", group))
    tests = {"test": "no_reverb", "test_with_reverb": "with_reverb"}
    for split, name in tests.items():
        folder = datasets / "test_set" / "synthetic" / name
        if folder.is_dir():
            _add_dns_test(listing, folder, split)
    tested = any(source.split == "test" for source in listing.sources)
    listing.shares = dict.fromkeys(("clean", "noise"), VALID_ONLY if tested else TEN_PERCENT_EACH)
    return listing


def _list_root(layout: str, root: Path) -> Listing:
    layout = _recognise(root) if layout == "auto" else layout
    if layout == "voicebank-demand":
        return list_voicebank_demand(root)
    if layout == "dns2020":
        return list_dns2020(root)
    second = "noise" if layout == "folders" else "noisy"
    for folder in (root / "clean", root / second):
        if not folder.is_dir():
            raise UserError(f"{folder} does not exist; layout {layout} needs clean/ and {second}/ in {root}.")
    if layout == "folders":
        return list_folders(root / "clean", root / "noise")
    return list_pairs(root / "clean", root / "noisy")


def _recognise(root: Path) -> str:
    if (root / "datasets" / "clean").is_dir():
        return "dns2020"
    if any(root.glob("noisy_trainset*")) or any(root.glob("noisy_testset*")):
        return "voicebank-demand"
    if (root / "clean").is_dir() and (root / "noise").is_dir():
        return "folders"
    if (root / "clean").is_dir() and (root / "noisy").is_dir():
        return "pairs"
    raise UserError(
        f"{root} is in no known layout: it holds neither clean/ with noise/ or noisy/, nor the folders of "
        "VoiceBank+DEMAND or DNS2020; say --clean and --noise (or --noisy) instead."
    )


def _audio_files(folder: Path) -> Iterator[Path]:
    """Files with the suffix of an audio format, relative to `folder`, sorted; not hidden ones."""
    found = False
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            found = True
            yield relative
    if not found:
        raise UserError(f"{folder} holds no audio files (.wav, .flac, ...).")


def _splits_named(files: Iterable[Path]) -> set[str]:
    """The splits that first-level sub-folders stand for; none unless there is one for training."""
    tops = {file.parts[0].lower() for file in files if len(file.parts) > 1}
    splits = {SPLIT_NAMES[top] for top in tops if top in SPLIT_NAMES}
    return splits if "train" in splits else set()


def _place(file: Path, splits: set[str]) -> tuple[str | None, str]:
    """(split, group) of a file; split "" where folders name none, None outside of those they name."""
    if not splits:
        return "", _group(file.parts)
    split = SPLIT_NAMES.get(file.parts[0].lower()) if len(file.parts) > 1 else None
    if split == "train" and "valid" not in splits:
        split = ""
    return split, _group(file.parts[1:])


def _group(parts: tuple[str, ...]) -> str:
    """Speaker or class: the first sub-folder; in a flat folder every file stands for itself."""
    return parts[0] if len(parts) > 1 else Path(parts[-1]).stem if parts else ""


def _cut_what_is_missing(listing: Listing, kind: str, splits: set[str]) -> None:
    if not splits:
        listing.shares[kind] = TEN_PERCENT_EACH
    elif "valid" not in splits:
        listing.shares[kind] = VALID_ONLY
    if splits and "test" not in splits:
        listing.warnings.append(f"{kind}: there is a train folder but no test folder")


def _leave_open(listing: Listing, split: str) -> None:
    listing.sources = [
        Source(s.root, s.path, s.kind, "" if s.split == split else s.split, s.group, s.pair)
        for s in listing.sources
    ]


def _same_name(file: Path) -> str:
    return file.with_suffix("").as_posix()


def _file_id(file: Path) -> str:
    found = re.search(r"fileid_(\d+)", file.stem)
    return f"fileid_{found[1]}" if found else _same_name(file)


_Side = tuple[str, Path, list[Path]]


def _match(
    listing: Listing, noisy: _Side, clean: _Side, key: Callable[[Path], str]
) -> list[tuple[str, Path, Path]]:
    """Pairs (name, noisy file, clean file); files without one partner are left out, with the reason."""
    by_key: list[dict[str, Path]] = []
    for _, folder, files in (noisy, clean):
        counts = Counter(key(file) for file in files)
        by_key.append({key(file): file for file in files if counts[key(file)] == 1})
        listing.left_out += [
            (str(folder / file), "another file here has the same name up to its suffix")
            for file in files
            if counts[key(file)] > 1
        ]
    for mine, other, folder, other_folder in (
        (by_key[0], by_key[1], noisy[1], clean[1]),
        (by_key[1], by_key[0], clean[1], noisy[1]),
    ):
        listing.left_out += [
            (str(folder / file), f"no partner of that name in {other_folder}")
            for name, file in mine.items()
            if name not in other
        ]
    return [(name, file, by_key[1][name]) for name, file in by_key[0].items() if name in by_key[1]]


def _add_pair(
    listing: Listing, noisy_root: str, noisy: Path, clean_root: str, clean: Path,
    split: str, group: str, name: str,
) -> None:  # fmt: skip
    listing.sources.append(Source(noisy_root, noisy.as_posix(), "noisy", split, group, name))
    listing.sources.append(Source(clean_root, clean.as_posix(), "clean", split, group, name))


def _add_dns_test(listing: Listing, folder: Path, split: str) -> None:
    roots = {f"{folder.name}_{side}": (folder / side).absolute() for side in ("noisy", "clean")}
    for place in roots.values():
        if not place.is_dir():
            raise UserError(f"{place} does not exist; a DNS2020 test set has noisy/ and clean/.")
    listing.roots |= roots
    noisy, clean = ((name, place, list(_audio_files(place))) for name, place in roots.items())
    for name, noisy_file, clean_file in _match(listing, noisy, clean, _file_id):
        pair = f"{folder.name}/{name}"
        _add_pair(listing, noisy[0], noisy_file, clean[0], clean_file, split, folder.name, pair)
