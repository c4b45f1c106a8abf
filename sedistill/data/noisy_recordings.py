"""Real noisy recordings without clean speech, as training material: crops of one length."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from sedistill.audio.files import AudioFileError, probe, read_mono
from sedistill.audio.listing import audio_below, none_found, told
from sedistill.common.integrity import facts_checksum
from sedistill.data.content_table import Contents, contents_hash
from sedistill.data.contents import look
from sedistill.data.examples import Key, split_key
from sedistill.data.randomness import RECORDINGS, philox


class Recordings:
    """Audio files below a folder, of any format and rate.

    Files that are not read are told. Raises UserError where there is none to read, or one that is damaged.
    """

    def __init__(self, folder: Path | str) -> None:
        found = audio_below(folder)
        if not found.files:
            raise none_found(found)
        self.folder, self.unread = found.folder, found.unread
        self.paths = [found.folder / file for file in found.files]
        self.infos = [probe(path) for path in self.paths]
        for info in self.infos:
            if not info.frames:
                raise AudioFileError(info.path, "holds no samples; take it away")
        steps = np.cumsum([info.seconds for info in self.infos])
        self.seconds, self.steps = float(steps[-1]), steps / steps[-1]

    def __len__(self) -> int:
        return len(self.paths)

    def told(self) -> list[str]:
        """What lies in the folder and is not used, in lines for the terminal."""
        return list(told(self.unread))

    def files(self) -> dict[str, Path]:
        """Every file by its name below the folder."""
        return {path.relative_to(self.folder).as_posix(): path for path in self.paths}

    def contents(self, known: Contents | None = None) -> Contents:
        """What every file holds; known: what need not be read again."""
        return look(self.files(), known)

    @cached_property
    def hash(self) -> str:
        """Of all files, by name and content."""
        return contents_hash(self.contents())


class RecordingCrops(Dataset):
    """Crops of one length, each {"noisy": (T,), "index": int}: of what was said in them nothing is known.

    Every second is taken as often as any other; a recording shorter than a crop is put at a random place with
    silence around it. A crop hangs on nothing but its key (epoch, number), as all examples do.

    Args:
        frames, sample_rate: of a crop.
        length: crops in an epoch.
        repeat_epochs: take the crops of so many epochs, over and over; None: others in each epoch.
    """

    def __init__(
        self, recordings: Recordings, frames: int, sample_rate: int, length: int, seed: int = 0,
        repeat_epochs: int | None = None,
    ) -> None:  # fmt: skip
        self.recordings, self.frames, self.sample_rate = recordings, frames, sample_rate
        self.length, self.seed, self.repeat_epochs = length, seed, repeat_epochs

    @property
    def hash(self) -> str:
        """Of all that decides what the crops are."""
        facts = {"recordings": self.recordings.hash, "frames": self.frames, "rate": self.sample_rate}
        return facts_checksum({**facts, "seed": self.seed, "length": self.length})

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, number = split_key(key, self.repeat_epochs)
        if not 0 <= number < self.length:
            raise IndexError(number)
        file, place = self._drawn(epoch, number)
        info = self.recordings.infos[file]
        path = self.recordings.paths[file]
        wanted = -(-self.frames * info.sample_rate // self.sample_rate)
        spare = info.frames - wanted
        if spare >= 0:
            start = int(place * (spare + 1))
            samples = read_mono(path, self.sample_rate, start, wanted)[: self.frames]
        else:
            whole = read_mono(path, self.sample_rate)[: self.frames]
            before = int(place * (self.frames - len(whole) + 1))
            samples = np.pad(whole, (before, self.frames - len(whole) - before))
        return {"noisy": samples, "index": number}

    def origin(self, key: Key) -> str:
        """Where a crop comes from, for messages."""
        return str(self.recordings.paths[self._drawn(*split_key(key, self.repeat_epochs))[0]])

    def _drawn(self, epoch: int, number: int) -> tuple[int, float]:
        """The number of the file, and where in it, from 0 to 1."""
        pick, place = philox(self.seed, RECORDINGS, epoch, number).random(2).tolist()
        file = int(np.searchsorted(self.recordings.steps, pick, side="right"))
        return min(file, len(self.recordings) - 1), place


class WithRecordings(Dataset):
    """Training examples, and behind them crops without "clean", in one numbering.

    Its length is that of the examples; numbers from there on are of crops.
    """

    def __init__(self, examples: Any, crops: Any) -> None:
        self.examples, self.crops = examples, crops
        self.lengths, self.sample_rate = getattr(examples, "lengths", None), examples.sample_rate

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        dataset, own = self._of(key)
        return {**dataset[own], "index": split_key(key)[1]}

    def origin(self, key: Key) -> str:
        """Where an example comes from, for messages."""
        dataset, own = self._of(key)
        return str(dataset.origin(own))

    def _of(self, key: Key) -> tuple[Any, Key]:
        epoch, index = split_key(key)
        if index < len(self.examples):
            return self.examples, (epoch, index)
        return self.crops, (epoch, index - len(self.examples))
