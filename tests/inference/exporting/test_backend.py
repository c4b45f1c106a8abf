"""A saved model in onnxruntime for one run: as in PyTorch, level and all, and nothing is left behind."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import sedistill
from sedistill.cli import app
from sedistill.inference.exporting.running import OnnxClip
from sedistill.models.saving import save_model
from tests.inference.exporting.conftest import network
from tests.inference.exporting.test_export import noise

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("name", ["other hop", "no steps"])
def test_it_is_the_network(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sedistill.inference.exporting.backend import in_onnxruntime

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model, noisy = network(name), noise(20_000)
    model.output_gain = -0.5
    opened, findings = in_onnxruntime(model)
    assert isinstance(opened, OnnxClip)
    assert findings.difference < 1e-4
    for correct_level in (True, False):
        got, wanted = (sedistill.enhance(one, noisy, 16_000, correct_level) for one in (opened, model))
        np.testing.assert_allclose(got, wanted, atol=1e-5)
    assert not list(tmp_path.glob("sedistill-*"))


def test_the_command_has_it(tmp_path: Path) -> None:
    save_model(network("no steps"), tmp_path / "model", {"output_gain": 0.8})
    soundfile.write(tmp_path / "in.wav", noise(9000), 16_000, subtype="FLOAT")
    for backend in ("torch", "onnx"):
        target = tmp_path / f"{backend}.wav"
        arguments = ["enhance", tmp_path / "in.wav", "-o", target, "--model", tmp_path / "model"]
        result = CliRunner().invoke(app, [*map(str, arguments), "--backend", backend])
        assert result.exit_code == 0, result.output
    one, other = (soundfile.read(tmp_path / f"{backend}.wav")[0] for backend in ("torch", "onnx"))
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.abs(one).max() > 1e-3
