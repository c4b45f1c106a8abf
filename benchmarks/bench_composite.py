"""What CSIG, CBAK and COVL cost beside the wide-band PESQ inside them, and how far a plain loop is from them.

    python benchmarks/bench_composite.py [--data SET] [--rounds 15] [--output FOLDER]

One clip of 10 s, one thread, CPU time. Each round times PESQ alone, the three composite metrics together
(PESQ included, computed once) and the frame distances alone; the ratio is formed within a round and its
median quoted. The plain loop, frame by frame, runs once. SET is a folder with noisy/ and clean/ (also
pairs/vbdemand_test of SEDISTILL_DATA), whose first files are joined; without it the clip is generated.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np
from results_csv import RESULTS, write_results

from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.composite import Distances, frame_distances
from sedistill.evaluation.metrics import METRICS
from sedistill.evaluation.pesq_mos import pesq_wb

sys.path.insert(0, str(Path(__file__).parents[1]))  # the plain loop lives with the tests
from tests.evaluation.reference_composite import reference_distances
from tests.evaluation.signals import noise, speech_like

RATE = 16_000
SECONDS = 10
COMPOSITES = ("csig", "cbak", "covl")
REAL_PAIRS = "pairs/vbdemand_test"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with noisy/ and clean/")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    data = os.environ.get("SEDISTILL_DATA")
    folder = options.data or (Path(data) / REAL_PAIRS if data else None)
    clean, noisy = joined_pairs(folder) if folder else generated_clip()
    kind = "real" if folder else "generated"
    write_results([measure(clean, noisy, options.rounds, kind)], options.output / f"composite-{kind}.csv")


def joined_pairs(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    pairs = FixedSet(folder)
    noisy, clean = zip(*(pairs[index] for index in range(min(len(pairs), SECONDS))), strict=True)
    return np.concatenate(clean)[: SECONDS * RATE], np.concatenate(noisy)[: SECONDS * RATE]


def generated_clip() -> tuple[np.ndarray, np.ndarray]:
    clean = speech_like(SECONDS)
    return clean, clean + noise(len(clean))


def measure(clean: np.ndarray, noisy: np.ndarray, rounds: int, kind: str) -> dict[str, object]:
    loop = Distances(*reference_distances(clean, noisy))
    fast, pesq = frame_distances(clean, noisy, RATE), pesq_wb(clean, noisy, RATE)
    formulas = [METRICS[name].formula for name in COMPOSITES]
    difference = max(abs(formula(pesq, fast) - formula(pesq, loop)) for formula in formulas)
    times = [
        (
            cpu_seconds(lambda: pesq_wb(clean, noisy, RATE)),
            cpu_seconds(lambda: all_composites(clean, noisy)),
            cpu_seconds(lambda: frame_distances(clean, noisy, RATE)),
        )
        for _ in range(rounds)
    ]
    ratios = [composite / alone for alone, composite, _ in times]
    loop_seconds = cpu_seconds(lambda: reference_distances(clean, noisy))
    return {
        "clip": f"{kind}, {len(clean) / RATE:g} s",
        "composites_over_pesq": round(statistics.median(ratios), 2),
        "lowest": round(min(ratios), 2),
        "highest": round(max(ratios), 2),
        "rounds": rounds,
        "wanted": "at most 2.5",
        "pesq_ms": round(1000 * statistics.median(alone for alone, _, _ in times), 1),
        "distances_ms": round(1000 * statistics.median(distances for *_, distances in times), 1),
        "plain_loop_ms": round(1000 * loop_seconds),
        "largest_difference_from_loop": f"{difference:.1e}",
        "wanted_difference": "at most 1e-3",
    }


def all_composites(clean: np.ndarray, noisy: np.ndarray) -> None:
    known_parts: dict = {}
    for name in COMPOSITES:
        METRICS[name].value(clean, noisy, RATE, known_parts)


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
