"""How long things take on this machine, measured by doing a little of each, in wall-clock time.

Other work of the machine counts: it is taken to go on as long as this does.
"""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from sedistill.audio.files import AudioInfo
from sedistill.common.child_processes import begin
from sedistill.common.devices import cuda_devices, threads_environment, usable_cores
from sedistill.common.errors import UserError
from sedistill.common.interpreters import module_command, python_environment
from sedistill.common.interruption import safe_moment
from sedistill.common.settings import Settings
from sedistill.data.file_checks import Job, check
from sedistill.data.set_files import write_pair
from sedistill.teachers.foreign import InStep
from sedistill.teachers.source import TeacherSource
from sedistill.teachers.threads import in_order
from sedistill.workflows.jobs import devices_environment

LONG_ENOUGH_SECONDS, FEWEST_TIMES = 3.0, 3
"""Something is repeated until it took so long together, and at least so often."""
LABELLED_TOGETHER, MIXED_SECONDS = 8, 2.0
SCORING_SECONDS = 0.3
"""Of one core for a clip of 4 s and a network: enhancing it and its parts, PESQ, STOI. Assumed."""
LONGEST_TO_CHECK_SECONDS = 300.0


class Speeds(Settings):
    """Seconds by the clock.

    Attributes:
        checking: for a second of recording, on one core.
        mixing: for a second of a mixture, on one core.
        teaching: for a second of sound through the teacher, on all cores; 0 where it is still to be trained.
        steps: for a training step of every run by name, beside the runs that are trained with it.
        validating: for a second of sound of the validation set, of every run.
        scoring: for a clip and a network, on one core.
    """

    checking: float
    mixing: float
    teaching: float
    steps: dict[str, float]
    validating: dict[str, float]
    scoring: float = SCORING_SECONDS


def seconds_of(action: Callable[[], object], times: int = FEWEST_TIMES) -> float:
    """The mean time of an action, after one to warm up."""
    action()
    began, done = time.perf_counter(), 0
    while done < times or time.perf_counter() - began < LONG_ENOUGH_SECONDS:
        action()
        done += 1
    return (time.perf_counter() - began) / done


def checking_seconds(files: Sequence[tuple[str, AudioInfo]], sample_rate: int) -> float:
    """To check, and where need be convert, a second of recording. files: (clean or noise, file)."""
    short = [one for one in files if one[1].seconds < LONGEST_TO_CHECK_SECONDS] or list(files)[:1]
    with TemporaryDirectory() as place:
        began = time.perf_counter()
        for number, (kind, info) in enumerate(short):
            check(Job((info.path,), (kind,), (str(Path(place) / f"{number}.flac"),), sample_rate))
        return (time.perf_counter() - began) / sum(info.seconds for _, info in short)


def mixing_seconds(sample_rate: int) -> float:
    """To write a second of a noisy and clean pair, which is what mixing mostly is."""
    noisy = np.random.default_rng(0).normal(0, 0.1, round(MIXED_SECONDS * sample_rate)).astype(np.float32)
    with TemporaryDirectory() as place:
        for side in ("noisy", "clean"):
            (Path(place) / side).mkdir()
        began = time.perf_counter()
        for number in range(FEWEST_TIMES):
            write_pair(Path(place), f"{number}.flac", noisy, 0.5 * noisy, sample_rate)
        return (time.perf_counter() - began) / FEWEST_TIMES / MIXED_SECONDS


def teaching_seconds(teacher: TeacherSource, device: str, clip_seconds: float, sample_rate: int) -> float:
    """For a second of sound through the teacher, as its outputs are computed: in a batch, or clip by clip."""
    noisy = 0.1 * torch.randn(LABELLED_TOGETHER, round(clip_seconds * sample_rate))
    of_all = LABELLED_TOGETHER * clip_seconds
    if isinstance(teacher.teacher, InStep):
        return seconds_of(lambda: list(in_order(teacher.on_wave, noisy.numpy(), usable_cores())), 1) / of_all
    teacher.to(device)
    noisy = noisy.to(device)
    try:
        return seconds_of(lambda: teacher.raw(noisy).cpu()) / of_all
    finally:
        teacher.to("cpu")


def step_seconds(
    recipes: Sequence[dict[str, Any]], clip_seconds: float, threads: int
) -> list[tuple[float, float]]:
    """(a training step, a second of sound in validation) of recipes that are trained at the same time.

    Each is timed in a process of its own, as each will be trained in one.
    """
    with _stopwatches(recipes, clip_seconds, threads) as processes:
        while any(one.poll() is None for one in processes):
            safe_moment()
            time.sleep(0.05)
        return [_answer(one) for one in processes]


@contextmanager
def _stopwatches(
    recipes: Sequence[dict[str, Any]], clip_seconds: float, threads: int
) -> Iterator[list[subprocess.Popen[str]]]:
    environment = python_environment(**threads_environment(threads))
    processes: list[subprocess.Popen[str]] = []
    try:
        for place, recipe in enumerate(recipes):
            visible = devices_environment(place, len(recipes), cuda_devices())
            question = json.dumps({"recipe": recipe, "clip_seconds": clip_seconds, "threads": threads})
            processes.append(
                begin(
                    module_command("sedistill.workflows.distilling.stopwatch", question),
                    orphaned=signal.SIGKILL,
                    env=environment | visible,
                    text=True,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
            )
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _answer(process: subprocess.Popen[str]) -> tuple[float, float]:
    said, complaint = process.communicate()
    if process.returncode:
        lines = complaint.strip().splitlines()
        raise UserError(f"a training step cannot be timed: {lines[-1] if lines else 'no reason known'}")
    step, validating = json.loads(said)
    return step, validating
