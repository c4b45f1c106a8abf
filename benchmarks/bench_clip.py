"""A whole clip in PyTorch and in onnxruntime, exported with `--form clip`, on one thread.

    python benchmarks/bench_clip.py                              # the paper's Conv-TasNet student, 4 s
    python benchmarks/bench_clip.py --networks gtcrn fastenhancer-t

Both take the same clip, in turns; time is CPU time of the process, ratios are formed within a round; beside
their median stands the ratio of the shortest times, which other work on the machine disturbs least. The
weights of a preset are fresh, which changes no time. Writes benchmarks/results/clip.csv.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from results_csv import RESULTS, write_results

from sedistill import export, open_onnx
from sedistill.inference.exporting.verification_clip import check_clip
from sedistill.workflows.benchmarking.named import network_of

LEAST_RATIO = 1.5
"""Of the paper's Conv-TasNet student: how much faster than PyTorch onnxruntime has to be."""
STUDENT = "convtasnet-dispatch-student"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=[STUDENT])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measured(name, options.seconds, options.rounds) for name in options.networks]
    for row in rows:
        print(", ".join(f"{key} {value}" for key, value in row.items()))
    versions = f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}"
    write_results(rows, RESULTS / "clip.csv", f"{versions}, 1 thread, {options.rounds} rounds")


def measured(name: str, seconds: float, rounds: int) -> dict[str, object]:
    """Medians over rounds, and the range of the ratio."""
    network = network_of(name).eval()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "network.onnx"
        export(network, place, "clip")
        file = open_onnx(place)
    noisy = np.resize(check_clip(network.sample_rate)[0], round(seconds * network.sample_rate))
    clip = torch.from_numpy(noisy)[None]
    ways: dict[str, Callable[[], object]] = {
        "torch": lambda: network(clip),
        "onnxruntime": lambda: file(clip),
    }
    taken: dict[str, list[float]] = {way: [] for way in ways}
    with torch.inference_mode():
        for number in range(rounds + 1):  # the first is for warming up
            for way, run in ways.items():
                before = time.process_time()
                run()
                if number:
                    taken[way].append(time.process_time() - before)
    ratios = [slow / fast for slow, fast in zip(taken["torch"], taken["onnxruntime"], strict=True)]
    ratio = statistics.median(ratios)
    row: dict[str, object] = {"network": name, "clip_seconds": seconds}
    for way in ways:
        row[f"cpu_seconds_{way}"] = round(statistics.median(taken[way]), 4)
    row["torch_to_onnxruntime"] = round(ratio, 2)
    row["range"] = f"{min(ratios):.2f}..{max(ratios):.2f}"
    row["of_shortest"] = round(min(taken["torch"]) / min(taken["onnxruntime"]), 2)
    row["limit"] = ""
    if name == STUDENT:
        row["limit"] = f"{LEAST_RATIO:g} {'kept' if ratio >= LEAST_RATIO else 'missed'}"
    return row


if __name__ == "__main__":
    main()
