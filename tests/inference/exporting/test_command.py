"""`sedistill export` as a user types it."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from sedistill.cli import shipping
from sedistill.inference.exporting.export import Form
from sedistill.inference.exporting.verifying import Findings


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sedistill", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_every_form_is_offered() -> None:
    assert tuple(form.value for form in shipping.Form) == get_args(Form)


def test_a_ready_made_network_is_written_and_told(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    result = run("export", "fastenhancer-t", "-o", tmp_path / "out.onnx")
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
        (["fastenhancer-t", "-o", "x.onnx", "--opset", "3"], "opset = 3: choose one from 17 to 23"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, given: list[str], said: str) -> None:
    pytest.importorskip("onnxscript")
    result = run("export", *given)
    assert result.returncode == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_what_was_found_is_a_sentence() -> None:
    assert (
        "at most, with clips of 3, 5 and 7 samples; WB-PESQ was not compared"
        in Findings(1e-7, (3, 5, 7), None).text()
    )
