"""A teacher's outputs on clips that come again, computed once and kept on disk."""

import errno
import hashlib
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

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
from sedistill.common.writing import flush, named_disk_errors, write_whole
from sedistill.common.yaml_files import yaml_text
from sedistill.data.examples import Key, split_key
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.set_files import place_of_teacher
from sedistill.models.eval_mode import on_device
from sedistill.teachers.foreign import Clips, InStep
from sedistill.teachers.in_rounds import rows_of_all
from sedistill.teachers.source import HEARD, CachedOutputs, TeacherSource, heard_in
from sedistill.teachers.threads import in_order

NAME, EARLIER, FACTS = "outputs.f32", "outputs.f16", "outputs.yaml"
BYTES_KEPT = np.dtype(np.float32).itemsize
"""For a sample."""


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
    """A teacher's raw outputs on some clips, kept as one float32 file and never used for anything else.

    The folder's name and its `outputs.yaml` hold the hashes of teacher and clips; the file's checksum and
    length are verified at every opening. An interrupted computation goes on where it stopped. Behind its
    output, each clip that is not of a fixed set has some samples of what the teacher heard (`heard_in`).
    """

    def __init__(self, folder: Path, clips: Clips, source: TeacherSource) -> None:
        self.clips, self.source = clips, source
        self.key = {"teacher_hash": source.hash, "set_hash": clips.hash, "clips": len(clips)}
        self.samples = _common_length(clips)
        self.is_made = not isinstance(clips, FixedSet)
        self.folder = place_of_teacher(folder, source.hash, clips.hash)
        self.path = self.folder / NAME

    @property
    def bytes(self) -> int:
        """Of the whole file."""
        return self._bytes(len(self.clips))

    @property
    def clips_missing(self) -> int:
        """Those that are still to be asked for, as the size of what is there has it."""
        there = self._unfinished.stat().st_size if is_taken(self._unfinished) else 0
        return len(self.clips) - there // self._bytes(1)

    @property
    def bytes_missing(self) -> int:
        """The room that they take."""
        return self._bytes(self.clips_missing)

    def open(self, device: str = "cpu", batch_size: int = 8) -> np.ndarray:
        """The outputs as a read-only memory map (clips, samples) in float32, computed first if need be.

        Of clips that are not of a fixed set each row goes on with `heard_in`. Raises NoPlaceError where there
        are none yet and nothing may be written.
        """
        if (there := self.whole()) is not None:  # so that not even a lock needs to be written
            return there
        self.take_place()
        with self._alone():  # two runs beside each other compute it once
            fault = self._fault()
            if fault is not None:
                if fault:
                    print(f"kept outputs in {self.folder}: {fault}; computing them again.")
                    self._forget()
                self._compute(device, batch_size)
        return self._mapped()

    def whole(self) -> np.ndarray | None:
        """What `open` gives, where it is there and can be trusted."""
        return self._mapped() if self._fault() is None else None

    def take_place(self) -> None:
        """Make the folder. Raises NoPlaceError where nothing may be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "lock").touch()
        except OSError as error:
            if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise NoPlaceError(f"{self.folder} cannot be written ({error.strerror})") from None
            with named_disk_errors(self.folder):
                raise

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
        shape = (len(self.clips), self._bytes(1) // BYTES_KEPT)
        return np.memmap(self.path, dtype=np.float32, mode="r", shape=shape)

    def _fault(self) -> str | None:
        """None when the file can be trusted; "" when there is none yet; else what is wrong with it."""
        card = self.folder / FACTS
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
        if not self.path.exists() and is_taken(self.folder / EARLIER):
            return "they are rounded to float16, as an earlier version kept them"
        if not self.path.exists() or self.path.stat().st_size != self.bytes:
            return "the file is incomplete"
        if written.get("checksum") != file_hash(self.path):
            return "the file was changed or damaged"
        return None

    def _forget(self) -> None:
        earlier = self.folder / EARLIER
        self._remove(self.folder / FACTS, self.path, self._unfinished, self._progress, earlier)

    def _remove(self, *paths: Path) -> None:
        for path in paths:
            if path.is_dir() and not path.is_symlink():
                raise UserError(f"{path} is a folder, not a file; take it away.")
            path.unlink(missing_ok=True)

    @property
    def _unfinished(self) -> Path:
        return self.folder / f"{NAME}.unfinished"

    @property
    def _progress(self) -> Path:
        """How many bytes of the unfinished file are done, and their hash."""
        return self.folder / f"{NAME}.progress"

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
            self.on(device),
            named_disk_errors(self._unfinished),
            self._unfinished.open("ab") as file,
            ProgressBar("teacher's outputs", len(self.clips), "clips", done) as bar,
        ):
            stop, missing = done, range(done, len(self.clips))
            size = 1 if isinstance(self.source.teacher, InStep) else batch_size
            for rows in rows_of_all(self.folder.name, partial(self.rows, device), missing, size):
                stop += len(rows)
                data = rows.tobytes()
                file.write(data)
                file.flush()
                digest.update(data)
                self._progress.write_text(f"{self._bytes(stop)} {digest.hexdigest()}", encoding="utf-8")
                bar.advance(len(rows))
        flush(self._unfinished)
        os.replace(self._unfinished, self.path)
        self._progress.unlink(missing_ok=True)
        card = {**self.key, "samples": self.samples, "checksum": digest.hexdigest()}
        write_whole(self.folder / FACTS, yaml_text(card))

    def rows(self, device: str, numbers: Sequence[int], batch_size: int) -> Iterator[NDArray[np.float32]]:
        """What is kept of these clips, (B, samples) at a time. Raises UserError for NaN and infinity."""
        for noisy, outputs in self.outputs(numbers, device, batch_size):
            if not np.isfinite(outputs).all():
                raise UserError(f"the teacher {self.source.name} gives NaN or infinite output.")
            rows = np.concatenate([outputs, heard_in(noisy)], axis=1) if self.is_made else outputs
            yield rows.astype(np.float32)

    def outputs(
        self, numbers: Sequence[int], device: str, batch_size: int = 8
    ) -> Generator[tuple[NDArray[np.float32], NDArray[np.float32]], None, None]:
        """Noisy clips and outputs, (B, T) each, of these clips: batches of a network, or one by one."""
        teacher, clips = self.source.teacher, self.clips
        if isinstance(teacher, InStep):
            for noisy, output in in_order(lambda i: teacher.of_clip(clips, i), numbers, usable_cores()):
                yield noisy[None], output[None]
            return
        made = in_order(clips.noisy, numbers, usable_cores())
        while batch := list(islice(made, batch_size)):
            noisy = np.stack(batch)
            yield noisy, self.source.raw(torch.from_numpy(noisy).to(device)).cpu().numpy()

    def on(self, device: str) -> AbstractContextManager[None]:
        """With the teacher on this device, where it is a network."""
        teacher = self.source.teacher
        return on_device(teacher, device) if isinstance(teacher, nn.Module) else nullcontext()

    def _bytes(self, clips: int) -> int:
        return clips * (self.samples + (HEARD if self.is_made else 0)) * BYTES_KEPT


class CachedOutputsDataset(torch.utils.data.Dataset):
    """Training examples that bring the estimates of teachers along, each (T,) by its name.

    cached: by name, the outputs for each of the epochs that come again, in order.
    """

    def __init__(self, dataset: Any, cached: Mapping[str, Sequence[CachedOutputs]]) -> None:
        self.dataset, self.cached = dataset, cached
        self.lengths, self.sample_rate = getattr(dataset, "lengths", None), dataset.sample_rate

    def __len__(self) -> int:
        return len(self.dataset)

    def origin(self, key: Key) -> str:
        """Where an example comes from, for messages."""
        return str(self.dataset.origin(key))

    def __getitem__(self, key: Key) -> dict[str, object]:
        example = self.dataset[key]
        epoch, index = split_key(key)
        estimates = {
            name: epochs[epoch % len(epochs)].of(index, example["noisy"])
            for name, epochs in self.cached.items()
        }
        return {**example, **estimates}


def _common_length(clips: Clips) -> int:
    lengths = np.unique(clips.lengths)
    if len(lengths) != 1:
        assert isinstance(clips, FixedSet)
        raise UserError(
            f"{clips.folder} holds clips of different lengths; a fixed training set needs equal ones: "
            "make it with `sedistill mix`."
        )
    return int(lengths[0])
