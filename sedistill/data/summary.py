"""What `prepare` tells its user: one screen about a corpus."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from sedistill.audio.listing import Unread
from sedistill.audio.resampling import RESAMPLER
from sedistill.common.reading import shown
from sedistill.data.clip_table import ClipTable
from sedistill.data.corpus import Corpus
from sedistill.data.excluded import EXCLUDED, excluded_lines

AUDIO_ROOT = "audio"


@dataclass(frozen=True)
class PrepareSummary:
    """What `prepare` did; `text()` is one screen.

    Attributes:
        published: a sentence for each part of a published corpus: so many of so many, and what is amiss.
        notes: what was chosen where a layout leaves a choice.
    """

    folder: Path
    corpus: Corpus
    excluded: Sequence[Unread]
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
        lines += ["", *excluded_lines(self.excluded, self.folder / EXCLUDED)]
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
        clips = self.corpus.clips
        offsets = clips.numbers["offset"]
        with_offset = np.flatnonzero(offsets)
        if not len(with_offset):
            return []
        most = clips[with_offset[np.abs(offsets[with_offset]).argmax()]]
        files = len(np.unique(clips.file[with_offset]))
        return [
            f"Warning: an offset (a mean that is not zero) lies on {files} files, the largest, "
            f"{most.offset:+.3g} of full scale, on {shown(most.source or f'{most.root}/{most.path}')}; it "
            "counts in no level and is taken away on reading."
        ]


def _count_lines(counts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = [f"  {'split':<17}{'kind':<7}{'files':>8}{'h:mm:ss':>11}{'groups':>9}"]
    for cell, count in counts.items():
        split, kind = cell.split(" ")
        duration = timedelta(seconds=round(count["hours"] * 3600))
        lines.append(f"  {split:<17}{kind:<7}{count['files']:>8}{duration!s:>11}{count['groups']:>9}")
    return [*lines, "  (groups: speakers, noise classes, or single files of a flat folder)"]


def missing_splits(clips: ClipTable, noise_only: Iterable[str]) -> list[str]:
    """Splits that one needed kind has and the other lacks, which makes them useless for mixing."""
    alone = np.flatnonzero(~clips.texts["pair"].are_there)
    present: dict[str, set[str]] = {}
    both = np.stack([clips.codes["split"][alone], clips.codes["kind"][alone]], axis=1)
    for row in alone[np.sort(np.unique(both, axis=0, return_index=True)[1])].tolist():
        present.setdefault(clips.text("split", row), set()).add(clips.text("kind", row))
    return [
        f"the split {split} has {', '.join(kinds)} only, and needs clean and noise to make mixtures"
        for split, kinds in present.items()
        if len(kinds) == 1 and split not in noise_only
    ]
