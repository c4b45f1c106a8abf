"""One file enhanced as a stream: read, cleaned and written block by block."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from torch import nn

from sedistill.audio.files import (
    AudioFileError,
    AudioInfo,
    probe,
    read_blocks,
    writable_coding,
    write_blocks,
)
from sedistill.audio.levels import SILENT_PEAK
from sedistill.audio.meters import LevelMeter
from sedistill.common.writing import atomic_path
from sedistill.inference.enhancing.arrays import UnusableSamples, enhanced, refuse_unusable
from sedistill.inference.enhancing.chunks import Block
from sedistill.inference.enhancing.enhancement_settings import Settings
from sedistill.inference.enhancing.inputs_and_outputs import Job

UNLIMITED_SUBTYPES = {"FLOAT", "DOUBLE"}
"""Codings that hold samples beyond full scale; in all others such samples are limited to it."""


@dataclass(frozen=True)
class Outcome:
    """What there is to say of a file that was enhanced.

    clipped: how many samples beyond full scale were limited to it. level_db: the active level that the
    network heard, of the loudest channel; None where there was nothing to hear, or no network.
    """

    clipped: int
    level_db: float | None


def enhance_file(
    network: nn.Module,
    job: Job,
    info: AudioInfo,
    settings: Settings,
    overwrite: bool,
    progress: Callable[[float, str], None],
) -> Outcome:
    """Enhance one file.

    progress: called with the seconds of sound that were read since the last time, and the file's name.
    """
    if probe(job.source) != info:  # it may have been some hours ago, with many files before this one
        raise AudioFileError(job.source, "was changed since the command began; enhance it again")
    noisy = _Heard(_finite_blocks(job.source, info, progress), info)
    format_name, subtype = output_coding(job, info)
    try:
        if settings.strength_db == 0 and (format_name, subtype) == (info.format, info.subtype):
            _copy(job, noisy, overwrite)
            return Outcome(0, None)
        clean = enhanced(
            network, noisy, info.sample_rate, info.channels, info.frames, settings, name=str(job.source)
        )
        limited = _Limited(clean, subtype)
        write_blocks(job.target, limited, info.sample_rate, subtype, info.channels, format_name, overwrite)
    except UnusableSamples as error:
        raise AudioFileError(job.source, error.reason) from None
    return Outcome(limited.clipped, noisy.level_db)


def output_coding(job: Job, info: AudioInfo) -> tuple[str, str]:
    """libsndfile's format and subtype: the source's, or where another suffix is asked for, the nearest."""
    is_two_files = info.format == "SD2"  # of which one would keep its temporary name
    if job.target.suffix == job.source.suffix and not is_two_files:
        return info.format, info.subtype
    format_name, usual_subtype = writable_coding(job.target)
    keeps_samples = info.subtype.startswith("PCM_") or info.subtype in UNLIMITED_SUBTYPES
    same_subtype = keeps_samples and soundfile.check_format(format_name, info.subtype)
    return format_name, info.subtype if same_subtype else usual_subtype


def _copy(job: Job, noisy: Iterable[Block], overwrite: bool) -> None:
    """The file as it is: written anew it might lose bits. Unusable samples are told as ever."""
    for _ in noisy:
        pass
    with atomic_path(job.target, overwrite) as temporary:
        shutil.copyfile(job.source, temporary)


class _Heard:
    """Blocks on their way to the network; `level_db` is how loud they were.

    Kept are the sums of a LevelMeter: 2.9 MB an hour of each channel.
    """

    def __init__(self, blocks: Iterable[Block], info: AudioInfo) -> None:
        self.blocks = blocks
        self.meters = [LevelMeter(info.sample_rate) for _ in range(info.channels)]

    def __iter__(self) -> Iterator[Block]:
        for block in self.blocks:
            for channel, meter in enumerate(self.meters):
                meter.add(block[:, channel])
            yield block

    @property
    def level_db(self) -> float | None:
        sounding = [meter for meter in self.meters if meter.highest - meter.lowest > 2 * SILENT_PEAK]
        return max((meter.active_level_db for meter in sounding), default=None)  # an offset is no sound


class _Limited:
    """Blocks kept within the full scale of a coding; `clipped` counts the samples that were beyond it."""

    def __init__(self, blocks: Iterable[Block], subtype: str) -> None:
        self.blocks, self.has_limit = blocks, subtype not in UNLIMITED_SUBTYPES
        self.clipped = 0

    def __iter__(self) -> Iterator[Block]:
        for block in self.blocks:
            if self.has_limit:
                self.clipped += int(np.count_nonzero(np.abs(block) > 1))
                block = np.clip(block, -1, 1)
            yield block


def _finite_blocks(path: Path, info: AudioInfo, progress: Callable[[float, str], None]) -> Iterator[Block]:
    """The file from start to end; raises AudioFileError where it breaks off, UnusableSamples at NaN."""
    done = 0
    for block in read_blocks(path):
        refuse_unusable(block, str(path), done)
        yield block
        done += len(block)
        progress(len(block) / info.sample_rate, path.name)
