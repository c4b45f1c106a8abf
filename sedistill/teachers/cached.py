"""A teacher's outputs on a fixed set, computed once and kept on disk."""

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from sedistill.common.devices import usable_cores
from sedistill.common.errors import UserError
from sedistill.common.integrity import file_digest, file_hash
from sedistill.common.progress import ProgressBar
from sedistill.common.reading import is_taken, why_no_file
from sedistill.common.settings import Record, read_record
from sedistill.common.writing import atomic_path, flush, named_disk_errors
from sedistill.common.yaml_files import yaml_text
from sedistill.data.examples import FixedDataset
from sedistill.data.fixed_sets import FixedSet
from sedistill.models.eval_mode import on_device
from sedistill.teachers.foreign import InStep
from sedistill.teachers.source import CachedOutputs, TeacherSource
from sedistill.teachers.threads import in_order

KEPT = "teacher-outputs"
"""In a set's folder, what is known of teachers on it, where a recipe names no other place."""


class NoPlaceError(UserError):
    """A teacher's outputs cannot be kept where they should be, because nothing may be written there."""


class _Outputs(Record):
    """What outputs.yaml has to hold."""

    teacher_hash: str
    set_hash: str
    clips: Annotated[int, Field(ge=1)]
    samples: Annotated[int, Field(ge=1)]
    checksum: str


class OutputCache:
    """A teacher's raw outputs on a fixed set, kept as one float16 file and never used for anything else.

    The folder's name and its `outputs.yaml` hold the hashes of teacher and set; the file's checksum and
    length are verified at every opening. An interrupted computation goes on where it stopped.
    """

    def __init__(self, folder: Path, dataset: FixedSet, source: TeacherSource) -> None:
        self.dataset, self.source = dataset, source
        self.key = {"teacher_hash": source.hash, "set_hash": dataset.hash, "clips": len(dataset)}
        self.samples = _common_length(dataset)
        self.folder = folder / f"teacher-{source.hash[:12]}-set-{dataset.hash[:12]}"
        self.path = self.folder / "outputs.f16"

    def open(self, device: str = "cpu", batch_size: int = 8) -> np.ndarray:
        """The outputs as a read-only memory map (clips, samples) in float16, computed first if need be.

        Raises NoPlaceError where there are none yet and nothing may be written.
        """
        if self._fault() is None:  # whole, so that not even a lock needs to be written
            return self._mapped()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "lock").touch()
        except OSError as error:
            if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise NoPlaceError(f"{self.folder} cannot be written ({error.strerror})") from None
            with named_disk_errors(self.folder):
                raise
        with self._alone():  # two runs beside each other compute it once
            fault = self._fault()
            if fault is not None:
                if fault:
                    print(f"kept outputs in {self.folder}: {fault}; computing them again.")
                    self._forget()
                self._compute(device, batch_size)
        return self._mapped()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else computes these outputs meanwhile; where somebody does, that is said and waited for."""
        lock = FileLock(self.folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(
                f"kept outputs in {self.folder}: another command computes them; waiting for it.",
                flush=True,
            )
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _mapped(self) -> np.ndarray:
        shape = (len(self.dataset), self.samples)
        return np.memmap(self.path, dtype=np.float16, mode="r", shape=shape)

    def _fault(self) -> str | None:
        """None when the file can be trusted; "" when there is none yet; else what is wrong with it."""
        card = self.folder / "outputs.yaml"
        if not is_taken(card):
            return ""
        for path in (card, self.path):
            if is_taken(path) and (fault := why_no_file(path)):
                return f"{path.name} {fault}"
        try:
            written = read_record(_Outputs, card, "delete it, and the outputs are computed again")
        except UserError:
            return f"{card.name} is damaged"
        if any(written.get(name) != value for name, value in self.key.items()):
            return "they belong to another teacher or another set"
        if not self.path.exists() or self.path.stat().st_size != self._bytes(len(self.dataset)):
            return "the file is incomplete"
        if written.get("checksum") != file_hash(self.path):
            return "the file was changed or damaged"
        return None

    def _forget(self) -> None:
        self._remove(self.folder / "outputs.yaml", self.path, self._unfinished, self._progress)

    def _remove(self, *paths: Path) -> None:
        for path in paths:
            if path.is_dir() and not path.is_symlink():
                raise UserError(f"{path} is a folder, not a file; take it away.")
            path.unlink(missing_ok=True)

    @property
    def _unfinished(self) -> Path:
        return self.folder / "outputs.f16.unfinished"

    @property
    def _progress(self) -> Path:
        """How many bytes of the unfinished file are done, and their hash."""
        return self.folder / "outputs.f16.progress"

    def _done(self) -> int:
        """Clips of an interrupted computation that are there, as they were written; 0 starts afresh."""
        if any(map(why_no_file, (self._progress, self._unfinished))):
            return 0
        try:
            size, written = self._progress.read_text(encoding="utf-8").split()
            os.truncate(self._unfinished, int(size))
            sound = file_hash(self._unfinished) == written and self._unfinished.stat().st_size == int(size)
            return int(size) // self._bytes(1) if sound else 0
        except (OSError, ValueError):
            return 0

    def _compute(self, device: str, batch_size: int) -> None:
        done = self._done()
        if not done:
            self._remove(self._unfinished, self._progress)
        digest = file_digest(self._unfinished) if done else hashlib.sha256()
        with (
            self._on(device),
            named_disk_errors(self._unfinished),
            self._unfinished.open("ab") as file,
            ProgressBar("teacher's outputs", len(self.dataset), "clips", done) as bar,
        ):
            stop = done
            for outputs in self._outputs(done, device, batch_size):
                stop += len(outputs)
                if not np.isfinite(outputs).all() or np.abs(outputs).max() > np.finfo(np.float16).max:
                    raise UserError(f"the teacher {self.source.name} gives NaN or infinite output.")
                data = outputs.astype(np.float16).tobytes()
                file.write(data)
                file.flush()
                digest.update(data)
                self._progress.write_text(f"{self._bytes(stop)} {digest.hexdigest()}", encoding="utf-8")
                bar.advance(len(outputs))
        flush(self._unfinished)
        os.replace(self._unfinished, self.path)
        self._progress.unlink(missing_ok=True)
        with atomic_path(self.folder / "outputs.yaml") as temporary:
            card = {**self.key, "samples": self.samples, "checksum": digest.hexdigest()}
            temporary.write_text(yaml_text(card), encoding="utf-8")

    def _outputs(self, first: int, device: str, batch_size: int) -> Iterator[NDArray[np.float32]]:
        """(B, T) from clip `first` on: batches of a network, or single clips on every core."""
        teacher, clips = self.source.teacher, self.dataset
        if isinstance(teacher, InStep):
            for output in in_order(partial(teacher.of_clip, clips), range(first, len(clips)), usable_cores()):
                yield output[None]
            return
        for start in range(first, len(clips), batch_size):
            noisy = np.stack([clips[i][0] for i in range(start, min(start + batch_size, len(clips)))])
            yield self.source.raw(torch.from_numpy(noisy).to(device)).cpu().numpy()

    def _on(self, device: str) -> AbstractContextManager[None]:
        teacher = self.source.teacher
        return on_device(teacher, device) if isinstance(teacher, nn.Module) else nullcontext()

    def _bytes(self, clips: int) -> int:
        return clips * self.samples * np.dtype(np.float16).itemsize


class CachedOutputsDataset(torch.utils.data.Dataset):
    """A fixed training set whose examples bring the estimates of teachers along, each (T,) by its name."""

    def __init__(self, dataset: FixedDataset, cached: Mapping[str, CachedOutputs]) -> None:
        self.dataset, self.cached = dataset, cached
        self.lengths, self.sample_rate = dataset.lengths, dataset.sample_rate

    def __len__(self) -> int:
        return len(self.dataset)

    def origin(self, key: tuple[int, int]) -> str:
        """Where an example comes from, for messages."""
        return self.dataset.origin(key)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, object]:
        example = self.dataset[key]
        return {**example, **{name: one[example["index"]] for name, one in self.cached.items()}}


def _common_length(dataset: FixedSet) -> int:
    lengths = np.unique(dataset.lengths)
    if len(lengths) != 1:
        raise UserError(
            f"{dataset.folder} holds clips of different lengths; a fixed training set needs equal ones: "
            "make it with `sedistill mix`."
        )
    return int(lengths[0])
