"""Every file of a listing checked, in many processes: the usable ones as a table, the others by name."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path, PurePosixPath

from sedistill.audio.listing import Unread
from sedistill.common.parallel import in_parallel
from sedistill.common.progress import ProgressBar
from sedistill.common.reading import shown
from sedistill.data.clip_table import Clip, ClipTable
from sedistill.data.file_checks import Finding, Job, check
from sedistill.data.layouts import Listing, Source
from sedistill.data.summary import AUDIO_ROOT

LONGEST_NAME = 140
"""Bytes in the name of a converted file; longer ones are cut, and told apart by a hash."""
_BYTES_AT_ONCE = 64 * 2**20
"""Of files that a process is given at once: some seconds of work."""


@dataclass
class Checked:
    """What was found.

    Attributes:
        clips: of all usable files, in the order of the listing; those without a split have "".
        excluded: the other files.
        misfits, misfit: how many pairs are kept although they do not seem to fit, and the first of them.
        shifted, inverted: pairs that were shifted, and whose noisy file has the opposite polarity.
    """

    clips: ClipTable = field(init=False)
    excluded: list[Unread] = field(default_factory=list)
    misfits: int = 0
    misfit: str = ""
    shifted: int = 0
    inverted: int = 0

    def warnings(self) -> list[str]:
        """A sentence when pairs are kept although their two files do not seem to fit."""
        if not self.misfits:
            return []
        count = "1 pair does" if self.misfits == 1 else f"{self.misfits} pairs do"
        return [f"{count} not seem to fit, kept as told by --trust-pairs, for example {self.misfit}"]

    def notes(self) -> list[str]:
        """What was done to pairs, or is odd about them."""
        notes = [f"Shifted so that noisy and clean fit: {self.shifted} pairs"] if self.shifted else []
        odd = f"Noisy has the opposite polarity of clean in {self.inverted} pairs"
        return [*notes, odd] if self.inverted else notes


def check_all(
    listing: Listing, converted: Path, sample_rate: int, align: bool, trust: bool, workers: int | None
) -> Checked:
    """Check every source of a listing; those that need it are converted into the folder `converted`."""
    checked, places = Checked(), {root: f"{place}/" for root, place in listing.roots.items()}

    def job(both: tuple[Source, ...]) -> Job:
        return Job(
            paths=tuple(places[source.root] + source.path for source in both),
            kinds=tuple(source.kind for source in both),
            converted=tuple(f"{converted}/{_converted_path(source)}" for source in both),
            sample_rate=sample_rate,
            align=align,
            trust=trust,
        )

    def size(paths: Iterable[str]) -> int:
        return sum(map(_bytes_of, paths))

    def share(job: Job) -> float:
        return size(job.paths) / _BYTES_AT_ONCE

    total = size(places[source.root] + source.path for source in listing.sources)
    count = sum(1 for _ in _together(listing.sources))
    jobs = map(job, _together(listing.sources))
    progress = _Progress(total)
    with (
        in_parallel(check, jobs, count, workers, "Checking", share) as found,
        ProgressBar("Checking", total, "bytes", left=progress.left, amount=progress.amount) as progress.bar,
    ):

        def told() -> Iterator[tuple[tuple[Source, ...], tuple[Finding, ...]]]:
            for both, findings in zip(_together(listing.sources), found, strict=True):
                yield both, findings
                progress.seconds += sum(finding.seconds for finding in findings)
                progress.bar.advance(size(places[source.root] + source.path for source in both))

        checked.clips = ClipTable.of(_clips(checked, listing, told()))
    return checked


@dataclass
class _Progress:
    """Of a check: by sound for people, by bytes for the time that is left, as only these are known before."""

    total: int
    seconds: float = 0.0
    bar: ProgressBar = field(init=False)

    def amount(self) -> tuple[str, str]:
        speed = f"{self.seconds / self.bar.seconds():.0f} times real time"
        hours = self.seconds / 3600
        if self.bar.done >= self.total:
            return f"{hours:.2f} h of sound", speed
        about = hours * self.total / max(self.bar.done, 1)
        return f"{hours:.2f} of about {about:.2f} h of sound", speed

    def left(self) -> str:
        return self.bar.left_by_rate()


def _bytes_of(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _together(sources: Iterable[Source]) -> Iterator[tuple[Source, ...]]:
    """A file alone, or the two of a pair, which stand one behind the other."""
    for pair, found in groupby(sources, lambda source: source.pair):
        if pair:
            yield tuple(found)
        else:
            yield from ((source,) for source in found)


def _clips(
    checked: Checked, listing: Listing, told: Iterable[tuple[tuple[Source, ...], tuple[Finding, ...]]]
) -> Iterator[Clip]:
    for both, findings in told:
        if findings[0].misfit:
            checked.misfit = checked.misfit or f"{shown(both[0].path)}: {findings[0].misfit}"
            checked.misfits += 1
        if len(findings) == 2 and not findings[0].reason:
            checked.shifted += findings[0].start != findings[1].start
            checked.inverted += findings[0].is_inverted
        for source, finding in zip(both, findings, strict=True):
            if finding.reason:
                path = listing.place(source.root, source.path)
                checked.excluded.append(Unread(path, finding.reason, finding.detail))
            else:
                yield _clip(source, finding)


def _clip(source: Source, finding: Finding) -> Clip:
    return Clip(
        root=AUDIO_ROOT if finding.was_converted else source.root,
        path=_converted_path(source) if finding.was_converted else source.path,
        kind=source.kind,
        split=source.split,
        group=source.group,
        start=finding.start,
        frames=finding.frames,
        active_level_db=finding.active_level_db,
        peak=finding.peak,
        clipped_share=finding.clipped_share,
        sample_rate=finding.sample_rate,
        channels=finding.channels,
        audio_sha256=finding.audio_sha256,
        pair=source.pair,
        source=f"{source.root}/{source.path}" if finding.was_converted else "",
        offset=finding.offset,
        recording=source.recording,
    )


def _converted_path(source: Source) -> str:
    path = f"{source.root}/{source.path}"
    name = f"{os.path.basename(path)}.flac"
    if len(os.fsencode(name)) <= LONGEST_NAME:  # file systems end at 255 bytes, some before
        return f"{path}.flac"
    plain = PurePosixPath(path)
    digest = hashlib.sha256(os.fsencode(plain.name)).hexdigest()
    name = f"{os.fsdecode(os.fsencode(plain.stem)[: LONGEST_NAME // 2])}-{digest[:16]}.flac"
    return plain.with_name(name).as_posix()
