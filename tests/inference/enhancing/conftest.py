"""Networks of a line, and sound to give them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sedistill.inference.enhancing import file_jobs
from sedistill.models.presets import build_model
from sedistill.models.saving import save_model

RATE = 16_000


class Unchanged(nn.Module):
    """A network that gives its input back and notes the lengths it saw."""

    sample_rate = RATE

    def __init__(self, output_gain: float = 1.0) -> None:
        super().__init__()
        self.output_gain = output_gain
        self.lengths: list[int] = []

    def forward(self, noisy: Tensor) -> Tensor:
        self.lengths.append(noisy.shape[1])
        return noisy


class Powers(Unchanged):
    """Overflows on loud input, as every network does."""

    def forward(self, noisy: Tensor) -> Tensor:
        return noisy**2 - noisy**2 * 1.0


def music(samples: int, channels: int = 1, sample_rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Sound below 3 kHz, so that it survives every rate used here; (samples, channels), different in each."""
    random = np.random.default_rng(seed)
    time = np.arange(samples)[:, None] / sample_rate
    tones = random.uniform(100, 3000, size=(8, channels))
    phases = random.uniform(0, 6, size=(8, channels))
    return (0.06 * np.sin(2 * np.pi * tones[:, None] * time + phases[:, None]).sum(axis=0)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "student"
    save_model(build_model("convtasnet-tiny"), folder, {"output_gain": -0.5})
    return folder


@pytest.fixture
def unchanged(monkeypatch: pytest.MonkeyPatch) -> Unchanged:
    """In place of every saved model: a network that changes nothing, so files can be compared."""
    network = Unchanged()
    monkeypatch.setattr(file_jobs, "load_model", lambda *_: network)
    return network
