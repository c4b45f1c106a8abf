"""Which clean file belongs to which noisy one: the one rule for it, by names.

Two files are partners when their paths are the same up to the suffix and the way accents are encoded (NFC or
NFD); else by the number after `fileid_`, as in the DNS challenge; else up to the case of letters; else by the
file's name alone, wherever it lies. Each of these holds only where it leaves no doubt.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

NO_PARTNER = "no partner of that name"


@dataclass(frozen=True)
class Pair:
    """Two partners, as paths relative to their folders; `name` is what they share, unique among the pairs."""

    name: str
    noisy: str
    clean: str


@dataclass
class Partners:
    """`pairs` in the order of the noisy files; the files left over, each with the reason."""

    pairs: list[Pair] = field(default_factory=list)
    noisy_left: list[tuple[str, str]] = field(default_factory=list)
    clean_left: list[tuple[str, str]] = field(default_factory=list)


def find_partners(noisy: Sequence[str], clean: Sequence[str]) -> Partners:
    """Match paths relative to the folders of noisy and of clean files, with `/` between their parts."""
    pair_of: dict[str, Pair] = {}
    taken: set[str] = set()  # clean files
    doubts: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for key, difference in _WAYS:
        ours, theirs = _grouped(noisy, key), _grouped(clean, key)
        if key is _path:  # files of one name but for the suffix: whatever comes later would choose by chance
            doubts[0].update(_all_of(ours, difference))
            doubts[1].update(_all_of(theirs, difference))
        for shared in ours.keys() & theirs.keys():
            left = [file for file in ours[shared] if file not in pair_of and file not in doubts[0]]
            right = [file for file in theirs[shared] if file not in taken and file not in doubts[1]]
            if not left or not right:
                continue
            if len(ours[shared]) == len(theirs[shared]) == 1:
                pair_of[left[0]] = Pair(shared, left[0], right[0])
                taken.add(right[0])
            else:
                for side, group in ((0, ours), (1, theirs)):
                    doubts[side].update(_all_of({shared: group[shared]}, difference))
    return Partners(
        pairs=[pair_of[file] for file in noisy if file in pair_of],
        noisy_left=[(file, doubts[0].get(file, NO_PARTNER)) for file in noisy if file not in pair_of],
        clean_left=[(file, doubts[1].get(file, NO_PARTNER)) for file in clean if file not in taken],
    )


def _path(file: str) -> str:
    return unicodedata.normalize("NFC", str(PurePosixPath(file).with_suffix("")))


def _file_id(file: str) -> str | None:
    """ "fileid_7" of "clnsp1_train_1_snr7_tl-21_fileid_7.wav", below its folder."""
    path = PurePosixPath(file)
    found = re.search(r"fileid_\d+", path.stem)
    return _path(str(path.with_name(found[0] + ".x"))) if found else None


def _file_id_alone(file: str) -> str | None:
    found = _file_id(file)
    return found and PurePosixPath(found).name


def _caseless(file: str) -> str:
    return _path(file).casefold()


def _name_alone(file: str) -> str:
    return PurePosixPath(_path(file)).name


_WAYS: tuple[tuple[Callable[[str], str | None], str], ...] = (
    (_path, "its suffix"),
    (_file_id, "its fileid_ number"),
    (_file_id_alone, "its folder"),
    (_caseless, "the case of its letters"),
    (_name_alone, "its folder"),
)
"""A key, and what two files of one key differ in."""


def _grouped(files: Iterable[str], key: Callable[[str], str | None]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for file in files:
        if (value := key(file)) is not None:
            groups.setdefault(value, []).append(file)
    return groups


def _all_of(groups: dict[str, list[str]], difference: str) -> dict[str, str]:
    """The files that share their key with others, with the reason why that leaves them out."""
    return {
        file: f"another file here has the same name up to {difference}, {other}"
        for files in groups.values()
        if len(files) > 1
        for file, other in zip(files, [*files[1:], files[0]], strict=True)
    }
