"""Enhance files and folders of them: what goes in comes out, with the noise gone and nothing else changed."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

import torch
from torch import nn

from sedistill.audio.files import AudioFileError, AudioInfo, probe
from sedistill.audio.listing import told
from sedistill.common.argument_checks import check_list
from sedistill.common.devices import choose_device, keeping_torch_state, limit_threads, usable_cores
from sedistill.common.errors import UserError
from sedistill.common.progress import ProgressBar
from sedistill.common.wording import counted
from sedistill.common.writing import make_folders, named_disk_errors, refuse_impossible, refuse_inside
from sedistill.inference.enhancing.enhancement_settings import Settings
from sedistill.inference.enhancing.inputs_and_outputs import Job, plan, refuse_models_among, refuse_targets
from sedistill.inference.enhancing.notes import Notes, planned_text
from sedistill.inference.enhancing.one_file import Outcome, enhance_file
from sedistill.models.ready_made import saved_folder
from sedistill.models.saving import load_model

SHOWN_EVERY_SECONDS = 0.2


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
    whole_band: bool = False,
    workers: int | None = None,
    dry: bool = False,
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
        whole_band: keep what lies above half the model's rate, as in `sedistill.enhance`.
        workers: how many files at a time; None is one a core.
        dry: say what would be done, and write nothing.

    Returns the files written, and prints what was done, and of every other file in the folders why it is none
    to enhance. A file that cannot be read, or has NaN in it, is
    reported and left out, and at the end UserError says so. Raises UserError at once, before anything is
    written, for a missing input, an output that exists or is the input, and a folder that is no saved model.
    """
    check_list("inputs", inputs)
    settings = Settings(correct_level, strength_db, whole_band)
    if workers is not None and workers < 1:
        raise UserError(f"workers = {workers}: give how many files to enhance at a time, from 1.")
    refuse_impossible(Path(output))
    refuse_inside(Path(output), [saved_folder(model)], replaced=False)
    refuse_models_among([Path(path) for path in inputs])
    jobs, unread = plan([Path(path) for path in inputs], Path(output))
    refuse_targets(jobs, overwrite)
    limit_threads()
    network = load_model(model, choose_device(device)) if opened is None else opened
    failures, notes = Failures(len(jobs)), Notes()
    infos = probe_all(jobs, failures)
    if dry:
        for job, info in infos.items():
            print(planned_text(job, info))
            notes.add(job, info)
    else:
        at_work = _AtWork(network, settings, overwrite)
        for job, outcome in at_work.through(infos, workers or usable_cores(), failures).items():
            notes.add(job, infos[job], outcome)
    if notes.files:
        print(notes.text(network, str(model), Path(output), settings, dry))
    for line in told(unread):
        print(line)
    if dry:
        print("Nothing was written.")
    failures.raise_if_any()
    return [job.target for job in infos]


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
            raise UserError(f"{count} could not be enhanced; the first: {self.errors[0]}")


def probe_all(jobs: list[Job], failures: Failures) -> dict[Job, AudioInfo]:
    """The headers of all files that can be read."""
    infos = {}
    for job in jobs:
        try:
            infos[job] = probe(job.source)
        except AudioFileError as error:
            failures.add(error)
    return infos


class _AtWork:
    """Several files at a time, a thread each: torch, onnxruntime, soxr and libsndfile work beside each other.

    So the network is in memory once, and no process has to begin.
    """

    def __init__(self, network: nn.Module, settings: Settings, overwrite: bool) -> None:
        self.network, self.settings, self.overwrite = network, settings, overwrite
        self._lock, self._seconds, self._name, self._stopped = Lock(), 0.0, "", False

    def through(self, infos: dict[Job, AudioInfo], workers: int, failures: Failures) -> dict[Job, Outcome]:
        """The files that were enhanced, and what there is to say of each."""
        workers = max(1, min(workers, len(infos)))
        torch.set_num_threads(max(1, torch.get_num_threads() // workers))
        total = max(round(sum(info.seconds for info in infos.values())), 1)
        futures: dict[Job, Future[Outcome]] = {}
        try:
            with (
                _folders_of(infos),
                ProgressBar("enhancing", total, "s of audio") as bar,
                ThreadPoolExecutor(workers) as pool,
            ):
                futures |= {job: pool.submit(self._enhance, job, info) for job, info in infos.items()}
                return self._results(futures, bar, pool, failures)
        except KeyboardInterrupt:  # by now nobody writes any more
            if not (written := sum(map(_is_written, futures.values()))):
                raise
            whole = f"{written} of {counted(len(futures), 'file')} written, and whole"
            raise KeyboardInterrupt(f"{whole}; say --overwrite to begin again") from None

    def _results(
        self,
        futures: "dict[Job, Future[Outcome]]",
        bar: ProgressBar,
        pool: ThreadPoolExecutor,
        failures: Failures,
    ) -> dict[Job, Outcome]:
        try:
            outcomes = {}
            for job, future in futures.items():
                try:
                    outcomes[job] = self._result(future, bar)
                except AudioFileError as error:
                    failures.add(error)
            return outcomes
        except BaseException:  # Ctrl-C, or a fault that is no file's own: nothing more is begun
            self._stopped = True
            pool.shutdown(wait=False, cancel_futures=True)
            raise

    def _enhance(self, job: Job, info: AudioInfo) -> Outcome:
        return enhance_file(self.network, job, info, self.settings, self.overwrite, self._read)

    def _read(self, seconds: float, name: str) -> None:
        if self._stopped:
            raise _Stopped
        with self._lock:
            self._seconds, self._name = self._seconds + seconds, name

    def _result(self, future: "Future[Outcome]", bar: ProgressBar) -> Outcome:
        while True:
            is_done = bool(wait([future], SHOWN_EVERY_SECONDS).done)
            bar.advance(int(self._seconds) - bar.done, self._name)
            if is_done:
                return future.result()


def _is_written(future: "Future[Outcome]") -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


class _Stopped(BaseException):
    """Ends a file halfway, and leaves nothing of it; nobody asks for its result."""


@contextmanager
def _folders_of(jobs: Iterable[Job]) -> Iterator[None]:
    """The outputs' folders, made first: no thread whose file fails removes one that another begins in."""
    made: list[Path] = []
    try:
        for job in jobs:
            with named_disk_errors(job.target):
                made += make_folders(job.target.parent)
        yield
    finally:
        for folder in reversed(made):
            with suppress(OSError):  # something is in it
                folder.rmdir()
