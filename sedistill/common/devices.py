"""Which device computes, what it is, and how many cores there are for this process."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sedistill.common.errors import UserError

if TYPE_CHECKING:  # at run time only where it is used: counting cores must not cost its import
    import torch

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")

WAITING_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "3000"}
"""Environment in which torch's threads spin for some microseconds while they wait for each other, then sleep.

Networks of many small steps feel it: with two threads on two idle cores fastenhancer-t takes 0.14 s a step
so, 0.13 s where threads spin for milliseconds, as they do by default, and 0.36 s where they sleep at once
(0.18 s with one thread); when something else runs on one of the cores, 0.8 s so, and up to a minute where
they spin for long.
"""


def choose_device(name: str, number: int | None = None) -> torch.device:
    """The device of this name; "auto" is cuda where there is one. Raises UserError.

    number: of several processes of this machine, which this is: each has a device of its own.
    """
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"device = {name}: choose auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device = cuda: torch finds no CUDA device here; use auto or cpu.")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if number is None:
        return torch.device("cuda")
    if number >= (found := torch.cuda.device_count()):
        raise UserError(
            f"device = {name}: torch finds {found} CUDA devices here, too few for process {number} of this "
            "machine (they count from 0); start no more processes than devices (hardware.devices, torchrun's "
            "--nproc-per-node), or use cpu."
        )
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def cuda_devices() -> list[str]:
    """The GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES takes; none without CUDA."""
    import torch

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in visible.split(",") if name.strip()]
    return (names or [str(number) for number in range(found)])[:found]


def peak_memory_mb(device: torch.device) -> float:
    """The most memory this process has held, on a CUDA device there, else in main memory; 0 if not known."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource  # not on Windows
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes there, kilobytes elsewhere


def hardware() -> str:
    """The processor, the cores that this process may use, and the GPU where there is one."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass  # not Linux
    torch = sys.modules.get("torch")  # what has not been imported uses no GPU
    gpu = f", {torch.cuda.get_device_name()}" if torch and torch.cuda.is_available() else ""
    usable, cores = usable_cores(), os.cpu_count() or 1
    counted = f"{cores} cores" if usable == cores else f"{usable} of {cores} cores"
    return f"{name}, {counted}{gpu}"


def usable_cores() -> int:
    """How many cores this process may use: those of its affinity, and of its control groups' quota of time.

    Part of a core counts as one. This is the one count for processes and threads alike. Processes that
    torchrun started together on this machine (LOCAL_WORLD_SIZE) share the cores.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [math.ceil(quota) for quota in _quotas()]
    beside = os.environ.get("LOCAL_WORLD_SIZE", "")
    return max(1, min([allowed, *quotas]) // (int(beside) if beside.isdecimal() and int(beside) else 1))


def worker_count(workers: int | None) -> int:
    """The number asked for, or one a core this process may use. Raises UserError."""
    if workers is not None and workers < 1:
        raise UserError(f"workers = {workers}: it must be at least 1.")
    return usable_cores() if workers is None else workers


def threads_environment(threads: int) -> dict[str, str]:
    """Environment of a process whose torch is to use so many threads."""
    return {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), **WAITING_THREADS}


def limit_threads() -> None:
    """Let torch take no more threads than there are usable cores; it knows of affinity, not of quotas."""
    import torch

    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))


@contextmanager
def keeping_torch_state() -> Iterator[None]:
    """Torch's threads and its random numbers on the CPU are afterwards what they were."""
    import torch

    threads = torch.get_num_threads()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)


def _quotas() -> list[float]:
    """The cores' worth of time that each control group around this process is given, where it is limited."""
    try:
        lines = OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []  # not Linux
    quotas = []
    for line in lines:
        _, controllers, place = line.split(":", 2)
        for folder in _upwards(place):
            if not controllers:  # version 2
                quotas.append(_ratio(CGROUPS / folder / "cpu.max"))
            elif "cpu" in controllers.split(","):
                group = CGROUPS / "cpu" / folder
                quotas.append(_ratio(group / "cpu.cfs_quota_us", group / "cpu.cfs_period_us"))
    return [quota for quota in quotas if quota is not None]


def _upwards(place: str) -> list[str]:
    """A control group and those around it; in a container only the outermost may be there to be seen."""
    parts = [part for part in place.split("/") if part]
    return ["/".join(parts[:count]) for count in range(len(parts), -1, -1)]


def _ratio(*paths: Path) -> float | None:
    """Quota over period from one file "quota period" or from two; None where there is no limit."""
    try:
        quota, period = " ".join(path.read_text(encoding="utf-8") for path in paths).split()[:2]
        share = float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None  # no such file, or "max"
    return share if 0 < share < math.inf else None  # version 1 says -1 for no limit
