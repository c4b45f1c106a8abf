"""One teacher of a run: asked at every step or once for all, and always at the level of the clean speech.

A network trained with SI-SNR is free in level and even in sign, spectrogram losses are not, so its measured
factor onto clean is applied (unless switched off).
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from sedistill.common.errors import UserError
from sedistill.data.fixed_sets import FixedSet
from sedistill.teachers.foreign import InStep
from sedistill.teachers.measuring import Measured


class Teacher(Protocol):
    """What a student may learn from, whatever it is: noisy (B, T) -> estimate (B, T), frozen.

    Attributes:
        name: for messages, such as the folder of a saved model.
        hash: of everything that decides its output; outputs on disk are found by it.
        sample_rate: Hz, of what it takes and gives.
        latency: samples by which its output comes later than its input; 0 where it makes up for that itself.
    """

    @property
    def name(self) -> str: ...
    @property
    def hash(self) -> str: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def latency(self) -> int: ...

    def __call__(self, noisy: Tensor) -> Tensor: ...


HEARD = 16
"""Samples of a noisy clip that are kept with a teacher's output for it."""
HEARD_TOLERANCE = 1e-3
"""Of the loudest of them, by which the rounding of other machines and libraries may make them differ."""


def heard_in(noisy: np.ndarray) -> np.ndarray:
    """Some samples (..., 16) of clips (..., T), spread evenly, by which they are known again."""
    places = (np.arange(HEARD) + 0.5) * noisy.shape[-1] / HEARD
    return noisy[..., places.astype(np.int64)]


@dataclass(frozen=True)
class CachedOutputs:
    """A teacher's estimates at the clean level, from its raw outputs on disk, a row for each clip.

    samples: of a clip. What a row has behind them is what the teacher heard.
    """

    outputs: np.ndarray
    level_factor: float
    samples: int | None = None

    def __getitem__(self, index: int) -> np.ndarray:
        return np.float32(self.level_factor) * self.outputs[index, : self.samples]

    def of(self, index: int, noisy: np.ndarray) -> np.ndarray:
        """The estimate for clip `index`, (T,). Raises UserError where that is not what the teacher heard."""
        if self.samples is not None:
            now, then = heard_in(noisy), self.outputs[index, self.samples :]
            if np.abs(now - then).max(initial=0) > HEARD_TOLERANCE * np.abs(now).max(initial=0) + 2**-24:
                raise UserError(
                    f"the teacher's kept outputs in {getattr(self.outputs, 'filename', 'a file')} are for "
                    "other mixtures than this version makes; delete that folder, and they are computed again."
                )
        return self[index]


@dataclass
class TeacherSource:
    """Where one teacher's estimates come from.

    level_factor: from its own output onto clean speech, level and sign.
    measured: how late, how loud and how wide it is; None for a saved model, whose card says it.
    """

    teacher: Teacher
    level_factor: float = 1.0
    measured: Measured | None = None

    @property
    def name(self) -> str:
        return self.teacher.name

    @property
    def hash(self) -> str:
        return self.teacher.hash

    def facts(self) -> dict[str, Any]:
        """Its name, and what was measured of it, for cards and tables."""
        return {"name": self.name, **(self.measured.facts() if self.measured else {})}

    @property
    def answers_live(self) -> bool:
        """Whether it can be asked at every step; else its outputs on a fixed set are computed before."""
        return not isinstance(self.teacher, InStep) or self.teacher.inner.live

    @property
    def hears_any_sound(self) -> bool:
        """Whether it can be asked for any clip; else it knows the files of a fixed set alone."""
        return not isinstance(self.teacher, InStep) or self.teacher.inner.hears_any_sound

    @property
    def bandwidth(self) -> float:
        """Of half the data's rate, the share that it can know."""
        known = self.measured
        return 1.0 if known is None or known.cutoff_hz is None else 2 * known.cutoff_hz / known.rate

    @property
    def network(self) -> nn.Module:
        """The network inside, whose features can be seen. Raises UserError where there is none to look at."""
        network = getattr(self.teacher, "network", None)
        if not isinstance(network, nn.Module):
            raise UserError(
                f"the teacher {self.name} cannot be looked into; choose a saved model, or other objectives."
            )
        return network

    def to(self, device: torch.device | str) -> "TeacherSource":
        """On this device, where its teacher is a module."""
        if isinstance(self.teacher, nn.Module):
            self.teacher.to(device)
        return self

    @torch.no_grad()
    def raw(self, noisy: Tensor) -> Tensor:
        """The teacher's own output in step with its input, (B, T) -> (B, T), before the factor.

        In float32 whatever autocast the caller is in, so that a live teacher gives what a cached one gave.
        """
        late = self.teacher.latency
        with torch.autocast(noisy.device.type, enabled=False):
            heard = nn.functional.pad(noisy.float(), (0, late)) if late else noisy.float()
            output = self.teacher(heard)
        if output.shape != heard.shape:
            raise UserError(
                f"the teacher {self.name} gives shape {tuple(output.shape)} for {tuple(heard.shape)}; it "
                "must give one channel, as long as its input."
            )
        return output.float()[:, late:]

    def __call__(self, noisy: Tensor) -> Tensor:
        return self.level_factor * self.raw(noisy)

    def on_wave(self, noisy: np.ndarray, device: torch.device | str = "cpu") -> np.ndarray:
        """Its estimate (T,) for any waveform (T,), however long that takes it."""
        if isinstance(self.teacher, InStep):
            return np.float32(self.level_factor) * self.teacher.clip(noisy)
        return self.to(device)(torch.from_numpy(noisy)[None].to(device))[0].cpu().numpy()

    def on_clip(self, dataset: FixedSet, index: int, device: torch.device | str = "cpu") -> np.ndarray:
        """The same for a clip of a set, which teachers that are files look up by its name."""
        if isinstance(self.teacher, InStep):
            return np.float32(self.level_factor) * self.teacher.of_clip(dataset, index)[1]
        return self.on_wave(dataset[index][0], device)
