"""Folders whose names say train, validation or test, in the spellings of public corpora, at any depth."""

import re
from collections.abc import Iterable, Mapping, Sequence
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
        split_of: of the files that lie in a folder of a split.
        below: every file's path without such folders.
        notes, warnings: what was taken for what, and where folders contradict each other.
    """

    split_of: Mapping[Path, str]
    below: Mapping[Path, Path]
    notes: Sequence[str] = field(default_factory=list)
    warnings: Sequence[str] = field(default_factory=list)

    @property
    def splits(self) -> set[str]:
        return set(self.split_of.values())


def find_split_folders(files: Iterable[Path], kind: str) -> SplitFolders:
    """Read folders as splits where a folder's subfolders make sense as such.

    They do when all of them name splits, or two different ones, or, with speech, one of them does: a lone
    noise folder "train" beside "dog" and "rain" is a class.
    """
    files = list(files)
    children: dict[Path, set[str]] = {}
    for file in files:
        for folder in [file, *file.parents[:-1]]:
            children.setdefault(folder.parent, set()).add(folder.name)
    names = set(files)
    meant: set[Path] = set()
    notes: list[str] = []
    warnings: list[str] = []
    for parent, entries in sorted(children.items(), key=lambda child: len(child[0].parts)):
        if kind == "noise" and not meant.isdisjoint([parent, *parent.parents]):
            continue  # below a split the folders of noise are classes, one of which may be called train
        folders = {name for name in entries if parent / name not in names}
        named = {name: split for name in folders if (split := split_named(name))}
        alone = len(named) == len(entries)
        if named and (alone or len(set(named.values())) > 1 or kind != "noise"):
            meant |= {parent / name for name in named}
        elif named:
            name, beside = next(iter(named)), sorted(entries - named.keys())[0]
            notes.append(
                f"{kind}: the folder {name} beside {beside} is taken for a class of noise, not for a split"
            )
    split_of, below, torn = {}, {}, []
    for file in files:
        above = list(reversed(file.parents[:-1]))
        said = [split_named(folder.name) or "" for folder in above if folder in meant]
        if not said:
            below[file] = file
            continue
        split_of[file] = said[0]
        torn += [file] if len(set(said)) > 1 else []
        below[file] = Path(*(folder.name for folder in above if folder not in meant), file.name)
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
