import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sedistill.common import devices, parallel
from sedistill.common.devices import hardware, limit_threads, usable_cores, worker_count


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of eight cores, all allowed, whose control groups are to be written into the folder."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(devices, "CGROUPS", tmp_path)
    monkeypatch.setattr(devices, "OWN_CGROUPS", tmp_path / "own")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_hardware_has_a_name_and_cores(eight_cores: Path) -> None:
    name, cores = hardware().split(", 8 cores")
    assert name
    assert cores == "" or cores.startswith(", ")


def test_hardware_says_how_many_of_the_cores_may_be_used(
    eight_cores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert ", 1 of 8 cores" in hardware()


def test_hardware_without_proc(monkeypatch: pytest.MonkeyPatch, eight_cores: Path) -> None:
    def absent(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", absent)
    assert "8 cores" in hardware()


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("", {}, 8),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 3),
        ("0::/\n", {"cpu.max": "6400000 100000\n"}, 8),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "200000 100000\n"}, 2),
        ("0::/elsewhere\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "nonsense"}, 8),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ("4:cpu:/d/x\n", {"cpu/d/x/cpu.cfs_quota_us": "150000", "cpu/d/x/cpu.cfs_period_us": "100000"}, 2),
        ("4:cpu:/d/x\n", {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ("4:cpuset:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 8),
    ],
)
def test_a_control_groups_quota_limits_the_cores(
    eight_cores: Path, own: str, files: dict[str, str], cores: int
) -> None:
    write(eight_cores / "own", own)
    for name, text in files.items():
        write(eight_cores / name, text)
    assert usable_cores() == cores


def test_processes_and_threads_go_by_the_same_count(
    eight_cores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(eight_cores / "own", "0::/\n")
    write(eight_cores / "cpu.max", "100000 100000\n")
    monkeypatch.setattr(parallel, "ProcessPoolExecutor", lambda _: pytest.fail("a pool on one core"))
    assert parallel.parallel_map(str, range(100), None, "writing", "numbers")[99] == "99"
    assert worker_count(None) == 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    limit_threads()
    monkeypatch.undo()
    assert torch.get_num_threads() == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is Linux's")
def test_affinity_limits_the_cores() -> None:
    command = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); "
        "import sedistill.common.devices as d; "
    )
    out = subprocess.run(
        [sys.executable, "-c", command + "print(d.usable_cores())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout == "1\n"


def test_counting_cores_does_not_load_torch() -> None:
    command = "import sys, sedistill.common.parallel; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", command], check=True)
