import os
from pathlib import Path

import pytest

from sedistill.devices import hardware


def test_hardware_has_a_name_and_cores() -> None:
    name, cores = hardware().split(f", {os.cpu_count()} cores")
    assert name
    assert cores == "" or cores.startswith(", ")


def test_hardware_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", absent)
    assert f"{os.cpu_count()} cores" in hardware()
