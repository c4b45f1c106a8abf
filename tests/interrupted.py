"""Signals at random moments to whole commands, and what is left afterwards.

    python -m tests.interrupted 100                     # so many over all commands; prints what was wrong
    python -m tests.interrupted 20 reproduce compare    # over these

The tests send a few of them.
"""

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from sedistill.models.presets import build_model
from sedistill.models.saving import save_model
from tests.data.sounds import noise, pairs, save, speech, speech_and_noise
from tests.training.conftest import TINY_NETWORK
from tests.workflows.reproducing.conftest import write_paper, write_recordings

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class World:
    """A folder with small input for every command."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "World":
        speech_and_noise(folder / "sounds")
        pairs(folder / "pairs", count=6, seconds=0.6)
        for number in range(70):  # enough for several processes, and most of it to be converted
            save(folder / f"many/clean/s{number % 9}/{number}.wav", speech(0.6, number, 8_000), rate=8_000)
            save(folder / f"many/noise/n{number % 5}/{number}.wav", noise(0.6, number, 8_000), rate=8_000)
        save_model(build_model(TINY_NETWORK), folder / "model")
        recipe = {
            "name": "run", "student": TINY_NETWORK, "optimiser": {"batch_size": 2, "max_epochs": 40},
            "data": {"train": str(folder / "pairs"), "valid": str(folder / "pairs"), "crop_seconds": 0.5},
            "hardware": {"device": "cpu", "threads": 1},
        }  # fmt: skip
        (folder / "run.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
        world = cls(folder)
        world.run(["prepare", "--clean", "sounds/clean", "--noise", "sounds/noise", "-o", "corpus"])
        return world

    def add_results(self) -> None:
        """What compare, analyze and reproduce need."""
        write_paper(self.folder)
        write_recordings(self.folder)
        record = "patch_record={clips: 2, every_steps: 5}"
        self.run(["train", "run.yaml", "optimiser.max_epochs=4", record, "-o", "recorded"])
        self.run(["evaluate", "model", "--on", "pairs", "--metrics", "stoi,si_sdr", "-o", "scores"])

    def run(self, words: Sequence[str]) -> None:
        command = [sys.executable, "-m", "sedistill", *words]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def words(self, command: str, output: str) -> list[str]:
        many = ["--clean", "many/clean", "--noise", "many/noise", "--workers", "2"]
        table = ["tiny/table1", "--data", "recordings", "--scale", "small", "--jobs", "2"]
        return {
            "prepare": ["prepare", *many, "-o", output],
            "mix": ["mix", "corpus", "--count", "70", "--set", "clip_seconds=0.5", "-o", output],
            "evaluate": ["evaluate", "model", "--on", "pairs", "--metrics", "stoi,si_sdr", "-o", output],
            "enhance": ["enhance", "pairs/noisy", "--model", "model", "-o", output],
            "train": ["train", "run.yaml", "data.workers=2", "-o", output],
            "compare": ["compare", "scores", "--baseline", "noisy", "-o", output],
            "analyze": ["analyze", "recorded", "-o", output],
            "reproduce": ["reproduce", *table, "--set", "optimiser.max_steps=60", "-o", output],
            "crossover": ["crossover", "pairs/noisy/0.wav", "--model", "model", "-o", f"{output}.svg"],
            "check": ["check", "corpus", "recorded", "scores"],
            "models": ["models"],
            "demo": ["demo", "-o", output],
        }[command]


COMMANDS = ("prepare", "mix", "evaluate", "enhance", "train")
ALL = (*COMMANDS, "compare", "analyze", "reproduce", "crossover", "check", "models", "demo")
IN_PARTS = ("enhance", "train", "reproduce", "demo")
"""What they have written when a signal comes is kept."""


def faults(
    world: World, command: str, number: int, delay: float | None, to_all: bool = True, again: bool = False
) -> Iterator[str]:
    """Send a signal after `delay` seconds (None: when something is being written); tell what is wrong.

    to_all: to all of its processes, as a terminal does, else to the command alone.
    again: give the same command line once more afterwards.
    """
    output = f"{command}-{uuid.uuid4().hex[:6]}"
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        [sys.executable, "-m", "sedistill", *world.words(command, output)], cwd=world.folder,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "MARK": mark, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if delay is None:
        while process.poll() is None and not list(world.folder.glob("**/.sedistill-*/new/*")):
            time.sleep(0.01)
    else:
        with suppress(subprocess.TimeoutExpired):
            process.wait(delay)
    with suppress(ProcessLookupError):  # it was done before
        (os.killpg if to_all else os.kill)(process.pid, number)
    try:
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        yield "it went unheard"
        return
    place = world.folder / output
    if number == signal.SIGKILL:
        if process.returncode not in (0, -number):
            yield f"exit code {process.returncode}: {said}"
    else:
        yield from _ended_in_order(process.returncode, number, said, place.exists(), command in IN_PARTS)
        yield from _left_behind(world)
    if alive := _alive(mark):
        yield f"still alive: {alive}"
    if again and process.returncode != 0:
        more = ["--overwrite"] if command == "enhance" else []
        try:
            world.run([*world.words(command, output), *more])
        except AssertionError as error:
            yield f"the same once more: {error}"
        yield from _left_behind(world)


def _ended_in_order(code: int, number: int, said: str, is_there: bool, in_parts: bool) -> Iterator[str]:
    if "Traceback" in said and "sedistill/" in said:
        yield f"a traceback: {said}"
    if code == 128 + number:
        if "sedistill: interrupted" not in said:
            yield f"no word: {said!r}"
    elif code != 0 and (said.strip() or is_there or code not in (-number, 1)):  # else Python had not begun
        yield f"exit code {code}: {said}"
    if code == 128 + number and is_there and not in_parts and "is written, and whole" not in said:
        yield f"an output in spite of: {said}"


def _left_behind(world: World) -> Iterator[str]:
    if left := [str(path) for path in world.folder.rglob(".sedistill-*")]:
        yield f"left behind: {left}"


def _alive(mark: str, patience: float = 20.0) -> list[str]:
    """Processes of the command that do not end by themselves."""
    deadline = time.monotonic() + patience
    while True:
        alive = [pid for pid in os.listdir("/proc") if pid.isdigit() and _has_mark(pid, mark)]
        if not alive or time.monotonic() > deadline:
            return alive
        time.sleep(0.1)


def _has_mark(pid: str, mark: str) -> bool:
    try:
        return mark.encode() in Path("/proc", pid, "environ").read_bytes()
    except OSError:
        return False


def main(count: int, commands: Sequence[str]) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # else `nohup` would have the commands ignore it
    choose = random.Random()
    wrong = 0
    with TemporaryDirectory() as folder:
        world = World.make(Path(folder))
        world.add_results()
        took = {"demo": 60.0}
        for command in set(commands) - {"demo"}:
            started = time.monotonic()
            world.run(world.words(command, f"whole-{command}"))
            took[command] = time.monotonic() - started
        print({command: round(seconds, 1) for command, seconds in took.items()}, flush=True)
        for trial in range(count):
            command, number = commands[trial % len(commands)], choose.choice(SIGNALS)
            delay, to_all = choose.uniform(0.1, 1.0) * took[command], choose.random() < 0.5
            again = command != "demo" and (number == signal.SIGKILL or choose.random() < 0.2)
            said = f"{trial + 1}: {command}, {signal.Signals(number).name} after {delay:.2f} s"
            print(f"{said}, {'to all' if to_all else 'to one'}{', again' if again else ''}", flush=True)
            for fault in faults(world, command, number, delay, to_all, again):
                wrong += 1
                print(f"FAULT {fault}", flush=True)
    print(f"{count} signals, {wrong} faults")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:] or COMMANDS)
