"""An exported stream in fp32, int8 and fp16 on one thread of the CPU: time and size.

    python benchmarks/bench_precisions.py

The files of a network take one frame at a time, in turns within a round, on the same sound; CPU time, and
ratios within a round. int8 is calibrated on a clip made on the spot. Writes results/precisions.csv.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
import torch
from results_csv import RESULTS, write_results

from sedistill import export
from sedistill.inference.exporting.coarsening import Precision
from sedistill.inference.exporting.verification_clip import check_clip
from sedistill.workflows.benchmarking.named import network_of
from sedistill.workflows.benchmarking.runners import opened

PRECISIONS: tuple[Precision, ...] = ("fp32", "int8", "fp16")
ANY_LOSS = 5.0  # of WB-PESQ: here the time is what counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--networks", nargs="+", default=["fastenhancer-t", "fastenhancer-b"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for name in options.networks for row in measured(name, options.rounds, options.frames)]
    for row in rows:
        print(", ".join(f"{key} {value}" for key, value in row.items()))
    note = f"onnxruntime {onnxruntime.__version__}, 1 thread, {options.rounds} rounds"
    write_results(rows, RESULTS / "precisions.csv", note)


def measured(name: str, rounds: int, frames: int) -> list[dict[str, object]]:
    """A row for each precision: medians over rounds of `frames` frames each."""
    network = network_of(name)
    rate, size = network.sample_rate, network.step_samples
    assert size is not None
    noisy = check_clip(rate)[0]
    taken: dict[Precision, list[float]] = {precision: [] for precision in PRECISIONS}
    kilobytes = {}
    with tempfile.TemporaryDirectory() as folder:
        soundfile.write(Path(folder) / "noisy.wav", noisy, rate)
        files = {precision: Path(folder) / f"{precision}.onnx" for precision in PRECISIONS}
        for precision, place in files.items():
            export(
                network,
                place,
                precision=precision,
                calibrate=Path(folder) / "noisy.wav",
                max_pesq_loss=ANY_LOSS,
            )
            kilobytes[precision] = round(place.stat().st_size / 1000)
        ways = {precision: opened("onnx", str(place), 1) for precision, place in files.items()}
    sound = np.resize(noisy, frames * size)
    for number in range(rounds + 1):  # the first is for warming up
        for precision, runner in ways.items():
            assert runner.steps is not None
            before = time.process_time()
            runner.steps(sound)
            if number:
                taken[precision].append((time.process_time() - before) / (frames * size / rate))
    return [
        {
            "network": name,
            "precision": precision,
            "real_time": round(statistics.median(times), 4),
            "over_fp32": round(
                statistics.median(a / b for a, b in zip(times, taken["fp32"], strict=True)), 2
            ),
            "kilobytes": kilobytes[precision],
        }
        for precision, times in taken.items()
    ]


if __name__ == "__main__":
    main()
