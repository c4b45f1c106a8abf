"""What enhancing a long file costs in memory and time.

    python benchmarks/bench_enhance.py [--minutes 60] [--output FOLDER]

Runs `sedistill enhance` in a process of its own on generated noise, and quotes its peak memory (resident,
with Python and torch) and CPU seconds a second of audio, one thread. Memory does not depend on the length:
the rows of different minutes show that. Starting takes about 2 CPU seconds, which counts in the short ones.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from results_csv import RESULTS, write_results

from sedistill.models.presets import build_model
from sedistill.models.saving import save_model

LIMIT_MB = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="length of the longest file")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    cases = [
        ("convtasnet-tiny", 1.0, 16_000, 1),
        ("convtasnet-tiny", options.minutes, 16_000, 1),
        ("convtasnet-tiny", options.minutes / 6, 44_100, 2),
        ("convtasnet-dispatch-student", 1.0, 16_000, 1),
        ("convtasnet-dispatch-student", 5.0, 16_000, 1),
    ]
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for case in cases:
            rows.append(measure(Path(temporary), *case))
            print(rows[-1], flush=True)
            write_results(rows, options.output / "enhance.csv")


def measure(folder: Path, preset: str, minutes: float, sample_rate: int, channels: int) -> dict[str, object]:
    model, source, target = folder / preset, folder / "long.flac", folder / "enhanced.flac"
    if not model.exists():
        save_model(build_model(preset), model)
    write_noise(source, minutes, sample_rate, channels)
    command = "import sys; from sedistill.cli import app; sys.argv[0] = 'sedistill'; app()"
    arguments = [
        "enhance", str(source), "--model", str(model), "-o", str(target), "--overwrite", "--device", "cpu",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", command, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"enhancing failed: {preset}, {minutes} minutes")
    return {
        "preset": preset,
        "minutes": minutes,
        "sample_rate": sample_rate,
        "channels": channels,
        "peak_mb": round(usage.ru_maxrss / 1024),
        "limit_mb": LIMIT_MB,
        "cpu_seconds_per_second": round((usage.ru_utime + usage.ru_stime) / (60 * minutes), 4),
    }


def write_noise(path: Path, minutes: float, sample_rate: int, channels: int) -> None:
    random = np.random.default_rng(0)
    minute = (0.05 * random.standard_normal((60 * sample_rate, channels))).astype(np.float32)
    with soundfile.SoundFile(path, "w", sample_rate, channels, "PCM_16") as file:
        for _ in range(int(minutes)):
            file.write(minute)
        file.write(minute[: round(minutes % 1 * len(minute))])


if __name__ == "__main__":
    main()
