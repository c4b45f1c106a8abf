"""Which device computes, and what it is."""

import os
import platform
import sys
from pathlib import Path

import torch

from sedistill.errors import UserError


def choose_device(name: str) -> torch.device:
    """The device of this name; "auto" is cuda where there is one. Raises UserError."""
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"device = {name}: choose auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device = cuda: torch finds no CUDA device here; use auto or cpu.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def peak_memory_mb(device: torch.device) -> float:
    """The most memory this process has held, on a CUDA device there, else in main memory; 0 if not known."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource  # not on Windows
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes there, kilobytes elsewhere


def hardware() -> str:
    """The processor with its cores, and the GPU where there is one."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass  # not Linux
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}, {os.cpu_count()} cores{gpu}"
