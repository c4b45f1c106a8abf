"""Where a teacher's output comes from: a frozen network, or its outputs kept on disk.

Both give the estimate at the level of the clean speech: a network trained with SI-SNR is free in level and
even in sign, spectrogram losses are not, so its measured factor onto clean is applied (unless switched off).
"""

import errno
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from filelock import FileLock
from pydantic import Field
from torch import Tensor, nn

from sedistill.data.batches import FixedDataset
from sedistill.data.fixed_sets import FixedSet
from sedistill.errors import UserError
from sedistill.integrity import file_digest, file_hash
from sedistill.models.modes import on_device
from sedistill.models.saving import load_model, model_hash
from sedistill.progress import ProgressBar
from sedistill.reading import is_taken, why_no_file
from sedistill.settings import Record, read_record
from sedistill.writing import atomic_path, flush, named_disk_errors
from sedistill.yaml_files import yaml_text

LEVEL_WARNING = 0.10  # a factor further than this from 1, or a negative one, is worth a word


class Teacher:
    """A saved model, frozen, in eval mode and float32: noisy (B, T) -> estimate (B, T), without gradient.

    Raises UserError when the model is for another sample rate or not a saved model.
    """

    def __init__(self, folder: Path, sample_rate: int, correct_level: bool = True) -> None:
        self.folder = folder
        self.network: nn.Module = load_model(folder).eval().requires_grad_(False)
        if self.network.sample_rate != sample_rate:
            raise UserError(
                f"the teacher {folder} is for {self.network.sample_rate} Hz but the data have "
                f"{sample_rate} Hz; prepare the data at the teacher's rate or choose another teacher."
            )
        for name, weight in self.network.state_dict().items():
            if not bool(weight.isfinite().all()):
                raise UserError(
                    f"the teacher {folder} cannot teach: its weight {name} is not finite; train it again or "
                    "name another one."
                )
        self.factor = float(self.network.output_gain) if correct_level else 1.0
        self.hash = model_hash(self.network)

    @torch.no_grad()
    def raw(self, noisy: Tensor) -> Tensor:
        """The network's own output, (B, T) -> (B, T), before the factor.

        In float32 whatever autocast the caller is in, so that a live teacher gives what a kept one gave.
        """
        with torch.autocast(noisy.device.type, enabled=False):
            return self.network(noisy.float()).float()

    def __call__(self, noisy: Tensor) -> Tensor:
        return self.factor * self.raw(noisy)


@dataclass(frozen=True)
class LevelFactor:
    """A network's best factor onto clean speech, over the clips of a set.

    For one clip it is <estimate, clean> / <estimate, estimate>, both without their means, which minimises
    |factor * estimate - clean|^2 around its mean. `factor` is the median over clips, `low` and `high` are the
    5 % and 95 % quantiles.
    """

    factor: float
    low: float
    high: float


def level_warning(factor: float) -> str | None:
    """A sentence when a network's level or sign is off, else None."""
    if factor < 0:
        return (
            f"the network's output is inverted (best factor onto clean {factor:.2f}); "
            "the factor is kept in its card and applied."
        )
    if abs(factor - 1) > LEVEL_WARNING:
        loudness = "loud" if factor < 1 else "quiet"
        return (
            f"the network's output is {1 / factor:.2f} times the clean level, too {loudness} "
            f"(best factor {factor:.2f}); the factor is kept in its card and applied."
        )
    return None


def level_factors(estimate: Tensor, clean: Tensor) -> Tensor:
    """The best factor of every clip, (B, T) and (B, T) -> (B,); NaN where the estimate is silent.

    Raises ValueError for waveforms that are not finite, which would pass for silent ones.
    """
    if not (estimate.isfinite().all() and clean.isfinite().all()):
        raise ValueError("the estimate or the clean speech is not finite")
    estimate, clean = estimate.double(), clean.double()
    sound, speech = (side - side.mean(dim=1, keepdim=True) for side in (estimate, clean))
    energy = sound.square().sum(dim=1)
    rounding = 1e-24 * estimate.square().sum(dim=1)  # what is left of a constant
    return torch.where(energy > rounding, (sound * speech).sum(dim=1) / energy, torch.nan)


def summarise_factors(factors: Tensor) -> LevelFactor:
    """Median and spread over clips; a network that is silent everywhere has factor 1."""
    known = factors[factors.isfinite() & (factors != 0)]  # 0 where the clean speech is silent
    if len(known) == 0:
        return LevelFactor(1.0, 1.0, 1.0)
    quantiles = torch.quantile(known, torch.tensor([0.5, 0.05, 0.95], dtype=known.dtype))
    return LevelFactor(*(float(q) for q in quantiles))


class NoPlaceError(UserError):
    """A teacher's outputs cannot be kept where they should be, because nothing may be written there."""


class _Outputs(Record):
    """What outputs.yaml has to hold."""

    teacher_hash: str
    set_hash: str
    clips: Annotated[int, Field(ge=1)]
    samples: Annotated[int, Field(ge=1)]
    checksum: str


class TeacherOutputs:
    """A teacher's raw outputs on a fixed set, kept as one float16 file and never used for anything else.

    The folder's name and its `outputs.yaml` hold the hashes of teacher and set; the file's checksum and
    length are verified at every opening. An interrupted computation goes on where it stopped.
    """

    def __init__(self, folder: Path, dataset: FixedSet, teacher: Teacher) -> None:
        self.dataset, self.teacher = dataset, teacher
        self.key = {"teacher_hash": teacher.hash, "set_hash": dataset.hash, "clips": len(dataset)}
        self.samples = _common_length(dataset)
        self.folder = folder / f"teacher-{teacher.hash[:12]}-set-{dataset.hash[:12]}"
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
        with FileLock(self.folder / "lock"):  # two runs beside each other compute it once
            fault = self._fault()
            if fault is not None:
                if fault:
                    print(f"teacher outputs in {self.folder}: {fault}; computing them again.")
                    self._forget()
                self._compute(device, batch_size)
        return self._mapped()

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
            on_device(self.teacher.network, device),
            named_disk_errors(self._unfinished),
            self._unfinished.open("ab") as file,
            ProgressBar("teacher outputs", len(self.dataset), "clips", done) as bar,
        ):
            for start in range(done, len(self.dataset), batch_size):
                stop = min(start + batch_size, len(self.dataset))
                noisy = np.stack([self.dataset[i][0] for i in range(start, stop)])
                outputs = self.teacher.raw(torch.from_numpy(noisy).to(device)).cpu().numpy()
                if not np.isfinite(outputs).all() or np.abs(outputs).max() > np.finfo(np.float16).max:
                    raise UserError(f"the teacher {self.teacher.folder} gives NaN or infinite output.")
                data = outputs.astype(np.float16).tobytes()
                file.write(data)
                file.flush()
                digest.update(data)
                self._progress.write_text(f"{self._bytes(stop)} {digest.hexdigest()}", encoding="utf-8")
                bar.advance(stop - start)
        flush(self._unfinished)
        os.replace(self._unfinished, self.path)
        self._progress.unlink(missing_ok=True)
        with atomic_path(self.folder / "outputs.yaml") as temporary:
            card = {**self.key, "samples": self.samples, "checksum": digest.hexdigest()}
            temporary.write_text(yaml_text(card), encoding="utf-8")

    def _bytes(self, clips: int) -> int:
        return clips * self.samples * np.dtype(np.float16).itemsize


@dataclass(frozen=True)
class KeptEstimates:
    """A teacher's estimates at the clean level, from its kept raw outputs (clips, samples) and its factor."""

    outputs: np.ndarray
    factor: float

    def __getitem__(self, index: int) -> np.ndarray:
        return np.float32(self.factor) * self.outputs[index].astype(np.float32)


class WithTeachers(torch.utils.data.Dataset):
    """A fixed training set whose examples bring teachers' estimates along.

    "teacher" is that of the one teacher, (T,); "band_teachers" those of one teacher for each band, (N, T).
    """

    def __init__(
        self,
        dataset: FixedDataset,
        teacher: KeptEstimates | None,
        band_teachers: Sequence[KeptEstimates] = (),
    ) -> None:
        self.dataset, self.teacher, self.band_teachers = dataset, teacher, band_teachers
        self.lengths, self.sample_rate = dataset.lengths, dataset.sample_rate

    def __len__(self) -> int:
        return len(self.dataset)

    def origin(self, key: tuple[int, int]) -> str:
        """Where an example comes from, for messages."""
        return self.dataset.origin(key)

    def __getitem__(self, key: tuple[int, int]) -> Mapping[str, object]:
        example = dict(self.dataset[key])
        if self.teacher is not None:
            example["teacher"] = self.teacher[example["index"]]
        if self.band_teachers:
            example["band_teachers"] = np.stack([one[example["index"]] for one in self.band_teachers])
        return example


def stacked(teachers: Sequence[Teacher]) -> Callable[[Tensor], Tensor]:
    """Several teachers as one: noisy (B, T) -> estimates (B, N, T)."""
    return lambda noisy: torch.stack([teacher(noisy) for teacher in teachers], dim=1)


@torch.no_grad()
def measure_level_factor(
    network: nn.Module, dataset: FixedSet, device: str, clips: int | None = None
) -> LevelFactor:
    """The factor of `network`, in its mode, onto clean speech over the first `clips` of a set, or all.

    Raises UserError for a network that gives NaN or infinite samples.
    """
    factors = []
    for index in range(min(clips or len(dataset), len(dataset))):
        noisy, clean = (torch.from_numpy(side)[None] for side in dataset[index])
        estimate = network(noisy.to(device)).float().cpu()
        if not estimate.isfinite().all():
            clip = dataset.folder / "noisy" / dataset.name(index)
            raise UserError(
                f"the network gives NaN or infinite samples for {clip}; "
                "its weights are damaged or its training diverged."
            )
        factors.append(level_factors(estimate, clean))
    return summarise_factors(torch.cat(factors))


def _common_length(dataset: FixedSet) -> int:
    lengths = np.unique(dataset.lengths)
    if len(lengths) != 1:
        raise UserError(
            f"{dataset.folder} holds clips of different lengths; a fixed training set needs equal ones: "
            "make it with `sedistill mix`."
        )
    return int(lengths[0])
