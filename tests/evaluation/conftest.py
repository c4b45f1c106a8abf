"""What the tests of evaluations share."""

from pathlib import Path

import pytest
import torch

from sedistill.models.presets import build_model
from sedistill.models.saving import save_model
from tests.evaluation.pairs import write_pairs


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("sets") / "street")


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "student"
    save_model(build_model("convtasnet-tiny"), folder, {"output_gain": -0.5})
    return folder
