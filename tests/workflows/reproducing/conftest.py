"""A tiny paper with one table, and a few seconds of recordings to make it with."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import yaml

RATE = 16_000
NETWORK = {
    "class": "ConvTasNet", "filters": 8, "filter_length": 32, "bottleneck": 4, "hidden": 6, "skip": 0,
    "blocks": 2, "repeats": 1, "deep_layers": 0,
}  # fmt: skip
MIXING = {"snr_db_low": 0, "snr_db_high": 10, "clip_seconds": 0.5}
TABLE = {
    "title": "Table 1: three rows",
    "paper": "Tiny (2020)",
    "views": {"test": {"title": "Test", "set": "test", "metrics": ["si_sdr"]}},
    "rows": [
        {"key": "teacher", "label": "T", "recipe": "table1/teacher", "seeds": 1, "paper": {"test": [9.0]}},
        {"key": "alone", "label": "Alone", "recipe": "table1/alone", "paper": {"test": [7.0]}},
        {"key": "l2", "label": "L2", "recipe": "table1/l2", "paper": {"test": [None]}, "note": "Remarkable."},
        {"key": "quoted", "label": "Quoted", "paper": {"test": [5.0]}},
    ],
    "scales": {
        "full": {
            "corpora": {"speech": {"layout": "folders", "hours": 1}},
            "sets": {"test": {"label": "The test set", "corpus": "speech", "count": 5}},
        },
        "small": {
            "corpora": {"speech": {"layout": "folders", "hours": 1}},
            "sets": {
                "train": {"corpus": "speech", "split": "train", "count": 8, "mixing": MIXING},
                "valid": {"corpus": "speech", "split": "valid", "count": 2, "mixing": MIXING},
                "test": {"label": "A few mixtures", "corpus": "speech", "count": 3, "mixing": MIXING},
            },
            "recipe": {
                "data": {"train": "sets/train", "valid": "sets/valid"},
                "optimiser": {"batch_size": 4, "max_steps": 2},
                "logging": {"gradients_every_steps": 1},
            },
            "networks": {"gtcrn": {"student": NETWORK}},
            "recipes": {"tiny/table1/teacher": {"optimiser": {"max_steps": 4}}},
        },
    },
}  # fmt: skip
RECIPES = {
    "base": {"data": {"train": "corpora/speech", "valid": "sets/valid"}, "student": "gtcrn"},
    "table1/teacher": {"base": "../base.yaml", "name": "tiny/table1/teacher"},
    "table1/alone": {"base": "../base.yaml", "name": "tiny/table1/alone"},
    "table1/l2": {
        "base": "../base.yaml",
        "name": "tiny/table1/l2",
        "teacher": "runs/tiny/table1/teacher/seed-0/student",
        "objectives": [{"loss": "l2"}],
    },
}


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    return write_paper(tmp_path)


def write_paper(folder: Path) -> Path:
    """The folder of the paper; its table is in table1/."""
    for name, content in {**RECIPES, "table1/table": TABLE}.items():
        path = folder / "tiny" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return folder / "tiny"


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    return write_recordings(tmp_path)


def write_recordings(folder: Path) -> Path:
    """clean/ and noise/ with train, valid and test in each."""
    random = np.random.default_rng(0)
    time = np.arange(RATE) / RATE
    for split in ("train", "valid", "test"):
        for number in range(2):
            pitch = random.uniform(150, 400)
            clean = 0.1 * np.sin(2 * np.pi * pitch * time * (1 + 0.2 * time)) * (1 + np.sin(25 * time))
            noise = 0.05 * random.standard_normal(RATE)
            for kind, sound in (("clean", clean), ("noise", noise)):
                path = folder / "recordings" / kind / split / f"group{number}of{split}" / "a.flac"
                path.parent.mkdir(parents=True)
                sf.write(path, sound.astype(np.float32), RATE)
    return folder / "recordings"
