"""What a frame of a stream costs on one thread: `sedistill.Stream` in PyTorch, and exported, in onnxruntime.

    python benchmarks/bench_stream.py [--rounds 5] [--frames 300] [--networks fastenhancer-t fastenhancer-b]

Both take one frame at a time, in turns within a round, on the same sound; ratios are formed within a round
and their medians quoted. Real-time factors are CPU time over the frame's length (a busy machine counts
little there), p99 is time on the clock, that of the calmest round.
"""

import argparse
import gc
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from results_csv import RESULTS, write_results

from sedistill import export
from sedistill.inference.exporting.verification_clip import check_clip
from sedistill.workflows.benchmarking.named import network_of
from sedistill.workflows.benchmarking.runners import opened

MOST_REAL_TIME, MOST_RATIO = 0.015, 3.0
"""Of the ready-made fastenhancer-t: its real-time factor in onnxruntime, and PyTorch against that."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--networks", nargs="+", default=["fastenhancer-t", "fastenhancer-b", "gtcrn"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in options.networks:
        row = measured(name, options.rounds, options.frames)
        print(", ".join(f"{key} {value}" for key, value in row.items()))
        rows.append(row)
    note = (
        f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, 1 thread, {options.rounds} rounds"
    )
    write_results(rows, RESULTS / "stream.csv", note)


def measured(name: str, rounds: int, frames: int) -> dict[str, object]:
    """Medians over rounds of `frames` frames each."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "network.onnx"
        export(network_of(name), place)
        ways = {"torch": opened("eager", name, 1), "onnxruntime": opened("onnx", str(place), 1)}
    gc.collect()
    gc.freeze()  # what exporting left is not searched through while frames are timed
    size, rate = ways["torch"].step_samples, ways["torch"].sample_rate
    assert size is not None
    noisy = np.resize(check_clip(rate)[0], frames * size)
    cpu: dict[str, list[float]] = {way: [] for way in ways}
    clock: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):  # the first is for warming up
        for way, runner in ways.items():
            assert runner.steps is not None
            before = time.process_time()
            times = runner.steps(noisy)
            if number:
                cpu[way].append((time.process_time() - before) / frames)
                clock[way].append(times)
    seconds = size / rate
    ratio = statistics.median(a / b for a, b in zip(cpu["torch"], cpu["onnxruntime"], strict=True))
    real_time = {way: statistics.median(cpu[way]) / seconds for way in ways}
    row: dict[str, object] = {"network": name, "frame_ms": 1000 * seconds}
    for way in ways:
        row[f"real_time_{way}"] = round(real_time[way], 4)
        row[f"p50_ms_{way}"] = round(1000 * float(np.quantile(clock[way], 0.5)), 3)
        row[f"p99_ms_{way}"] = round(1000 * min(float(np.quantile(one, 0.99)) for one in clock[way]), 3)
    row["torch_to_onnxruntime"] = round(ratio, 2)
    row["limits"] = ""
    if name == "fastenhancer-t":
        limits = [(real_time["onnxruntime"], MOST_REAL_TIME), (ratio, MOST_RATIO)]
        row["limits"] = ", ".join(
            f"{most:g} {'kept' if value <= most else 'missed'}" for value, most in limits
        )
    return row


if __name__ == "__main__":
    main()
