"""Which file becomes which: found out, and refused where it cannot be, before anything is written."""

from dataclasses import dataclass
from pathlib import Path

from sedistill.audio.files import SUFFIXES, writable_coding
from sedistill.audio.listing import AudioBelow, Unread, audio_below, none_found
from sedistill.common.errors import UserError
from sedistill.common.reading import require_folder
from sedistill.common.writing import refuse_existing
from sedistill.models.catalogue import read_catalogue
from sedistill.models.ready_made import is_ready_made, ready_made_names
from sedistill.models.saving import CARD


@dataclass(frozen=True)
class Job:
    """One file to enhance."""

    source: Path
    target: Path


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

    Raises UserError for missing and empty inputs, several into the name of one file, and name clashes.
    """
    if not inputs:
        raise UserError("nothing to enhance; name audio files or folders of them.")
    one_file = len(inputs) == 1 and inputs[0].is_file()
    if one_file and output.suffix and not output.is_dir():
        jobs, unread = [Job(inputs[0], output)], []
    else:
        found = [_audio_in(path, output) for path in inputs]
        if output.suffix.lower() in SUFFIXES and not output.is_dir():
            raise UserError(
                f"{output} is the name of one file; several files, or a folder of them, go into a folder: "
                f"name one, such as {output.with_suffix('')}-clean."
            )
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
