"""Which files below a folder are audio to read, and of every other file there why it is not.

Links to files and folders are followed. A folder that lies in itself, by a link, is not entered again.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sedistill.audio.files import CONVERT, SUFFIXES
from sedistill.common.errors import UserError
from sedistill.common.reading import require_folder, shown, why_no_file, why_unreadable

NO_AUDIO, OTHER_FORMAT, HIDDEN, NO_FILE = "no audio", "format not read", "hidden", "not a readable file"
"""The kinds of reasons. What is no audio at all is summed up by suffix, all else is told by name."""

OTHER_FORMATS = frozenset({
    ".3ga", ".3gp", ".aac", ".ac3", ".ac4", ".aax", ".adts", ".alac", ".amr", ".ape", ".asf", ".avi", ".awb",
    ".dff", ".dsf", ".dts", ".eac3", ".ec3", ".f4a", ".flv", ".gsm", ".m2a", ".m4a", ".m4b", ".m4p", ".m4r",
    ".m4v", ".mka", ".mkv", ".mlp", ".mov", ".mp1", ".mp2", ".mp4", ".mpa", ".mpc", ".mpeg", ".mpg", ".mpga",
    ".mts", ".ogv", ".ogx", ".ofr", ".qcp", ".qt", ".ra", ".ram", ".rm", ".rmvb", ".shn", ".spx", ".swf",
    ".tak", ".thd", ".ts", ".tta", ".vob", ".vox", ".weba", ".webm", ".wma", ".wmv", ".wv",
})  # fmt: skip
"""Suffixes of sound, and of films with sound, that libsndfile does not read and ffmpeg does."""
WITHOUT_HEADER = frozenset(
    {".raw", ".pcm", ".s16", ".s16le", ".f32", ".f32le", ".alaw", ".ulaw", ".g722", ".dat"}
)
"""Suffixes of samples without a header, of which nobody but their maker knows the rate."""


@dataclass(frozen=True)
class Unread:
    """A file (or folder) that is not used: where it lies, the kind of reason, and more about it."""

    path: Path
    reason: str
    detail: str = ""


@dataclass
class AudioBelow:
    """What lies below a folder: `files` to read, relative to it and sorted, and all that is not read."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


def audio_below(folder: Path | str) -> AudioBelow:
    """Every file below `folder`, as audio to read or with the reason why not.

    Whether what has the suffix of an audio format can be decoded is not looked at here. Raises UserError
    when `folder` itself cannot be looked through.
    """
    found = AudioBelow(require_folder(folder, "give a folder of audio files"))
    for one in each_below(found.folder):
        if isinstance(one, Unread):
            found.unread.append(one)
        else:
            found.files.append(one)
    return found


_Entry = tuple[Path, os.DirEntry[str], tuple[tuple[int, int], ...]]
"""The folder it lies in, itself, and the identities of all folders above."""


def each_below(folder: Path) -> Iterator[Path | Unread]:
    """What `audio_below` collects, one by one by folders and names, holding only what it passes through."""
    # What is still to be looked at, the next one last.
    ahead: list[_Entry] = []
    yield from _put_ahead(ahead, folder, Path(), (_identity(folder),))
    while ahead:
        place, entry, above = ahead.pop()
        path = folder / place / entry.name
        if entry.name.startswith("."):
            yield Unread(path, HIDDEN, _why_hidden(entry.name))
        elif _is_folder(entry):
            identity = _identity(path)
            if identity in above:
                yield Unread(path, NO_FILE, "a link that leads back to a folder it lies in")
            else:
                yield from _put_ahead(ahead, folder, place / entry.name, (*above, identity))
        elif unread := _why_unread(path, is_plain=not entry.is_symlink() and entry.is_file()):
            yield unread
        else:
            yield place / entry.name


def _put_ahead(
    ahead: list[_Entry], folder: Path, place: Path, above: tuple[tuple[int, int], ...]
) -> Iterator[Unread]:
    """Put what lies in `place` before all else; yields the folder itself where it cannot be read."""
    try:
        with os.scandir(folder / place) as entries:
            inside = sorted(entries, key=lambda entry: entry.name, reverse=True)
    except OSError as error:
        yield Unread(folder / place, NO_FILE, f"the folder {why_unreadable(error)}")
    else:
        ahead += [(place, entry, above) for entry in inside]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _why_unread(path: Path, is_plain: bool) -> Unread | None:
    """None for a file with the suffix of a format that is read."""
    if not is_plain and (fault := why_no_file(path)):
        return Unread(path, NO_FILE, fault)
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return None
    if suffix in OTHER_FORMATS:
        return Unread(path, OTHER_FORMAT, f"{suffix} is not read; {CONVERT}")
    if suffix in WITHOUT_HEADER:
        detail = f"{suffix} has no header; convert it, as by ffmpeg -f s16le -ar RATE -i FILE FILE.flac"
        return Unread(path, OTHER_FORMAT, detail)
    named = f"has the suffix {shown(suffix)}" if suffix else "has no suffix"
    return Unread(path, NO_AUDIO, f"{named}, which is none of an audio format")


def none_found(found: AudioBelow) -> UserError:
    """What to raise where a folder has nothing to read: with what lies there instead."""
    sentences = [f"{shown(found.folder)} holds no audio files (.wav, .flac, ...)"]
    named = [one for one in found.unread if one.reason != NO_AUDIO]
    if named:
        more = f", and {len(named) - 1} more" if len(named) > 1 else ""
        sentences.append(f"{shown(named[0].path.relative_to(found.folder))}: {named[0].detail}{more}")
    if line := told_by_suffix(found.unread):
        sentences.append(line)
    return UserError(f"{'; '.join(sentences)}.")


def told(unread: Sequence[Unread], folder: Path | None = None) -> Iterator[str]:
    """Lines for the terminal: each file by its name and reason; files that are no audio in one line.

    folder: where all of them lie, for that line, where there may be several such folders.
    """
    for one in unread:
        if one.reason != NO_AUDIO:
            yield f"Left out: {shown(one.path)}: {one.detail}."
    if line := told_by_suffix(unread):
        yield f"{line}." if folder is None else f"{shown(folder)}: {line}."


def told_by_suffix(unread: Iterable[Unread]) -> str:
    """ "12 files are no audio: .txt 10, .csv 2"; "" without any."""
    counts = Counter(shown(one.path.suffix) or "no suffix" for one in unread if one.reason == NO_AUDIO)
    total = sum(counts.values())
    if not total:
        return ""
    suffixes = ", ".join(f"{suffix} {count}" for suffix, count in counts.most_common())
    return f"{total} {'file is' if total == 1 else 'files are'} no audio: {suffixes}"


def _why_hidden(name: str) -> str:
    if name.startswith("._"):
        return "hidden: what macOS keeps beside a file of that name"
    return "hidden: its name begins with a dot"


def _identity(folder: Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino
