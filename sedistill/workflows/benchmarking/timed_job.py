"""One way of running one network, timed in a process that does nothing else.

What a way does not need is not imported, so that the memory is that of a program which only runs the network:
an exported file is run without PyTorch.
"""

import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sedistill.common.devices import peak_memory_mb
from sedistill.common.errors import UserError
from sedistill.common.interruption import end_with_parent, ignore_signals
from sedistill.workflows.benchmarking.runners import Wave, opened

STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Job:
    """What to run: a way of `runners.WAYS` and what it opens, with how many threads, for how long."""

    way: str
    model: str
    threads: int
    seconds: float
    rounds: int


@dataclass(frozen=True)
class Costs:
    """What was measured of a job.

    real_time: time a second of sound takes, of the fastest round: CPU time on one thread, else (and where
        other processes do the work) time on the clock. Of whole clips, or of steps where there are no
        others.
    streaming: the same, step by step; None where a way has no steps.
    step_ms: length of a step; p50_ms, p99_ms, worst_ms: on the clock, over all steps of all rounds.
    memory_mb: the most that the process has held, streaming where there are steps; None where others do the
        work.
    waited: share of the time on the clock in which the process did not get a core (one thread).
    """

    real_time: float
    streaming: float | None
    step_ms: float | None
    p50_ms: float | None
    p99_ms: float | None
    worst_ms: float | None
    memory_mb: float | None
    waited: float


def main() -> None:
    """Answer the job on standard input: {"costs": ...} or {"error": a sentence}, as the last line."""
    ignore_signals()
    if end := end_with_parent(signal.SIGKILL, os.getppid()):
        end()
    job = Job(**json.loads(sys.stdin.read()))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print must not end up in the answer
    try:
        answer: dict[str, object] = {"costs": asdict(costs_of(job))}
    except UserError as error:
        answer = {"error": str(error)}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def costs_of(job: Job) -> Costs:
    """Run a job here."""
    runner = opened(job.way, job.model, job.threads)
    rate = runner.sample_rate
    samples = max(round(job.seconds * rate), runner.step_samples or 1)
    sound = 0.1 * np.random.default_rng(0).standard_normal(samples, np.float32)
    clock = _Clock(job.threads == 1 and not runner.works_elsewhere, len(sound) / rate)
    gc.collect()
    gc.freeze()  # what loading left is not searched through while steps are timed
    streaming: float | None = None
    p50_ms = p99_ms = worst_ms = None
    if runner.steps is not None and (job.threads == 1 or runner.clip is None):
        streaming, times = clock.fastest(runner.steps, sound, job.rounds)
        p50_ms, p99_ms, worst_ms = (1000 * float(np.quantile(times, share)) for share in (0.5, 0.99, 1.0))
    memory = memory_mb()
    real_time = streaming
    if runner.clip is not None:
        real_time, _ = clock.fastest(_untimed(runner.clip), sound, job.rounds)
        memory = memory if runner.steps is not None else memory_mb()
    assert real_time is not None
    step_ms = 1000 * runner.step_samples / rate if runner.step_samples else None
    held = None if runner.works_elsewhere else memory
    return Costs(real_time, streaming, step_ms, p50_ms, p99_ms, worst_ms, held, clock.waited)


class _Clock:
    """Times rounds over the same sound, by this process's CPU time or on the clock.

    `waited` is the share of the time without a core so far, which CPU time alone tells.
    """

    def __init__(self, by_cpu: bool, seconds: float) -> None:
        self.by_cpu, self.seconds = by_cpu, seconds
        self._cpu = self._wall = 0.0

    @property
    def waited(self) -> float:
        return max(0.0, 1 - self._cpu / self._wall) if self.by_cpu and self._wall else 0.0

    def fastest(
        self, run: Callable[[Wave], list[float]], sound: Wave, rounds: int
    ) -> tuple[float, list[float]]:
        """Time per second of sound in the fastest round, and the seconds of all steps of all rounds."""
        run(sound)  # to warm up
        best, times = float("inf"), []
        for _ in range(rounds):
            cpu, wall = time.process_time(), time.perf_counter()
            times += run(sound)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            self._cpu, self._wall = self._cpu + cpu, self._wall + wall
            best = min(best, (cpu if self.by_cpu else wall) / self.seconds)
        return best, times


def _untimed(clip: Callable[[Wave], object]) -> Callable[[Wave], list[float]]:
    def run(sound: Wave) -> list[float]:
        clip(sound)
        return []

    return run


def memory_mb() -> float:
    """The most memory that this program has held; Linux counts what a parent held as a child's, too."""
    try:
        lines = STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        import torch

        return peak_memory_mb(torch.device("cpu"))
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 2**10
