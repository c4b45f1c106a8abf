"""Teachers from elsewhere: whatever cleans a waveform, at its own rate, and as late as it likes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sedistill.audio.resampling import resample
from sedistill.common.errors import UserError
from sedistill.common.integrity import facts_checksum

Wave = NDArray[np.float32]

LENGTH_SECONDS = 0.05
"""An output may be so much shorter or longer than its input: whole hops, the end of a transform."""


class Clips(Protocol):
    """Clips in an order: of a fixed set, or the examples of an epoch."""

    sample_rate: int
    lengths: NDArray[np.int64]

    @property
    def hash(self) -> str: ...
    def __len__(self) -> int: ...
    def noisy(self, index: int) -> Wave: ...
    def origin(self, index: int) -> str:
        """Where a clip comes from, for messages."""


class ForeignTeacher(ABC):
    """Something that cleans one waveform at a time; several threads may ask it at once.

    Attributes:
        name: for messages.
        hash: of its kind, its file and its settings.
        sample_rate: Hz of what it takes and gives; None: whatever rate it is given.
        live: whether it can be asked for any waveform, and quickly enough to be asked at every step.
        hears_any_sound: whether it can be asked for any waveform at all, if slowly.
        works_elsewhere: whether it has processes of its own, whose time and memory are not seen here.
    """

    live = hears_any_sound = True
    works_elsewhere = False

    def __init__(self, name: str, hash: str, sample_rate: int | None) -> None:
        self.name, self.hash, self.sample_rate = name, hash, sample_rate

    @abstractmethod
    def clean(self, noisy: Wave, sample_rate: int) -> Wave:
        """Its own output for (T,) at its own rate, as it comes: late, and at its level. Raises UserError."""

    def clean_clip(self, clips: Clips, index: int, heard: Wave, before: int, sample_rate: int) -> Wave:
        """The same for one of some clips. Teachers that are files look it up by its name in a set.

        before: samples of `heard` that are silence before the clip, room for an output that is early.
        """
        return self.clean(heard, sample_rate)


@dataclass
class InStep:
    """A teacher from elsewhere at the rate of the data and in step with them; a `Teacher`.

    delay: samples at its own rate by which its output is late (below 0: early).
    """

    inner: ForeignTeacher
    sample_rate: int
    delay: int = 0

    latency = 0  # as seen from outside

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def own_rate(self) -> int:
        """Hz at which it works."""
        return self.inner.sample_rate or self.sample_rate

    @property
    def hash(self) -> str:
        """Of everything that decides the output: where it comes from, its rate here, the delay taken out."""
        facts = {"teacher": self.inner.hash, "rate": self.sample_rate, "delay": self.delay}
        return facts_checksum(facts)

    def __call__(self, noisy: Tensor) -> Tensor:
        if not self.inner.live:
            raise UserError(
                f"the teacher {self.name} is for clips that come again, so that its outputs are kept; mix a "
                "set with `sedistill mix`, or set data.repeat_epochs, and leave out teacher_use.cache."
            )
        outputs = np.stack([self.clip(one) for one in noisy.float().cpu().numpy()])
        return torch.from_numpy(outputs).to(noisy.device)

    def clip(self, noisy: Wave) -> Wave:
        """(T,) -> (T,). Raises UserError for a teacher that fails, or gives another length or NaN."""
        return self._aligned(self.inner.clean(self._heard(noisy), self.own_rate), len(noisy))

    def of_clip(self, clips: Clips, index: int) -> tuple[Wave, Wave]:
        """A noisy clip and its output, (T,) each. Raises UserError that names its file."""
        noisy = clips.noisy(index)
        try:
            before = max(-self.delay, 0)
            output = self.inner.clean_clip(clips, index, self._heard(noisy), before, self.own_rate)
            return noisy, self._aligned(output, len(noisy))
        except UserError as error:
            raise UserError(f"{clips.origin(index)}: {error}") from None

    def _heard(self, noisy: Wave) -> Wave:
        """The input at its own rate, with room for what comes late or early."""
        heard = resample(np.asarray(noisy, np.float32), self.sample_rate, self.own_rate)
        return np.pad(heard, (max(-self.delay, 0), max(self.delay, 0)))

    def _aligned(self, output: Wave, samples: int) -> Wave:
        wanted = max(1, round(samples * self.own_rate / self.sample_rate))
        whole = of_waveform(output, wanted + abs(self.delay), self.own_rate, self.name)
        back = resample(whole[max(self.delay, 0) :][:wanted], self.own_rate, self.sample_rate)
        return np.pad(back, (0, max(samples - len(back), 0)))[:samples]


def of_waveform(output: object, samples: int, sample_rate: int, name: str) -> Wave:
    """An output as float32 (samples,), filled up or cut where little is missing. Raises UserError."""
    wave = np.asarray(output)
    if wave.size != max(wave.shape, default=0):
        raise UserError(f"the teacher {name} gives shape {wave.shape} for one channel; it must give one too.")
    if wave.dtype.kind not in "fiu":
        raise UserError(f"the teacher {name} gives {wave.dtype} values; a waveform has real numbers.")
    wave = wave.reshape(-1)
    if abs(len(wave) - samples) > LENGTH_SECONDS * sample_rate:
        raise UserError(
            f"the teacher {name} gives {len(wave)} samples for {samples}; its output must be as long as its "
            "input, at the same rate."
        )
    wave = np.pad(wave, (0, max(samples - len(wave), 0)))[:samples].astype(np.float32)
    if not np.isfinite(wave).all():
        raise UserError(f"the teacher {name} gives NaN or infinite samples.")
    return wave
