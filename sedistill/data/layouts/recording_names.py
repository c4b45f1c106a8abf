"""Which noise files are cuts of one recording, by their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sedistill.data.layouts.speakers import name_by_pattern

# Freesound's number in the names of UrbanSound8K (101415-3-0-2), ESC-50 (1-17367-A-10) and DNS.
_FREESOUND = (
    re.compile(r"(?:^|_)(\d{2,})-\d+-\d+-\d+$"),
    re.compile(r"(?:^|_)[1-5]-(\d+)-[A-Z](?:-\d+)?$"),
    re.compile(r"freesound_(?:validated_)?(\d+)", re.IGNORECASE),
    re.compile(r"(?:^|_)fs(\d{3,})(?:_\d+)?$"),
)
_CHANNEL = re.compile(r"ch\d{1,2}", re.IGNORECASE)  # DEMAND: PARK/ch01 to ch16
_PART = re.compile(r"(.+?)[-_. ]*(?:part|chunk|segment|seg|cut|clip|slice|piece)[-_. ]?\d+", re.IGNORECASE)
_NUMBERED = re.compile(r"(.*[^\W\d_].*?)[-_]\d+")
_ONE_EACH = re.compile(r"noise-(?:free-sound|sound-bible)-\d+")  # MUSAN


@dataclass
class Recordings:
    """The recording of every file, "" where it is one of its own; `warnings` where that cannot be told."""

    names: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find_recordings(files: Sequence[Path], pattern: re.Pattern[str] | None = None) -> Recordings:
    """What the files (paths below the folders of splits) are cut from.

    `pattern` decides where it is given (its group `recording`, or its first one). Else Freesound's numbers
    do, the number of a part (`street-part2`), and plain numbers at the end (`street_000`), unless they count
    the files of a class (`dog/dog_001`).
    """
    if pattern is not None:
        return _by_pattern(files, pattern)
    names = certain_recordings(files)
    open_files = [index for index, name in enumerate(names) if not name]
    bases = {index: base for index in open_files if (base := _numbered(files[index]))}
    if len(bases) == len(open_files) > 1 and len(set(bases.values())) == 1:
        base = Path(next(iter(bases.values()))).name
        warning = (
            f"noise: all files are called {base} with a number, which does not tell whether they are cuts "
            "of one recording: each stands for itself; say --noise-from"
        )
        return Recordings(names, [warning])
    for index, base in bases.items():
        names[index] = base
    return Recordings(names)


def certain_recordings(files: Sequence[Path]) -> list[str]:
    """The recordings by Freesound's numbers, parts and channels alone; "" where a name has none of these."""
    return [_certain(file) or "" for file in files]


def _by_pattern(files: Sequence[Path], pattern: re.Pattern[str]) -> Recordings:
    names = [name_by_pattern(pattern, file, "recording") or "" for file in files]
    missed = [file for file, name in zip(files, names, strict=True) if not name]
    warnings = []
    if missed:
        warnings.append(
            f"noise: {len(missed)} files (such as {missed[0].as_posix()}) do not match {pattern.pattern}, so "
            "each counts as a recording of its own"
        )
    return Recordings(names, warnings)


def _certain(file: Path) -> str | None:
    for pattern in _FREESOUND:
        if match := pattern.search(file.stem):
            return f"freesound {match[1]}"
    if len(file.parts) > 1 and _CHANNEL.fullmatch(file.stem):
        return file.parent.as_posix()
    match = _PART.fullmatch(file.stem)
    return file.with_name(match[1]).as_posix() if match else None


def _numbered(file: Path) -> str | None:
    """ "rain/street" of rain/street_003.wav; None of rain/rain_003.wav, which only counts the class."""
    match = _NUMBERED.fullmatch(file.stem)
    if match is None or _ONE_EACH.fullmatch(file.stem):
        return None
    if len(file.parts) > 1 and match[1].lower() in (part.lower() for part in file.parts[:-1]):
        return None
    return file.with_name(match[1]).as_posix()
