"""Folders whose names say train, validation or test, in the spellings of public corpora, at any depth."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

SPLIT_WORDS = {
    "train": ("train", "training", "tr"),
    "valid": ("valid", "validation", "val", "dev", "development", "cv", "dt"),
    "test": ("test", "testing", "tt", "eval", "evaluation", "et"),
}
_SPLIT_OF = {word: split for split, words in SPLIT_WORDS.items() for word in words}
# What may stand around such a word: train-clean-100, dev-other, si_tr_s, clean_trainset_28spk_wav, tr05_simu.
_BESIDE = re.compile(
    r"set|clean|noisy|noise|speech|other|all|full|min|max|si|s|h|small|medium|large|data|audio|wav|flac|"
    r"real|simu|bth|orig|\d+[a-z]{0,3}"
)
_WORD = re.compile(rf"({'|'.join(sorted(_SPLIT_OF, key=len, reverse=True))})(?:set|(?<=tr|dt|et)\d\d)?")


def split_named(folder: str) -> str | None:
    """ "train" for "train-clean-100" or "TR"; None for a name that says no split, such as "train_station"."""
    found = set()
    for part in re.split(r"[-_ .]+", folder.lower()):
        word = _WORD.fullmatch(part)
        if word:
            found.add(_SPLIT_OF[word[1]])
        elif not _BESIDE.fullmatch(part):
            return None
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True)
class SplitFolders:
    """What the folders of some files say.

    Attributes:
        split_of: of each file, in their order; "" of one that lies in no folder of a split.
        below: each file's path without such folders.
        notes, warnings: what was taken for what, and where folders contradict each other.
    """

    split_of: Sequence[str]
    below: Sequence[Path]
    notes: Sequence[str] = field(default_factory=list)
    warnings: Sequence[str] = field(default_factory=list)

    @property
    def splits(self) -> set[str]:
        return set(self.split_of) - {""}


def find_split_folders(files: Sequence[Path], kind: str) -> SplitFolders:
    """Read folders as splits where a folder's subfolders make sense as such.

    They do when all of them name splits, or two different ones, or, with speech, one of them does: a lone
    noise folder "train" beside "dog" and "rain" is a class.
    """
    folders_in: dict[Path, set[str]] = {}
    first_file: dict[Path, str] = {}
    for file in files:
        first_file[file.parent] = min(file.name, first_file.get(file.parent, file.name))
        for folder in file.parents[:-1]:
            folders_in.setdefault(folder.parent, set()).add(folder.name)
    meant: set[Path] = set()
    notes: list[str] = []
    warnings: list[str] = []
    for parent, folders in sorted(folders_in.items(), key=lambda one: len(one[0].parts)):
        if kind == "noise" and not meant.isdisjoint([parent, *parent.parents]):
            continue  # below a split the folders of noise are classes, one of which may be called train
        named = {name: split for name in folders if (split := split_named(name))}
        beside = folders - named.keys()
        beside |= {first_file[parent]} if parent in first_file else set()
        if named and (not beside or len(set(named.values())) > 1 or kind != "noise"):
            meant |= {parent / name for name in named}
        elif named:
            notes.append(
                f"{kind}: the folder {min(named)} beside {min(beside)} is taken for a class of noise, "
                "not for a split"
            )
    split_of: list[str] = []
    below: list[Path] = []
    torn: list[Path] = []
    for file in files:
        above = list(reversed(file.parents[:-1]))
        said = [split_named(folder.name) or "" for folder in above if folder in meant]
        split_of.append(said[0] if said else "")
        torn += [file] if len(set(said)) > 1 else []
        outside = (folder.name for folder in above if folder not in meant)
        below.append(Path(*outside, file.name) if said else file)
    if torn:
        warnings.append(
            f"{kind}: {len(torn)} files lie in folders of two splits (for example {torn[0].as_posix()}); the "
            "outer folder counts"
        )
    if meant:
        by_split: dict[str, set[str]] = {}
        for folder in meant:
            by_split.setdefault(split_named(folder.name) or "", set()).add(folder.name)
        plain = all(names == {split} for split, names in by_split.items())
        if not plain:
            told = "; ".join(f"{', '.join(sorted(by_split[s]))} is {s}" for s in SPLIT_WORDS if s in by_split)
            notes.append(f"{kind}: splits by the names of folders: {told}")
    return SplitFolders(split_of, below, notes, warnings)
