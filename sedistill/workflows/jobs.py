"""Trainings side by side: each a `sedistill train` of its own, teachers before their students."""

import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sedistill.common.child_processes import begin, end
from sedistill.common.devices import cuda_devices, threads_environment
from sedistill.common.interpreters import module_command, python_environment
from sedistill.common.interruption import heard, uninterrupted
from sedistill.common.progress import duration_text
from sedistill.models.saving import CARD, read_card
from sedistill.training.enhancement_losses import loss_text

POLL_SECONDS = 0.1
_STUDENT = re.compile(r"runs/(?P<name>.+)/seed-(?P<seed>\d+)/student")


@dataclass(frozen=True, order=True)
class Run:
    """A training: a recipe's name and a seed. `folder` is relative to the output folder."""

    name: str
    seed: int

    @classmethod
    def of_student(cls, text: str) -> "Run | None":
        """The one whose `student` is named; None where it is something else."""
        match = _STUDENT.fullmatch(text)
        return cls(match["name"], int(match["seed"])) if match else None

    @property
    def place(self) -> Path:
        """Its own among runs, logs or evaluations."""
        return Path(self.name) / f"seed-{self.seed}"

    @property
    def folder(self) -> Path:
        return "runs" / self.place

    @property
    def student(self) -> Path:
        """The saved model."""
        return self.folder / "student"

    def __str__(self) -> str:
        return f"{self.name}, seed {self.seed}"


@dataclass
class Training:
    """A training in progress; `place`, from 0, is among those that are at a time."""

    run: Run
    place: int
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)


@dataclass
class Trainings:
    """Trains runs in `output`, `jobs` at a time. `failed` has the run and the last line of its log.

    GPUs are shared out among the places of these jobs: each sees its own alone.

    command: the words that train a run.
    waits_for: the runs that must be finished before a run begins.
    """

    output: Path
    jobs: int
    command: Callable[[Run], Sequence[str]]
    waits_for: Callable[[Run], Sequence[Run]]
    threads: int
    failed: dict[Run, str] = field(default_factory=dict)

    def train(self, runs: Sequence[Run]) -> None:
        """Train all that are not finished; on an interruption end those in progress and pass it on."""
        waiting = [run for run in runs if not is_finished(self.output, run)]
        self.total, self.ended, self.began = len(waiting), 0, time.monotonic()
        self.devices = cuda_devices()
        active: list[Training] = []
        try:
            with heard():
                while waiting or active:
                    self._start_what_can(waiting, active)
                    self._collect(active)
                    self.watch()
                    time.sleep(POLL_SECONDS)
        finally:
            end([training.process for training in active], signal.SIGTERM)

    def watch(self) -> None:
        """Called repeatedly while trainings run; a hook for progress displays."""

    def _start_what_can(self, waiting: list[Run], active: list[Training]) -> None:
        for run in list(waiting):
            needed = self.waits_for(run)
            lost = next((one for one in needed if one in self.failed), None)
            if lost is not None:
                waiting.remove(run)
                self._note_failure(run, f"it needs {lost}")
            elif len(active) < self.jobs and all(is_finished(self.output, one) for one in needed):
                waiting.remove(run)
                taken = {training.place for training in active}
                place = next(number for number in range(self.jobs) if number not in taken)
                with uninterrupted():
                    active.append(self._start(run, place))

    def _start(self, run: Run, place: int) -> Training:
        path = self.log(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        visible = devices_environment(place, self.jobs, self.devices)
        environment = python_environment(**threads_environment(self.threads), **visible)
        with path.open("ab") as log:
            process = begin(
                self.command(run), cwd=self.output, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        return Training(run, place, process)

    def _collect(self, active: list[Training]) -> None:
        for training in list(active):
            code = training.process.poll()
            if code is None:
                continue
            active.remove(training)
            if code == 0 and is_finished(self.output, training.run):
                self.ended += 1
                print(f"[{self.ended}/{self.total}] {self._result_text(training)}", flush=True)
            else:
                self._note_failure(training.run, last_line(self.log(training.run)))

    def _note_failure(self, run: Run, why: str) -> None:
        self.ended += 1
        self.failed[run] = why
        print(f"[{self.ended}/{self.total}] {run}: failed: {why}", flush=True)

    def _result_text(self, training: Training) -> str:
        card = read_card(self.output / training.run.student)
        about, value = card["training"], card["metrics"]["validation_loss"]
        loss = loss_text(about["loss"], value) if "loss" in about else f"{value:#.4g}"
        left = (time.monotonic() - self.began) / self.ended * (self.total - self.ended)
        still = f"; about {duration_text(left)} left" if self.ended < self.total else ""
        return (
            f"{training.run}: validation loss {loss} at step {about['best_step']} of {about['steps']}, "
            f"{duration_text(time.monotonic() - training.started)}{still}"
        )

    def log(self, run: Run) -> Path:
        """What a training printed."""
        return (self.output / "logs" / run.place).with_suffix(".log")


def devices_environment(place: int, jobs: int, devices: Sequence[str]) -> dict[str, str]:
    """What shows one place among so many jobs its own of these devices: equal shares, or one that several
    have. Nothing where there are none.

    >>> [devices_environment(place, 2, ["0", "1", "2", "3"])["CUDA_VISIBLE_DEVICES"] for place in range(2)]
    ['0,2', '1,3']
    >>> [devices_environment(place, 3, ["0", "1"])["CUDA_VISIBLE_DEVICES"] for place in range(3)]
    ['0', '1', '0']
    """
    if not devices:
        return {}
    shared = jobs > len(devices)
    own = [devices[place % len(devices)]] if shared else devices[place::jobs][: len(devices) // jobs]
    return {"CUDA_VISIBLE_DEVICES": ",".join(own)}


def jobs_by_devices() -> int:
    """How many trainings at a time suit this machine where nobody says: one a GPU, or one."""
    return max(1, len(cuda_devices()))


def train_command(recipe: Path, changes: Sequence[str]) -> list[str]:
    """The words that train a recipe."""
    return module_command("sedistill", "train", str(recipe.resolve()), *changes)


def is_finished(output: Path, run: Run) -> bool:
    """Whether its student is saved."""
    return (output / run.student / CARD).exists()


def last_line(log: Path) -> str:
    """The last line that says something, and where the rest is."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    said = next((line for line in reversed(lines) if line), "it said nothing")
    return f"{said.removeprefix('sedistill: ')} ({log})"
