"""Enhance files and folders of them: what goes in comes out, with the noise gone and nothing else changed."""

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
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
from sedistill.audio.listing import AudioBelow, Unread, audio_below, none_found, told
from sedistill.common.devices import choose_device, keeping_torch_state, limit_threads
from sedistill.common.errors import UserError
from sedistill.common.progress import ProgressBar
from sedistill.common.reading import require_folder
from sedistill.common.wording import counted
from sedistill.common.writing import atomic_path, refuse_existing, refuse_impossible, refuse_inside
from sedistill.inference.enhancing.arrays import (
    UnusableSamples,
    enhanced,
    level_factor,
    rate_of,
    refuse_not_finite,
)
from sedistill.inference.enhancing.chunks import Block
from sedistill.inference.enhancing.strength import remaining_share
from sedistill.models.catalogue import read_catalogue
from sedistill.models.ready_made import is_ready_made, ready_made_names, saved_folder
from sedistill.models.saving import CARD, load_model

UNLIMITED_SUBTYPES = {"FLOAT", "DOUBLE"}
"""Codings that hold samples beyond full scale; in all others such samples are limited to it."""


@dataclass(frozen=True)
class Job:
    """One file to enhance."""

    source: Path
    target: Path


@keeping_torch_state()
def enhance_files(
    model: Path | str,
    inputs: Sequence[Path | str],
    output: Path | str,
    device: str = "auto",
    correct_level: bool = True,
    overwrite: bool = False,
    opened: nn.Module | None = None,
    strength_db: float | None = None,
) -> list[Path]:
    """Enhance audio files, and all audio files in folders, with a saved model.

    Any format libsndfile reads, any rate, channels and length; each channel is enhanced by itself. The
    enhanced file has the rate, channels, length, sample format, level and alignment of its source. Memory
    does not grow with the length.

    Args:
        model: folder of a saved model, or the name of a ready-made one.
        inputs: files and folders; folders are searched through, their structure is kept.
        output: a file name with an audio suffix for one input file, else a folder.
        device: "cpu", "cuda" or "auto" (cuda where there is one).
        correct_level: multiply by the model's measured factor onto clean speech.
        overwrite: replace files that are there already.
        opened: the network in `model`, where that is none of the above, such as an exported file.
        strength_db: by how much noise may be lowered at most, as in `sedistill.enhance`; at 0 a file is
            copied, unless another format is asked for.

    Returns the files written, and prints what was done, and of every other file in the folders why it is none
    to enhance. A file that cannot be read, or has NaN in it, is
    reported and left out, and at the end UserError says so. Raises UserError at once, before anything is
    written, for a missing input, an output that exists or is the input, and a folder that is no saved model.
    """
    remaining_share(strength_db, correct_level)
    refuse_impossible(Path(output))
    refuse_inside(Path(output), [saved_folder(model)], replaced=False)
    refuse_models_among([Path(path) for path in inputs])
    jobs, unread = plan([Path(path) for path in inputs], Path(output))
    refuse_targets(jobs, overwrite)
    limit_threads()
    network = load_model(model, choose_device(device)) if opened is None else opened
    failures = Failures(len(jobs))
    infos = probe_all(jobs, failures)
    notes = Notes()
    total_seconds = round(sum(info.seconds for info in infos.values()))
    with ProgressBar("enhancing", max(total_seconds, 1), "s of audio") as bar:
        seconds = SecondsCounter(bar)
        for job, info in infos.items():
            try:
                clipped = enhance_file(network, job, info, correct_level, seconds, overwrite, strength_db)
                notes.add(job, info, clipped)
            except AudioFileError as error:
                failures.add(error)
    if notes.files:
        print(notes.text(network, Path(model), Path(output), correct_level, strength_db))
    for line in told(unread):
        print(line)
    failures.raise_if_any()
    return [job.target for job in infos]


def refuse_models_among(inputs: list[Path]) -> None:
    """Raise UserError where a network stands among the files to enhance, as the first of them used to be."""
    for path in inputs:
        saved = [path, path / "student", *sorted(path.glob("seed-*/student"))]
        folder = next((one for one in saved if (one / CARD).is_file()), None)
        if folder is not None or is_ready_made(path):
            raise UserError(f"{path} is a network, not audio; name it as --model {folder or path}.")
        if not path.exists() and str(path) in {one["preset"] for one in read_catalogue()}:
            known = ", ".join(ready_made_names())
            raise UserError(
                f"{path} is a network without weights, not audio: train it first (`student: {path}` in a "
                f"recipe), or choose a ready-made one with --model: {known or 'this installation has none'}."
            )


def plan(inputs: list[Path], output: Path) -> tuple[list[Job], list[Unread]]:
    """Which file becomes which, and which files of folders are none to enhance.

    Raises UserError for missing and empty inputs and for name clashes.
    """
    if not inputs:
        raise UserError("nothing to enhance; name audio files or folders of them.")
    one_file = len(inputs) == 1 and inputs[0].is_file()
    if one_file and output.suffix and not output.is_dir():
        jobs, unread = [Job(inputs[0], output)], []
    else:
        found = [_audio_in(path, output) for path in inputs]
        jobs = [Job(one.folder / file, output / file) for one in found for file in one.files]
        unread = [other for one in found for other in one.unread]
    _refuse_clashes(jobs)
    return jobs, unread


def _audio_in(path: Path, output: Path) -> AudioBelow:
    """The audio files of an input, which is one itself or a folder of them."""
    if path.is_file():
        return AudioBelow(path.parent, [Path(path.name)])
    require_folder(path, "name an audio file or a folder of them")
    if output.resolve().is_relative_to(path.resolve()):
        raise UserError(f"the output {output} lies inside the input {path}; choose a place outside of it.")
    found = audio_below(path)
    if not found.files:
        raise none_found(found)
    return found


def _refuse_clashes(jobs: list[Job]) -> None:
    sources = {job.source.resolve() for job in jobs}
    by_target: dict[Path, Path] = {}
    for job in jobs:
        target = job.target.resolve()
        if target in sources:
            raise UserError(f"the output {job.target} is an input; choose another place.")
        if target in by_target:
            raise UserError(f"{by_target[target]} and {job.source} would both become {job.target}.")
        by_target[target] = job.source


def refuse_targets(jobs: list[Job], overwrite: bool) -> None:
    """Raise UserError for an output that exists (unless `overwrite`) or has no audio suffix."""
    for job in jobs:
        if job.target.suffix != job.source.suffix:
            writable_coding(job.target)
        if job.target.is_dir():
            raise UserError(f"{job.target} is a folder; give the output another name.")
        refuse_existing(job.target, overwrite)


class Failures:
    """Files that could not be enhanced: said at once among many, and in one sentence at the end."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.errors: list[AudioFileError] = []

    def add(self, error: AudioFileError) -> None:
        self.errors.append(error)
        if self.total > 1:
            print(f"left out: {error}", file=sys.stderr)

    def raise_if_any(self) -> None:
        if self.total == 1 and self.errors:
            raise self.errors[0]
        if self.errors:
            count = f"{len(self.errors)} of {self.total} files"
            raise UserError(f"{count} could not be enhanced; the first is {self.errors[0]}")


def probe_all(jobs: list[Job], failures: Failures) -> dict[Job, AudioInfo]:
    """The headers of all files that can be read."""
    infos = {}
    for job in jobs:
        try:
            infos[job] = probe(job.source)
        except AudioFileError as error:
            failures.add(error)
    return infos


class SecondsCounter:
    """Advances a bar of whole seconds by fractions of them."""

    def __init__(self, bar: ProgressBar) -> None:
        self.bar, self.seconds = bar, 0.0

    def add(self, seconds: float, note: str) -> None:
        self.seconds += seconds
        self.bar.advance(int(self.seconds) - self.bar.done, note)


def enhance_file(
    network: nn.Module,
    job: Job,
    info: AudioInfo,
    correct_level: bool,
    seconds: SecondsCounter,
    overwrite: bool,
    strength_db: float | None = None,
) -> int:
    """Enhance one file as a stream; returns how many samples beyond full scale were limited to it."""
    noisy = _finite_blocks(job.source, info, seconds)
    format_name, subtype = output_coding(job, info)
    if strength_db == 0 and (format_name, subtype) == (info.format, info.subtype):
        return _copied(job, noisy, overwrite)
    clean = enhanced(
        network, noisy, info.sample_rate, info.channels, info.frames, correct_level,
        name=str(job.source), strength_db=strength_db,
    )  # fmt: skip
    limited = _Limited(clean, subtype)
    try:
        write_blocks(job.target, limited, info.sample_rate, subtype, info.channels, format_name, overwrite)
    except UnusableSamples as error:
        raise AudioFileError(job.source, error.reason) from None
    return limited.clipped


def _copied(job: Job, noisy: Iterator[Block], overwrite: bool) -> int:
    """The file as it is: written anew it might lose bits. Unusable samples are told as ever."""
    try:
        for _ in noisy:
            pass
    except UnusableSamples as error:
        raise AudioFileError(job.source, error.reason) from None
    with atomic_path(job.target, overwrite) as temporary:
        shutil.copyfile(job.source, temporary)
    return 0


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


def output_coding(job: Job, info: AudioInfo) -> tuple[str, str]:
    """libsndfile's format and subtype: the source's, or where another suffix is asked for, the nearest."""
    is_two_files = info.format == "SD2"  # of which one would keep its temporary name
    if job.target.suffix == job.source.suffix and not is_two_files:
        return info.format, info.subtype
    format_name, usual_subtype = writable_coding(job.target)
    keeps_samples = info.subtype.startswith("PCM_") or info.subtype in UNLIMITED_SUBTYPES
    same_subtype = keeps_samples and soundfile.check_format(format_name, info.subtype)
    return format_name, info.subtype if same_subtype else usual_subtype


def _finite_blocks(path: Path, info: AudioInfo, seconds: SecondsCounter) -> Iterator[Block]:
    """The file from start to end; raises AudioFileError where it breaks off, UnusableSamples at NaN."""
    done = 0
    for block in read_blocks(path):
        refuse_not_finite(block, str(path), done)
        yield block
        done += len(block)
        seconds.add(len(block) / info.sample_rate, path.name)


class Notes:
    """What a user should know about the files written."""

    def __init__(self) -> None:
        self.files, self.seconds = 0, 0.0
        self.clipped: dict[str, int] = {}
        self.rates: set[int] = set()

    def add(self, job: Job, info: AudioInfo, clipped: int) -> None:
        self.files += 1
        self.seconds += info.seconds
        self.rates.add(info.sample_rate)
        if clipped:
            self.clipped[str(job.target)] = clipped

    def text(
        self, network: nn.Module, model: Path, output: Path, correct_level: bool, strength_db: float | None
    ) -> str:
        files = counted(self.files, "file")
        lines = [f"{files}, {self.seconds:.1f} s of audio, enhanced by {model} into {output}."]
        lines.append(level_text(network, correct_level))
        if strength_db is not None:
            lines.append(f"Noise was lowered by {strength_db:g} dB at most.")
        model_rate = rate_of(network)
        higher = sorted(rate for rate in self.rates if rate > model_rate)
        if higher and not remaining_share(strength_db):
            rates = ", ".join(f"{rate} Hz" for rate in higher)
            lines.append(
                f"Of files at {rates} nothing above {model_rate // 2} Hz is kept: such is the model's rate."
            )
        for name, count in self.clipped.items():
            lines.append(f"{name}: {count} samples went beyond full scale and were limited to it.")
        return "\n".join(lines)


def level_text(network: nn.Module, correct_level: bool) -> str:
    """One sentence about the level correction: whether it was applied, and its factor."""
    factor = level_factor(network)
    state, done = ("on", "multiplied") if correct_level else ("off", "not multiplied")
    sign = "; negative: the network inverts the signal" if factor < 0 else ""
    return f"Level correction {state}: output {done} by {factor:.4g}, the factor in the model's card{sign}."
