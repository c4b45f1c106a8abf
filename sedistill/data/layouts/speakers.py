"""Who speaks in a file, by its name and folders, as public corpora write it."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

# Names that tell the speaker by themselves: DNS, LibriSpeech, LibriTTS, VCTK and VoiceBank, and plain words.
_NAMES = (
    re.compile(r"(reader_\d+)"),
    re.compile(r"^(\d+)-\d+-\d{4,}$"),
    re.compile(r"^(\d+)_\d+_\d{6}_\d{6}$"),
    re.compile(r"^(p\d{3}|s5)_\d{3}(?:_.*)?$"),
    re.compile(r"(?:^|[-_])((?:spk|spkr|speaker|talker|id)[-_]?\d+)(?=[-_]|$)", re.IGNORECASE),
)
_DIALECT = re.compile(r"dr[1-8]", re.IGNORECASE)  # TIMIT: TRAIN/DR1/FCJF0/SA1
_NOT_A_SPEAKER = re.compile(
    r"male|female|males|females|men|women|man|woman|wav\d*.*|flac|audio|clean|speech|voice|data|corpus|"
    r"librispeech|libritts|vctk.*|\d+k(hz)?|(day|session|disc|disk|batch|mic|room)[-_ ]?\d*",
    re.IGNORECASE,
)
_ONE_SPEAKER = re.compile(r"[a-z]{0,3}\d+", re.IGNORECASE)  # 84 with its chapters, p226; not "LibriSpeech"


@dataclass
class Grouping:
    """`groups` of the files, in their order; `unknown` are those that stand for one file each."""

    groups: list[str] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find_speakers(files: Sequence[Path], kind: str, pattern: re.Pattern[str] | None = None) -> Grouping:
    """The speaker of every file (paths below the folders of splits).

    `pattern` decides where it is given (by its group `speaker`, or its first one). Else the name of a file
    does, where it is of a known corpus; else its folder; else, in a flat folder, what stands before the first
    `_` or `-` that tells speakers apart; else every file stands for itself, and a warning says so.
    """
    found = Grouping([""] * len(files))
    if pattern is not None:
        _by_pattern(found, files, kind, pattern)
        return found
    known = {index: name for index, file in enumerate(files) if (name := _by_name(file))}
    rest = [index for index in range(len(files)) if index not in known]
    known |= by_folder(files, rest)
    flat = [index for index in rest if index not in known]
    prefixes = _by_prefix([files[index].stem for index in flat])
    known |= dict(zip(flat, prefixes, strict=True)) if prefixes else {}
    found.groups = [known.get(index, file.stem) for index, file in enumerate(files)]
    in_folders = [index for index in rest if index not in flat]
    _tell_disagreement(found, files, in_folders, kind)
    _tell_repeated_folders(found, files, in_folders, kind)
    _tell_misplaced(found, files, kind)
    opaque = [index for index in flat if index not in known]
    if opaque:
        _stand_alone(found, files, opaque, kind, "do not tell")
    elif flat:
        _tell_endings(found, [files[index].stem for index in flat], prefixes, kind)
        count = len(set(prefixes))
        found.notes.append(f"{kind}: {count} speakers by the beginnings of file names, such as {prefixes[0]}")
    return found


def name_by_pattern(pattern: re.Pattern[str], file: Path, group: str) -> str | None:
    """What `pattern` finds in a path: its group of that name, or its first."""
    match = pattern.search(file.as_posix())
    if match is None:
        return None
    return match[group] if group in pattern.groupindex else match[1]


def _by_pattern(found: Grouping, files: Sequence[Path], kind: str, pattern: re.Pattern[str]) -> None:
    names = [name_by_pattern(pattern, file, "speaker") for file in files]
    found.groups = [name or file.stem for name, file in zip(names, files, strict=True)]
    missed = [index for index, name in enumerate(names) if not name]
    if missed:
        _stand_alone(found, files, missed, kind, f"do not match {pattern.pattern}, which should tell")


def _stand_alone(found: Grouping, files: Sequence[Path], which: Sequence[int], kind: str, why: str) -> None:
    found.unknown |= {found.groups[index] for index in which}
    found.warnings.append(
        f"{kind}: the names of {len(which)} files (such as {files[which[0]].as_posix()}) {why} the speaker, "
        "so each stands for itself, and one speaker may be in several splits; say --speaker-from"
    )


def _by_name(file: Path) -> str | None:
    for above, folder in zip(file.parts, file.parts[1:-1], strict=False):
        if _DIALECT.fullmatch(above):
            return folder
    matches = (pattern.search(file.stem) for pattern in _NAMES)
    return next((match[1] for match in matches if match), None)


def by_folder(files: Sequence[Path], which: Sequence[int]) -> dict[int, str]:
    """For the files in folders: the first folder that differs and is no word such as "female" or "wav48"."""
    folders = {index: files[index].parts[:-1] for index in which if len(files[index].parts) > 1}
    depth = max(map(len, folders.values()), default=0)
    for level in range(depth):
        names = {parts[level] for parts in folders.values() if len(parts) > level}
        below = any(len(parts) > level + 1 for parts in folders.values())
        are_words = all(_NOT_A_SPEAKER.fullmatch(name) for name in names)
        is_one_speaker = len(names) == 1 and not are_words and _ONE_SPEAKER.fullmatch(next(iter(names)))
        if is_one_speaker or (len(names) > 1 and not (are_words and below)):
            return {index: parts[min(level, len(parts) - 1)] for index, parts in folders.items()}
    return {index: parts[0] for index, parts in folders.items()}


def _by_prefix(stems: Sequence[str]) -> list[str]:
    """What stands before the first separator that tells groups of several files apart; [] where none does."""
    tokens = [re.split(r"([-_])", stem) for stem in stems]
    longest = max(map(len, tokens), default=0)
    for count in range(1, longest, 2):
        prefixes = ["".join(parts[:count]) for parts in tokens]
        has_rest = sum(len(parts) > count for parts in tokens) >= 0.9 * len(tokens)
        sizes = Counter(prefixes)
        if not has_rest:
            return []
        if len(sizes) > 1:
            shared = sum(size for size in sizes.values() if size > 1)
            return prefixes if shared >= 0.5 * len(stems) else []
    return []


def _tell_disagreement(found: Grouping, files: Sequence[Path], which: Sequence[int], kind: str) -> None:
    """Where folders were taken for speakers but the names group the files across them."""
    prefixes = _by_prefix([files[index].stem for index in which])
    folders_of: dict[str, set[str]] = {}
    for index, prefix in zip(which, prefixes, strict=False):
        folders_of.setdefault(prefix, set()).add(found.groups[index])
    torn = sorted(prefix for prefix, folders in folders_of.items() if len(folders) > 1)
    if torn:
        found.warnings.append(
            f"{kind}: folders are taken for speakers, but file names that begin with {torn[0]} lie in "
            f"{len(folders_of[torn[0]])} of them; if those are one speaker, say --speaker-from"
        )


def _tell_repeated_folders(found: Grouping, files: Sequence[Path], which: Sequence[int], kind: str) -> None:
    """Where folders of the same names lie in several taken for speakers: a-part/anna, b-part/anna."""
    places: dict[str, set[str]] = {}
    for index in which:
        folders, speaker = files[index].parts[:-1], found.groups[index]
        below = folders[folders.index(speaker) + 1 :][:1] if speaker in folders else ()
        for name in below:
            if not _NOT_A_SPEAKER.fullmatch(name):
                places.setdefault(name, set()).add(speaker)
    torn = sorted(name for name, speakers in places.items() if len(speakers) > 1)
    if len(torn) > 1 and 2 * len(torn) >= len(places):
        found.warnings.append(
            f"{kind}: folders such as {min(places[torn[0]])} are taken for speakers, but in "
            f"{len(places[torn[0]])} of them lies one called {torn[0]}; if that is one speaker, "
            "say --speaker-from"
        )


def _tell_endings(found: Grouping, stems: Sequence[str], prefixes: Sequence[str], kind: str) -> None:
    """Where names begin with numbers, which were taken for speakers, and end in words that group them too."""
    begins: dict[str, set[str]] = {}
    for stem, prefix in zip(stems, prefixes, strict=True):
        begins.setdefault(re.split(r"[-_]", stem)[-1], set()).add(prefix)
    words = [end for end in begins if not end.isdigit() and not _NOT_A_SPEAKER.fullmatch(end)]
    torn = sorted(end for end in words if len(begins[end]) > 1)
    if all(map(str.isdigit, prefixes)) and len(torn) > 1 and 2 * len(torn) >= len(begins):
        found.warnings.append(
            f"{kind}: the beginnings of file names are taken for speakers, but {len(begins[torn[0]])} of "
            f"them go with names that end in {torn[0]}; if the endings are speakers, say --speaker-from"
        )


def _tell_misplaced(found: Grouping, files: Sequence[Path], kind: str) -> None:
    """Where the name says one speaker and the folder another."""
    speakers = set(found.groups)
    torn = [
        (file, folder, group)
        for file, group in zip(files, found.groups, strict=True)
        for folder in file.parts[:-1]
        if folder != group and folder in speakers and group not in file.parts[:-1]
    ]
    if torn:
        file, folder, group = torn[0]
        found.warnings.append(
            f"{kind}: {len(torn)} files such as {file.as_posix()} are of speaker {group} by their names and "
            f"of {folder} by their folder; the name counts, or say --speaker-from"
        )
