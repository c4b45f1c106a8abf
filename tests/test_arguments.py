"""Every command with arguments that cannot be meant: exit code 2, words on stderr, nothing written.

All of it by hand, one after the other:  python -m tests.test_arguments
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import yaml

from sedistill.data.preparation import prepare
from sedistill.models.presets import build_model
from sedistill.models.saving import save_model
from sedistill.training.run import train
from sedistill.workflows.reproducing.shipped import copy_recipes
from tests.evaluation.evaluations import write_evaluation
from tests.nonsense import Outcome, run_command
from tests.training.conftest import TINY_NETWORK, write_pairs

LONG = "x" * 300
SECONDS = 120  # for a machine that does much else

# A line of each command that would work.
LINES: dict[str, list[str]] = {
    "prepare": ["{good}/sound", "-o", "{out}"],
    "mix": ["{good}/corpus", "-o", "{out}"],
    "train": ["{good}/run.yaml", "-o", "{out}"],
    "evaluate": ["{good}/model", "--on", "{good}/pairs", "-o", "{out}"],
    "compare": ["{good}/scores", "-o", "{out}"],
    "analyze": ["{good}/run", "-o", "{out}"],
    "crossover": ["{good}/pairs/clean/000.flac", "-o", "{out}.svg"],
    "reproduce": ["{good}/recipes/dispatch/table1", "--data", "{good}/sound", "-o", "{out}"],
    "enhance": ["{good}/pairs/noisy/000.flac", "--model", "{good}/model", "-o", "{out}.flac"],
    "check": ["{dir}"],
    "demo": ["-o", "{file}"],
    "models": [],
}
PATHS = ["{long}", "", "{dir}/none", "{file}", "{dir}", "{file}/below", "/dev/null", "{dir}/{long}/x", "."]
OPTIONS: dict[str, list[list[str]]] = {
    "prepare": [
        *(["--workers", number] for number in ("0", "-1", "5000", "1e9", "x", "")),
        *(["--sample-rate", number] for number in ("0", "-1", str(10**12), "1e12", "3", "nan", "16000.5")),
        *(["--seed", number] for number in ("-1", str(10**30), "1.5", "x")),
        *(["--layout", name] for name in ("x", "", LONG)),
        ["--speaker-from", "("], ["--speaker-from", "x"], ["--noise-from", "[" * 50],
        ["--valid-speakers", ","],
        ["--clean", "{file}"], ["--clean", "{dir}/none", "--noise", "{dir}"], ["--noisy", ""],
    ],
    "mix": [
        *(["--count", number] for number in ("0", "-1", str(10**12), "1e3", "x")),
        *(["--seed", number] for number in ("-1", str(10**30), "x")),
        *(["--split", name] for name in ("", "nosuch", "../x", LONG)),
        *(["--set", text] for text in ("", "=", "x", "x=1", "snr_db_low=", "snr_db_low=nan", "snr_db_low=[1]",
                                       "clip_seconds=1e-9", "clip_seconds=1e30", "level_db=true",
                                       "snr_db_low=30", "a.b.c=1", "snr_on=!!bool x")),
        ["--grid", "--count", "3"], ["--grid"], ["--grid", "--set", "snr_db=x"],
    ],
    "train": [["nonsense"], ["batch-size=4"], ["=1"], ["seed=-1"], ["--plan", "name=../x"]],
    "evaluate": [
        *(["--metrics", text] for text in (",", "", "nosuch", "si_sdr,nosuch", LONG)),
        *(["--workers", number] for number in ("0", "-1", "5000", "1e9")),
        ["--on", "{file}"], ["--on", ""], ["--on="],
    ],
    "compare": [["--metrics", ","], ["--methods", ","], ["--metrics", "nosuch"], ["--baseline", ""],
                ["--teacher", LONG]],
    "analyze": [["--bin-reduction", "x"], ["--converging-below", "nan"], ["--exploding-above", "inf"],
                ["--converging-below", "x"], ["--teacher", "{dir}/none"]],
    "crossover": [
        *(["--start", number] for number in ("nan", "-1", "inf", "1e30", "x")),
        *(["--seconds", number] for number in ("nan", "0", "1e9", "-1")),
        *(["--min-bin", number] for number in ("-1", "256", "1.5")),
        ["--model", "{dir}/none"],
    ],
    "reproduce": [
        *(["--jobs", number] for number in ("0", "-1", "5000", "x")),
        *(["--seeds", number] for number in ("0", str(10**9), "1e3")),
        ["--scale", "nonsense"], ["--scale", ""], ["--only", "nosuch"], ["--only", ""], ["--set", "x"],
        ["--set", "="], ["--data", "{file}"],
    ],
    "enhance": [["--device", "tpu"], ["--device", ""], ["--device", "cuda:99"]],
    "check": [],
    "demo": [],
    "models": [],
}  # fmt: skip


def make_world(folder: Path) -> Path:
    """What the lines name: sound/, corpus/, run.yaml, pairs/, model/, scores/, recipes/ and run/."""
    write_pairs(folder / "pairs", clips=4, seed=1)
    for kind in ("clean", "noise"):
        shutil.copytree(folder / "pairs" / "noisy", folder / "sound" / kind)
    random = np.random.default_rng(0)
    for path in (folder / "sound").rglob("*.flac"):
        sf.write(path, 0.1 * random.standard_normal(16_000), 16_000)
    prepare(folder / "corpus", clean=folder / "sound" / "clean", noise=folder / "sound" / "noise")
    save_model(build_model(TINY_NETWORK), folder / "model")
    write_evaluation(folder / "scores", {"a/seed-0": [1.0] * 8, "b/seed-0": [2.0] * 8})
    copy_recipes("dispatch", folder / "recipes")
    recipe = {
        "name": "run",
        "student": TINY_NETWORK,
        "data": {"train": str(folder / "pairs"), "valid": str(folder / "pairs")},
        "optimiser": {"batch_size": 2, "max_epochs": 2},
        "hardware": {"device": "cpu", "threads": 1},
        "patch_record": {"clips": 1, "every_steps": 1},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    train(folder / "run.yaml", output=folder / "run")
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("good"))


def lines_of(command: str) -> Iterator[list[str]]:
    """Each line of a command with one thing wrong in it (or, for paths, more)."""
    line = LINES[command]
    for place, argument in enumerate(line):
        if argument.startswith("{") and command != "demo":
            if line[place - 1] != "-o" or place == 0:
                yield from ([*line[:place], path, *line[place + 1 :]] for path in PATHS)
            else:
                yield from (
                    [*line[:place], path, *line[place + 1 :]] for path in ("", "{long}", "{file}/below")
                )
    yield [*line, "--nonsense"]
    yield [*line, "--nonsense", "3"]
    yield ["--output"]
    if line and command != "check":
        yield line[:-1]
    if command in ("mix", "crossover", "demo", "models", "prepare", "reproduce"):
        yield [*line, "more", "and more"]
    if command == "demo":
        yield line
        yield ["-o", "{file}/below"]
        yield ["-o", ""]
        yield ["-o", "{long}"]
    yield from ([*line, *more] for more in OPTIONS[command])


def run_in(good: Path, place: Path, command: str, line: list[str]) -> tuple[Outcome, list[str]]:
    """The outcome of one line, and what lies in `place` afterwards that was not there."""
    (place / "dir").mkdir(exist_ok=True)
    (place / "file").write_text("hello: [")
    names = {"good": good, "dir": place / "dir", "file": place / "file", "out": place / "out", "long": LONG}
    before, here = set(place.rglob("*")), Path.cwd()
    os.chdir(place)
    try:
        outcome = run_command([command, *(text.format(**names) for text in line)], SECONDS)
    finally:
        os.chdir(here)
    return outcome, sorted(str(path) for path in set(place.rglob("*")) - before)


def fault_of(command: str, outcome: Outcome, new: list[str]) -> str:
    """What is wrong with an outcome; "" if nothing."""
    if outcome.trace or "Traceback" in outcome.words:
        return "a traceback"
    if outcome.code != 2 and not (command == "check" and outcome.code == 1):
        return f"exit code {outcome.code}"
    if outcome.code == 2 and not outcome.words.strip():
        return "no word on stderr"
    return f"written: {new}" if new else ""


@pytest.mark.parametrize("command", LINES)
def test_a_line_that_cannot_be_meant_ends_in_words(good: Path, tmp_path: Path, command: str) -> None:
    faults = []
    for line in lines_of(command):
        outcome, new = run_in(good, tmp_path, command, line)
        if fault := fault_of(command, outcome, new):
            faults.append((line, fault, outcome.words[-300:], outcome.trace[-600:]))
    assert faults == []


if __name__ == "__main__":
    count, world = 0, make_world(Path(tempfile.mkdtemp()))
    for name in LINES:
        for one in lines_of(name):
            with tempfile.TemporaryDirectory() as folder:
                found, left = run_in(world, Path(folder), name, one)
            count += 1
            if told := fault_of(name, found, left):
                print(
                    name,
                    [text[:80] for text in one],
                    told,
                    found.words[-300:],
                    found.trace[-900:],
                    flush=True,
                )
    print(f"{count} lines")
