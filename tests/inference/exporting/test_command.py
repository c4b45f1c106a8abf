"""`sedistill export` as a user types it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile

import sedistill
from sedistill.cli import shipping
from sedistill.inference.exporting.command import Form
from sedistill.inference.exporting.verifying import Findings
from tests.inference.exporting.conftest import network
from tests.inference.exporting.test_export import noise

Typed = Callable[..., subprocess.CompletedProcess[str]]


def test_every_form_is_offered() -> None:
    assert tuple(form.value for form in shipping.Form) == get_args(Form)


@pytest.mark.parametrize("form", ["stream", "sherpa"])
def test_an_exported_file_enhances_as_the_network(
    exported: Callable[[str, str], Path], typed: Typed, tmp_path: Path, form: str
) -> None:
    noisy = noise(24_000)
    soundfile.write(tmp_path / "noisy.wav", noisy, 48_000, subtype="FLOAT")
    made = exported("two blocks", form)
    result = typed("enhance", tmp_path / "noisy.wav", "-o", tmp_path / "clean.wav", "--model", made)
    assert result.returncode == 0, result.stderr
    clean, _ = soundfile.read(tmp_path / "clean.wav", dtype="float32")
    wanted = sedistill.enhance(network("two blocks"), noisy, 48_000)
    assert np.abs(clean - wanted).max() < 1e-4
    (tmp_path / "broken.onnx").write_bytes(b"none")
    wrong = typed(
        "enhance", tmp_path / "noisy.wav", "-o", tmp_path / "b.wav", "--model", tmp_path / "broken.onnx"
    )
    assert wrong.returncode == 2
    assert "broken.onnx is not a model that onnxruntime can run" in wrong.stderr
    assert wrong.stderr.count("\n") == 1


def test_a_ready_made_network_is_written_and_told(tmp_path: Path) -> None:
    """In a process of its own, where a warning would be seen."""
    pytest.importorskip("onnxscript")
    command = [sys.executable, "-m", "sedistill", "export", "fastenhancer-t", "-o", tmp_path / "out.onnx"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert "from PyTorch at most" in result.stdout
    assert result.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["out.onnx"]
    assert (tmp_path / "out.onnx").stat().st_size < 600_000


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["no-such-model", "-o", "x.onnx"], "is not a saved model"),
        (["fastenhancer-t", "-o", "x.bin"], "ends in .onnx"),
        (["fastenhancer-t", "-o", "x.onnx", "--opset", "3"], "opset = 3: choose one from 18 to 23"),
    ],
)
def test_mistakes_are_one_sentence(typed: Typed, given: list[str], said: str) -> None:
    pytest.importorskip("onnxscript")
    result = typed("export", *given)
    assert result.returncode == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_what_was_found_is_a_sentence() -> None:
    assert (
        "at most, with clips of 3, 5 and 7 samples; WB-PESQ was not compared"
        in Findings(1e-7, (3, 5, 7), None).text()
    )
