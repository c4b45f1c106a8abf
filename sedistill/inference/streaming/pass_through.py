"""Samples at the network's own rate through the network: as many out as in, in order, some of them later.

Arrays are float32 of shape (channels, samples); every channel is enhanced by itself.
"""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sedistill.common.batch_axes import FEW_SAMPLES
from sedistill.inference.streaming.stepping import States, Stepping
from sedistill.models.base import SpeechEnhancer

Samples = NDArray[np.float32]
MOST_SECONDS = 5.0  # that go through a network at once, so that memory does not grow with a chunk


class Passing(Protocol):
    """A network for one stream; what `take` and at last `finish` give is as long as what was taken."""

    latency_samples: int
    """How many samples, its own among them, an output waits for; at most."""
    size: int
    """How many are given at once."""

    def take(self, samples: Samples) -> Samples: ...
    def finish(self) -> Samples: ...


def passing(stepping: Stepping, channels: int, window_seconds: float) -> Passing:
    """In steps where the network has them, else in overlapping windows."""
    if stepping.network.step_samples is not None:
        return InSteps(stepping, channels)
    return InWindows(stepping.network, channels, window_seconds)


class InSteps:
    """Step by step with states; joined, the very output of the whole clip."""

    def __init__(self, stepping: Stepping, channels: int) -> None:
        network = stepping.network
        assert network.step_samples is not None
        assert network.latency_samples is not None
        self.step, self.size, self.delay = stepping, network.step_samples, network.delay_samples
        self.latency_samples, self.like = network.latency_samples, _like(network)
        self.most = max(1, round(MOST_SECONDS * network.sample_rate / self.size)) * self.size
        self.states: States = network.first_states(channels)
        self.waiting = np.zeros((channels, 0), np.float32)
        self.early = self.delay  # outputs that still belong before the beginning
        self.missing = 0  # outputs of inputs so far

    def take(self, samples: Samples) -> Samples:
        self.missing += samples.shape[1]
        heard = np.concatenate([self.waiting, samples], axis=1) if self.waiting.size else samples
        whole = heard.shape[1] // self.size * self.size
        self.waiting = heard[:, whole:].copy()
        outputs = [
            self._stepped(heard[:, start : min(start + self.most, whole)])
            for start in range(0, whole, self.most)
        ]
        return self._in_place(outputs[0] if len(outputs) == 1 else _joined(outputs, samples))

    def finish(self) -> Samples:
        heard, delay = self.waiting.shape[1], self.delay if self.missing else 0
        beyond = delay + -(heard + delay) % self.size
        if not heard + beyond:
            return self.waiting
        return self._in_place(self._stepped(np.pad(self.waiting, [(0, 0), (0, beyond)]), beyond))

    def _in_place(self, output: Samples) -> Samples:
        skipped = min(self.early, output.shape[1])
        self.early -= skipped
        output = output[:, skipped : skipped + self.missing]
        self.missing -= output.shape[1]
        return output

    def _stepped(self, samples: Samples, beyond: int = 0) -> Samples:
        output, self.states = self.step(_tensor(samples, self.like), self.states, beyond)
        return output.float().cpu().numpy()


class InWindows:
    """A window of the newest samples at a time, for networks that need a whole clip.

    A quarter of a window is new each time, and an eighth is heard as what comes later (where a network
    states a shorter latency, that): its output is given when the next window hears more behind it. The
    outputs of two windows are faded into each other.
    """

    def __init__(self, network: SpeechEnhancer, channels: int, window_seconds: float) -> None:
        self.network, self.like = network, _like(network)
        self.length = round(window_seconds * network.sample_rate)
        self.size, self.later = self.length // 4, self.length // 8
        if network.latency_samples is not None:
            self.later = min(self.later, network.latency_samples - 1)
        self.fade = self.length // 32
        self.latency_samples = self.size + self.later + self.fade
        self.recent = np.zeros((channels, 0), np.float32)
        self.fresh = 0  # of `recent`, how many samples no window has seen
        self.pending = 0  # of `recent`, how many have no output yet
        self.fading = np.zeros((channels, 0), np.float32)  # the last window's output where the next begins

    def take(self, samples: Samples) -> Samples:
        outputs: list[Samples] = []
        while samples.shape[1]:
            piece, samples = np.split(samples, [self.size - self.fresh], axis=1)
            self._hear(piece)
            if self.fresh == self.size:
                outputs.append(self._window(self.later + self.fade))
        return _joined(outputs, samples)

    def finish(self) -> Samples:
        return self._window(0) if self.pending else self.recent[:, :0]

    def _hear(self, samples: Samples) -> None:
        self.recent = np.concatenate([self.recent, samples], axis=1)[:, -self.length :]
        self.fresh += samples.shape[1]
        self.pending += samples.shape[1]

    def _window(self, held: int) -> Samples:
        """The output of all that is pending but for the last `held` samples."""
        with torch.inference_mode():
            heard = _tensor(self.recent, self.like).split(FEW_SAMPLES)  # more, if short, would be refused
            whole = torch.cat([self.network(channels) for channels in heard]).float().cpu().numpy()
        self.fresh = 0
        output = whole[:, whole.shape[1] - self.pending :]
        faded = min(self.fading.shape[1], output.shape[1])
        rise = (np.arange(faded, dtype=np.float32) + 0.5) / max(1, faded)
        output[:, :faded] = self.fading[:, :faded] + rise * (output[:, :faded] - self.fading[:, :faded])
        given = max(0, self.pending - held)
        self.fading = output[:, given : given + self.fade].copy()
        self.pending -= given
        return output[:, :given]


def _joined(outputs: list[Samples], like: Samples) -> Samples:
    return np.concatenate([like[:, :0], *outputs], axis=1)


def _like(network: SpeechEnhancer) -> torch.Tensor:
    """Of the type and on the device of a network's weights."""
    return next((one for one in network.parameters() if one.is_floating_point()), torch.empty(0))


def _tensor(samples: Samples, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(samples)).to(like)
