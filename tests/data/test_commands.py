"""`sedistill prepare` and `sedistill mix` as a user types them."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from .sounds import RATE, save, speech_and_noise

Typed = Callable[..., CompletedProcess[str]]


@pytest.fixture
def sedistill(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """On a wide console."""
    monkeypatch.setenv("COLUMNS", "200")
    return typed


def test_from_folders_to_a_set_of_mixtures(tmp_path: Path, sedistill: Typed) -> None:
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
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path, sedistill: Typed, mistake: str) -> None:
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
