"""examples/run_onnx.py does what the network does, with three packages."""

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

import sedistill
from tests.inference.exporting.conftest import network
from tests.inference.exporting.test_export import noise

PLACE = Path(__file__).parents[3] / "examples" / "run_onnx.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PLACE), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_a_file_comes_out_as_ours(exported: Callable[[str, str], Path], tmp_path: Path) -> None:
    noisy = np.stack([noise(10_001), noise(10_001, 1)])
    soundfile.write(tmp_path / "noisy.wav", noisy.T, 16_000, subtype="FLOAT")
    result = run(exported("two blocks", "stream"), tmp_path / "noisy.wav", tmp_path / "clean.wav")
    assert result.returncode == 0, result.stderr
    clean, rate = soundfile.read(tmp_path / "clean.wav", dtype="float32")
    wanted = sedistill.enhance(network("two blocks"), noisy, 16_000, chunk_seconds=None)
    assert rate == 16_000
    assert clean.shape == noisy.T.shape
    assert np.abs(clean.T - wanted).max() < 1e-5


def test_another_rate_and_another_form_are_told(exported: Callable[[str, str], Path], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "noisy.wav", noise(800), 8000)
    result = run(exported("two blocks", "stream"), tmp_path / "noisy.wav", tmp_path / "clean.wav")
    assert "has 8000 Hz and the network works at 16000 Hz" in result.stderr
    result = run(exported("two blocks", "sherpa"), tmp_path / "noisy.wav", tmp_path / "clean.wav")
    assert "is no stream; export it with --form stream" in result.stderr
    assert not (tmp_path / "clean.wav").exists()


def test_three_packages_are_enough_and_it_stays_short() -> None:
    text = PLACE.read_text(encoding="utf-8")
    names = [
        alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import)
        for alias in node.names
    ]
    assert sorted(names) == ["json", "numpy", "onnxruntime", "soundfile", "sys"]
    assert len(text.splitlines()) <= 40
