"""A tiny world to train in: a few short clips, a network of a few hundred parameters, a recipe."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import yaml

from sedistill.models.presets import build_model
from sedistill.models.saving import save_model

RATE = 16_000
CLIP_SAMPLES = 2_400
TINY_NETWORK = {
    "class": "ConvTasNet", "filters": 8, "filter_length": 32, "bottleneck": 4, "hidden": 6, "skip": 0,
    "blocks": 2, "repeats": 1, "deep_layers": 0,
}  # fmt: skip


def write_pairs(folder: Path, clips: int, seed: int, samples: int = CLIP_SAMPLES) -> Path:
    """Pairs of a gliding tone and the same with noise, as noisy/ and clean/."""
    random = np.random.default_rng(seed)
    time = np.arange(samples) / RATE
    for index in range(clips):
        pitch = random.uniform(150, 400)
        clean = 0.1 * np.sin(2 * np.pi * pitch * time * (1 + 0.2 * time))
        noisy = clean + 0.05 * random.standard_normal(samples)
        for kind, sound in (("clean", clean), ("noisy", noisy)):
            path = folder / kind / f"{index:03d}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            sf.write(path, sound.astype(np.float32), RATE)
    return folder


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A folder with train/ and valid/ pairs and a saved teacher/."""
    import torch

    write_pairs(tmp_path / "train", clips=12, seed=1)
    write_pairs(tmp_path / "valid", clips=4, seed=2)
    torch.manual_seed(99)
    save_model(build_model({**TINY_NETWORK, "filters": 12}), tmp_path / "teacher", {"output_gain": 0.8})
    return tmp_path


@pytest.fixture
def write_recipe(world: Path) -> Callable[..., Path]:
    """Write a recipe with the given keys changed; returns its path."""

    def write(name: str = "run", **changes: Any) -> Path:
        recipe: dict[str, Any] = {
            "name": name,
            "student": TINY_NETWORK,
            "data": {"train": str(world / "train"), "valid": str(world / "valid")},
            "optimiser": {"batch_size": 4, "max_epochs": 3},
            "hardware": {"device": "cpu", "threads": 1},
            "logging": {"every_steps": 2, "gradients_every_steps": 2},
        }
        for key, value in changes.items():
            merges = isinstance(value, dict) and key != "student"
            recipe[key] = {**recipe.get(key, {}), **value} if merges else value
        path = world / f"{name}.yaml"
        path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
        return path

    return write


@pytest.fixture
def distilled(world: Path) -> dict[str, Any]:
    """Keys that turn the recipe into distillation with the full method."""
    return {
        "teacher": str(world / "teacher"),
        "objectives": [{"loss": "dfkd", "keep": 0.8, "patches": "multi-scale"}],
    }
