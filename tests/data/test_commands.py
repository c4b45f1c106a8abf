"""`sedistill prepare` and `sedistill mix` as a user types them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .sounds import RATE, save, speech_and_noise


def sedistill(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from sedistill.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})


def test_from_folders_to_a_set_of_mixtures(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds")
    (clean / "s0/words.wav").write_text("words\n" * 100)
    made = sedistill("prepare", "--clean", clean, "--noise", noises, "-o", tmp_path / "corpus")
    assert made.returncode == 0, made.stderr
    assert "1  not audio" in made.stdout
    mixed = sedistill(
        "mix", tmp_path / "corpus", "-o", tmp_path / "set", "--count", 3, "--set", "clip_seconds=1"
    )  # fmt: skip
    assert mixed.returncode == 0, mixed.stderr
    assert "3 mixtures of split test" in mixed.stdout
    assert len(list((tmp_path / "set/noisy").iterdir())) == 3


@pytest.mark.parametrize("mistake", ["missing", "empty", "silent", "existing"])
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path, mistake: str) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds", speakers=1, classes=1, files=1)
    output = tmp_path / "corpus"
    if mistake == "missing":
        noises = tmp_path / "nowhere"
    elif mistake == "empty":
        noises = tmp_path / "empty"
        noises.mkdir()
    elif mistake == "silent":
        noises = save(tmp_path / "silent/a.wav", np.zeros(RATE)).parent
    else:
        output = tmp_path / "sounds"
    before = sorted(tmp_path.rglob("*"))
    run = sedistill("prepare", "--clean", clean, "--noise", noises, "-o", output)
    lines = [line for line in run.stderr.splitlines() if not line.startswith("Checking:")]
    assert run.returncode == 2
    assert run.stdout == ""
    assert len(lines) == 1
    assert str(output if mistake == "existing" else noises) in lines[0]
    assert sorted(tmp_path.rglob("*")) == before
