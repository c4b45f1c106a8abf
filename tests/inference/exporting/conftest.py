"""Small networks with moving statistics, and their exported files; each is exported once."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sedistill import export
from sedistill.models.base import SpeechEnhancer
from sedistill.models.presets import build_model

SMALL = {"class": "FastEnhancer", "channels": 8, "convolutions": 1, "units": 8, "bands": 5}
DESCRIBED = {
    "two blocks": {**SMALL, "blocks": 2},
    "five blocks": {**SMALL, "blocks": 5},
    "other hop": {**SMALL, "blocks": 1, "hop_length": 160},
    "no steps": {"preset": "convtasnet-tiny", "blocks": 2, "repeats": 1},
}


def network(name: str) -> SpeechEnhancer:
    torch.manual_seed(0)
    model = build_model(DESCRIBED[name])
    with torch.no_grad():
        if name != "no steps":
            model.exit.bias.copy_(torch.tensor([0.6, 0.1]))
        for _ in range(3):
            model.train()(0.1 * torch.randn(2, 4000))
    model.output_gain = 1.25
    return model.eval()


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    folder, made = tmp_path_factory.mktemp("exported"), {}

    def file(name: str, form: str) -> Path:
        if (name, form) not in made:
            path = folder / f"{name}-{form}.onnx".replace(" ", "-")
            made[name, form] = export(network(name), path, form), path  # type: ignore[arg-type]
        return made[name, form][1]

    return file
