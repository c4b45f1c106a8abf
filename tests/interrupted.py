"""Signals at random moments to whole commands, and what is left afterwards.

    python -m tests.interrupted 100     # so many signals over all commands; prints what was wrong

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

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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

    def run(self, words: Sequence[str]) -> None:
        command = [sys.executable, "-m", "sedistill", *words]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def words(self, command: str, output: str) -> list[str]:
        many = ["--clean", "many/clean", "--noise", "many/noise", "--workers", "2"]
        return {
            "prepare": ["prepare", *many, "-o", output],
            "mix": ["mix", "corpus", "--count", "70", "--set", "clip_seconds=0.5", "-o", output],
            "evaluate": ["evaluate", "model", "--on", "pairs", "--metrics", "stoi,si_sdr", "-o", output],
            "enhance": ["enhance", "model", "pairs/noisy", "-o", output],
            "train": ["train", "run.yaml", "-o", output],
        }[command]


COMMANDS = ("prepare", "mix", "evaluate", "enhance", "train")


def faults(world: World, command: str, number: int, delay: float | None) -> Iterator[str]:
    """Send a signal after `delay` seconds (None: when something is being written); tell what is wrong."""
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
        time.sleep(delay)
    with suppress(ProcessLookupError):  # it was done before
        os.killpg(process.pid, number)  # as a terminal does
    try:
        _, said = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        yield "it went unheard"
        return
    code, place = process.returncode, world.folder / output
    if "Traceback" in said and "sedistill/" in said:
        yield f"a traceback: {said}"
    begun = said.strip() or place.exists()
    if code == 128 + number:
        if "sedistill: interrupted" not in said:
            yield f"no word: {said!r}"
    elif code != 0 and (begun or code not in (-number, 1)):  # killed before Python had begun
        yield f"exit code {code}: {said}"
    whole_or_not = command not in ("enhance", "train")
    if code == 128 + number and place.exists() and whole_or_not and "is written, and whole" not in said:
        yield f"an output in spite of: {said}"
    left = [path.name for path in world.folder.rglob(".sedistill-*")]
    if left:
        yield f"left behind: {left}"
    time.sleep(0.2)
    alive = [pid for pid in os.listdir("/proc") if pid.isdigit() and _has_mark(pid, mark)]
    if alive:
        yield f"still alive: {alive}"


def _has_mark(pid: str, mark: str) -> bool:
    try:
        return mark.encode() in Path("/proc", pid, "environ").read_bytes()
    except OSError:
        return False


def main(count: int) -> None:
    choose = random.Random(0)
    wrong = 0
    with TemporaryDirectory() as folder:
        world = World.make(Path(folder))
        took = {}
        for command in COMMANDS:
            started = time.monotonic()
            world.run(world.words(command, f"whole-{command}"))
            took[command] = time.monotonic() - started
        print({command: round(seconds, 1) for command, seconds in took.items()}, flush=True)
        for trial in range(count):
            command, number = COMMANDS[trial % len(COMMANDS)], choose.choice(SIGNALS)
            delay = choose.uniform(0.15, 1.0) * took[command]
            print(end=".", flush=True)
            for fault in faults(world, command, number, delay):
                wrong += 1
                print(f"{command}, {number.name} after {delay:.2f} s: {fault}", flush=True)
    print(f"{count} signals, {wrong} faults")


if __name__ == "__main__":
    main(int(sys.argv[1]))
