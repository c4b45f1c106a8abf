"""What `prepare` tells its user: one screen about a corpus."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sedistill.audio.listing import NO_AUDIO, OTHER_FORMAT, Unread, told_by_suffix
from sedistill.audio.resampling import RESAMPLER
from sedistill.common.csv_files import CsvWriter
from sedistill.common.reading import NAMES, shown
from sedistill.data.corpus import Clip, Corpus
from sedistill.data.file_checks import MISFITS, Finding
from sedistill.data.layouts import Source

EXCLUDED = "excluded.csv"
TOO_SHORT_TO_SPLIT = "too short to split in time"
"""The reason of a part of a recording; other parts of it are used."""
AUDIO_ROOT = "audio"


@dataclass(frozen=True)
class Excluded:
    """A file that was left out, and why: a short reason to count by, and what was found."""

    path: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class PrepareSummary:
    """What `prepare` did; `text()` is one screen.

    Attributes:
        published: a sentence for each part of a published corpus: so many of so many, and what is amiss.
        notes: what was chosen where a layout leaves a choice.
    """

    folder: Path
    corpus: Corpus
    excluded: Sequence[Excluded]
    converted: int
    clipped: int
    warnings: Sequence[str] = field(default_factory=list)
    published: Sequence[str] = field(default_factory=list)
    notes: Sequence[str] = field(default_factory=list)

    def text(self) -> str:
        facts = self.corpus.facts
        lines = [f"Corpus {self.folder} ({facts['layout']}, {facts['sample_rate']} Hz)", ""]
        lines += _count_lines(facts["counts"])
        if self.published:
            lines += ["", "Against the published figures", *(f"  {line}" for line in self.published)]
        lines += ["", *self._left_out_lines()]
        if self.converted:
            lines.append(
                f"Converted to {facts['sample_rate']} Hz mono ({RESAMPLER}): {self.converted} files, in "
                f"{self.folder / AUDIO_ROOT}"
            )
        if self.clipped:
            lines.append(f"Kept although clipped (noise, or a ready pair): {self.clipped} files")
        lines += self._offset_lines()
        lines += [f"{note}." for note in self.notes]
        lines += [f"Warning: {warning}." for warning in self.warnings]
        return "\n".join(lines)

    def _offset_lines(self) -> list[str]:
        with_offset = [clip for clip in self.corpus if clip.offset]
        if not with_offset:
            return []
        most = max(with_offset, key=lambda clip: abs(clip.offset))
        files = len({(clip.root, clip.path) for clip in with_offset})
        return [
            f"Warning: an offset (a mean that is not zero) lies on {files} files, the largest, "
            f"{most.offset:+.3g} of full scale, on {shown(most.source or f'{most.root}/{most.path}')}; it "
            "counts in no level and is taken away on reading."
        ]

    def _left_out_lines(self) -> list[str]:
        audio = [one for one in self.excluded if one.reason not in (NO_AUDIO, TOO_SHORT_TO_SPLIT)]
        parts = [one.path for one in self.excluded if one.reason == TOO_SHORT_TO_SPLIT]
        others = told_by_suffix(Unread(Path(one.path), one.reason, one.detail) for one in self.excluded)
        listed = f"listed in {self.folder / EXCLUDED}"
        lines = [f"Left out: {len(audio)} files, {listed}" if audio else "Left out: nothing"]
        for reason, count in Counter(one.reason for one in audio).most_common():
            remedy = f" ({self._formats()}); convert them, as by ffmpeg" if reason == OTHER_FORMAT else ""
            lines.append(f"  {count:6d}  {reason}{remedy}")
        if parts:
            lines.append(f"Not used: parts of {len(set(parts))} files, {TOO_SHORT_TO_SPLIT}; {listed}")
        return [*lines, f"Beside them {others}; {listed}"] if others else lines

    def _formats(self) -> str:
        of_other = (Path(one.path).suffix for one in self.excluded if one.reason == OTHER_FORMAT)
        return ", ".join(f"{shown(suffix)} {count}" for suffix, count in Counter(of_other).most_common())


def _count_lines(counts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = [f"  {'split':<17}{'kind':<7}{'files':>8}{'h:mm:ss':>11}{'groups':>9}"]
    for cell, count in counts.items():
        split, kind = cell.split(" ")
        duration = timedelta(seconds=round(count["hours"] * 3600))
        lines.append(f"  {split:<17}{kind:<7}{count['files']:>8}{duration!s:>11}{count['groups']:>9}")
    return [*lines, "  (groups: speakers, noise classes, or single files of a flat folder)"]


def told_of_misfits(excluded: Iterable[Excluded]) -> list[str]:
    """A sentence when pairs were left out because their two files do not fit."""
    found = [one for one in excluded if one.reason in MISFITS.values()][::2]
    if not found:
        return []
    example = f"{Path(found[0].path).name}: {found[0].detail}"
    count = f"{len(found)} pair does" if len(found) == 1 else f"{len(found)} pairs do"
    return [f"{count} not fit and {'is' if len(found) == 1 else 'are'} left out, for example {example}"]


def told_of_trusted(
    sources: Sequence[tuple[Source, ...]], findings: Sequence[tuple[Finding, ...]]
) -> list[str]:
    """A sentence when pairs are kept although their two files do not seem to fit."""
    found = [
        (both[0].path, one[0].misfit) for both, one in zip(sources, findings, strict=True) if one[0].misfit
    ]
    if not found:
        return []
    name, misfit = found[0]
    count = "1 pair does" if len(found) == 1 else f"{len(found)} pairs do"
    return [f"{count} not seem to fit, kept as told by --trust-pairs, for example {shown(name)}: {misfit}"]


def told_of_pairs(findings: Iterable[tuple[Finding, ...]]) -> list[str]:
    """What was done to pairs, or is odd about them."""
    pairs = [found for found in findings if len(found) == 2 and not found[0].reason]
    shifted = sum(noisy.start != clean.start for noisy, clean in pairs)
    inverted = sum(noisy.is_inverted for noisy, _ in pairs)
    notes = [f"Shifted so that noisy and clean fit: {shifted} pairs"] if shifted else []
    return notes + ([f"Noisy has the opposite polarity of clean in {inverted} pairs"] if inverted else [])


def missing_splits(clips: Iterable[Clip], noise_only: Iterable[str]) -> list[str]:
    """Splits that one needed kind has and the other lacks, which makes them useless for mixing."""
    present: dict[str, set[str]] = {}
    for clip in clips:
        if not clip.pair:
            present.setdefault(clip.split, set()).add(clip.kind)
    return [
        f"the split {split} has {', '.join(kinds)} only, and needs clean and noise to make mixtures"
        for split, kinds in present.items()
        if len(kinds) == 1 and split not in noise_only
    ]


def write_excluded(path: Path, excluded: Iterable[Excluded]) -> None:
    with path.open("w", newline="", **NAMES) as file:
        writer = CsvWriter(file)
        writer.writerow(["path", "reason", "detail"])
        writer.writerows((one.path, one.reason, one.detail) for one in excluded)
