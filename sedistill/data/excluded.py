"""The files that a corpus does without: counted for people, listed in excluded.csv, by where they lie."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sedistill.audio.listing import NO_AUDIO, OTHER_FORMAT, Unread, told_by_suffix
from sedistill.common.csv_files import write_csv
from sedistill.common.reading import shown
from sedistill.data.expected_counts import LeftOut
from sedistill.data.file_checks import MISFITS, OF_BOTH_FILES, PARTNER_UNUSABLE

EXCLUDED = "excluded.csv"
TOO_SHORT_TO_SPLIT = "too short to split in time"
"""The reason of a part of a recording; other parts of it are used."""


def write_excluded(path: Path, excluded: Iterable[Unread]) -> None:
    """A line a file."""
    write_csv(path, ("path", "reason", "detail"), ((one.path, one.reason, one.detail) for one in excluded))


def excluded_lines(excluded: Sequence[Unread], place: Path) -> list[str]:
    """Counts by reason. place: of excluded.csv."""
    audio = [one for one in excluded if one.reason not in (NO_AUDIO, TOO_SHORT_TO_SPLIT)]
    parts = {one.path for one in excluded if one.reason == TOO_SHORT_TO_SPLIT}
    others, listed = told_by_suffix(excluded), f"listed in {place}"
    lines = [f"Left out: {len(audio)} files, {listed}" if audio else "Left out: nothing"]
    for reason, count in counted_reasons(audio):
        remedy = f" ({_formats(audio)}); convert them, as by ffmpeg" if reason == OTHER_FORMAT else ""
        lines.append(f"  {count:6d}  {reason}{remedy}")
    if parts:
        lines.append(f"Not used: parts of {len(parts)} files, {TOO_SHORT_TO_SPLIT}; {listed}")
    return [*lines, f"Beside them {others}; {listed}"] if others else lines


def _formats(excluded: Iterable[Unread]) -> str:
    of_other = (one.path.suffix for one in excluded if one.reason == OTHER_FORMAT)
    return ", ".join(f"{shown(suffix)} {count}" for suffix, count in Counter(of_other).most_common())


def counted_reasons(excluded: Iterable[Unread], of_pairs: bool = False) -> list[tuple[str, int]]:
    """Each reason with how many files have it, or how many pairs; the most usual first."""
    counts = Counter(one.reason for one in excluded)
    if of_pairs:
        del counts[PARTNER_UNUSABLE]
        counts.update({reason: -(counts[reason] // 2) for reason in OF_BOTH_FILES if reason in counts})
    return counts.most_common()


def misfits_told(excluded: Iterable[Unread]) -> list[str]:
    """A sentence when pairs were left out because their two files do not fit."""
    found = [one for one in excluded if one.reason in MISFITS.values()][::2]
    if not found:
        return []
    count = f"{len(found)} pair does" if len(found) == 1 else f"{len(found)} pairs do"
    example = f"{found[0].path.name}: {found[0].detail}"
    return [f"{count} not fit and {'is' if len(found) == 1 else 'are'} left out, for example {example}"]


def by_root(excluded: Iterable[Unread], roots: Mapping[str, Path]) -> list[LeftOut]:
    """The same by the root that a file lies in; the innermost where roots lie in one another."""
    innermost = sorted(roots.items(), key=lambda item: -len(str(item[1])))
    found = []
    for one in excluded:
        path = one.path.absolute()
        for name, folder in innermost:
            if path.is_relative_to(folder):
                found.append(LeftOut(name, path.relative_to(folder).as_posix(), one.reason, one.detail))
                break
    return found
