"""What a layout says about a folder, and the looking at names that layouts share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sedistill.audio.listing import Unread, audio_below, none_found
from sedistill.data.expected_counts import Part
from sedistill.data.partners import NO_PARTNER, find_partners

TEN_PERCENT_EACH = {"valid": 0.1, "test": 0.1}
VALID_ONLY = {"valid": 0.1}


@dataclass(frozen=True, slots=True)
class Source:
    """A file as its place in a layout describes it. split "" is still to be decided; pair "" is no pair."""

    root: str
    path: str
    kind: str
    split: str
    group: str
    pair: str = ""
    recording: str = ""


@dataclass
class Listing:
    """What a layout found.

    Attributes:
        roots: folders by name, absolute.
        sources: candidates; a pair's two files share `pair`.
        left_out: files with audio names that have no place in the layout.
        shares: for each kind, which splits to cut from the sources without one, and their shares.
        in_time: kinds of which every recording is cut in time by those shares, whatever its group.
        noise_only: splits that are meant to hold noise alone, for the speech of another split.
        unknown: for each kind, the groups that are single files, because names did not tell more.
        warnings, notes: sentences for the summary; notes are nothing to worry about.
        parts: what published figures are held against.
    """

    layout: str
    roots: dict[str, Path]
    sources: list[Source] = field(default_factory=list)
    left_out: list[Unread] = field(default_factory=list)
    shares: dict[str, Mapping[str, float]] = field(default_factory=dict)
    in_time: frozenset[str] = frozenset()
    noise_only: frozenset[str] = frozenset()
    unknown: dict[str, set[str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    def place(self, root: str, path: str) -> Path:
        """Where a file lies."""
        return self.roots[root] / path

    def add_pair(
        self, noisy_root: str, noisy: Path, clean_root: str, clean: Path, split: str, group: str, name: str
    ) -> None:
        """Add both files of a pair as sources."""
        self.sources.append(Source(noisy_root, noisy.as_posix(), "noisy", split, group, name))
        self.sources.append(Source(clean_root, clean.as_posix(), "clean", split, group, name))


def audio_files(folder: Path) -> list[Path]:
    """Files to read below `folder`, relative to it and sorted. Raises UserError when there are none."""
    found = audio_below(folder)
    if not found.files:
        raise none_found(found)
    return found.files


def group_of(parts: tuple[str, ...]) -> str:
    """Speaker or class: the first sub-folder; in a flat folder every file stands for itself."""
    return parts[0] if len(parts) > 1 else Path(parts[-1]).stem if parts else ""


Side = tuple[str, Path, list[Path]]
"""Name of a root, where it lies, its files."""


def match_pairs(listing: Listing, noisy: Side, clean: Side) -> list[tuple[str, Path, Path]]:
    """Pairs (name, noisy file, clean file); files without one partner are left out, with the reason."""
    found = find_partners(*([file.as_posix() for file in files] for _, _, files in (noisy, clean)))
    for left, folder, other_folder in (
        (found.noisy_left, noisy[1], clean[1]),
        (found.clean_left, clean[1], noisy[1]),
    ):
        listing.left_out += [
            Unread(folder / file, "no partner", f"{NO_PARTNER} in {other_folder}")
            if reason == NO_PARTNER
            else Unread(folder / file, "name twice", reason)
            for file, reason in left
        ]
    return [(pair.name, Path(pair.noisy), Path(pair.clean)) for pair in found.pairs]
