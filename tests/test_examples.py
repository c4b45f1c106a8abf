"""The examples run, and stay as short as they promise."""

import importlib.util
from pathlib import Path
from types import ModuleType

EXAMPLES = Path(__file__).parent.parent / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_minimal_learns() -> None:
    # The mixtures have 5 dB; an untrained network gives far less.
    results = load("minimal").main(teacher_steps=30, student_steps=30)
    assert results["teacher"] > 9
    assert results["student"] > 8


def test_minimal_is_minimal() -> None:
    assert len((EXAMPLES / "minimal.py").read_text().splitlines()) < 80
