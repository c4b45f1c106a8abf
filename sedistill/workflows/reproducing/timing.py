"""How long something takes, as a median with its spread, from steps that were timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

SPREAD = (0.1, 0.9)
"""Quantiles over the steps between which a time is said to lie."""
FEWEST_STEPS, MOST_STEPS = 7, 60
LONG_ENOUGH_SECONDS, TOO_LONG_SECONDS = 2.0, 20.0
"""Steps are timed until they took so long together, and there are enough of them; or until too long."""


@dataclass(frozen=True)
class Timing:
    """Seconds: the median, and the low and high end of the range. Times add up and scale part by part."""

    median: float = 0.0
    low: float = 0.0
    high: float = 0.0

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Timing:
        """Of steps that took so long each."""
        low, high = np.quantile(seconds, SPREAD).tolist()
        return cls(float(np.median(seconds)), low, high)

    def __add__(self, other: Timing) -> Timing:
        return Timing(self.median + other.median, self.low + other.low, self.high + other.high)

    def __mul__(self, times: float) -> Timing:
        return Timing(self.median * times, self.low * times, self.high * times)


def time_steps(step: Callable[[], object], device: torch.device) -> Timing:
    """Time a step again and again, after one to warm up.

    A single CPU thread is timed by its own clock, which stands still while others have the core.
    """
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    step()
    taken: list[float] = []
    began = time.perf_counter()
    while not enough(taken, time.perf_counter() - began):
        _wait(device)
        started = clock()
        step()
        _wait(device)
        taken.append(clock() - started)
    return Timing.of(taken)


def enough(taken: Sequence[float], waited: float) -> bool:
    """Whether these steps, for which `waited` seconds passed, tell how long one takes."""
    if not taken or len(taken) >= MOST_STEPS:
        return bool(taken)
    return waited >= (LONG_ENOUGH_SECONDS if len(taken) >= FEWEST_STEPS else TOO_LONG_SECONDS)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
