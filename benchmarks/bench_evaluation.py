"""How much faster an evaluation is with two workers than with one.

    python benchmarks/bench_evaluation.py [--data SET] [--clips 24] [--rounds 3] [--output FOLDER]

Both evaluate the same set with the default metrics, in turns; the ratio of wall times is formed within a
round and its median quoted. It means something on idle cores only, so the load average and the cores kept
busy (CPU time over wall time) stand beside it: with two cores to themselves, two workers keep nearly two
busy. SET is a folder with noisy/ and clean/ (also pairs/vbdemand_test of SEDISTILL_DATA); without it, clips
of 10 s are generated.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from results_csv import RESULTS, write_results

from sedistill.audio.files import write
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.clip_scoring import score_set
from sedistill.evaluation.metrics import DEFAULT_METRICS, metrics_named
from sedistill.evaluation.systems import NOISY_SYSTEM, System, systems_of
from sedistill.models.presets import build_model

RATE = 16_000
PRESETS = ("convtasnet-tiny", "convtasnet-dispatch-student", "convtasnet-dispatch-teacher")
REAL_PAIRS = "pairs/vbdemand_test"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with noisy/ and clean/")
    parser.add_argument("--clips", type=int, default=24, help="generated clips of 10 s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--presets", nargs="*", default=PRESETS)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    folder = options.data or real_pairs()
    with tempfile.TemporaryDirectory() as temporary:
        pairs = FixedSet(folder or generated_pairs(Path(temporary), options.clips))
        rows = [measure("noisy input alone", [NOISY_SYSTEM], pairs, options.rounds)]
        for preset in options.presets:
            torch.manual_seed(0)
            system = systems_of([build_model(preset)], True, pairs)
            rows.append(measure(f"noisy and {preset}", [NOISY_SYSTEM, *system], pairs, options.rounds))
    kind = "real" if folder else "generated"
    write_results([{**row, "data": kind} for row in rows], options.output / f"evaluation-{kind}.csv")


def real_pairs() -> Path | None:
    data = os.environ.get("SEDISTILL_DATA")
    return Path(data) / REAL_PAIRS if data else None


def generated_pairs(folder: Path, clips: int) -> Path:
    """Noise in syllables, and the same with more noise."""
    random = np.random.default_rng(0)
    syllables = 0.02 + np.clip(np.sin(2 * np.pi * 2.5 * np.arange(10 * RATE) / RATE), 0, None)
    for number in range(clips):
        voice, hiss = 0.05 * random.standard_normal((2, 10 * RATE))
        clean = np.convolve(voice, np.ones(8) / 2, "same") * syllables
        write(folder / f"clean/{number}.flac", clean, RATE)
        write(folder / f"noisy/{number}.flac", clean + 0.3 * hiss, RATE)
    return folder


def measure(what: str, systems: list[System], pairs: FixedSet, rounds: int) -> dict[str, object]:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    timed = [tuple(timed_evaluation(systems, pairs, workers) for workers in (1, 2)) for _ in range(rounds)]
    ratios = [one[0] / two[0] for one, two in timed]
    busy = statistics.median(two[1] / two[0] for _, two in timed)
    return {
        "what": what,
        "one_worker_over_two_wall": round(statistics.median(ratios), 3),
        "lowest": round(min(ratios), 3),
        "highest": round(max(ratios), 3),
        "rounds": rounds,
        "wanted": "at least 1.6 on 2 idle cores",
        "cores_busy_with_two": round(busy, 2),
        "cpu_two_over_one": round(statistics.median(two[1] / one[1] for one, two in timed), 3),
        "clips_a_second_with_two": round(len(pairs) / statistics.median(two[0] for _, two in timed), 2),
        "load_average_before": round(load, 2),
    }


def timed_evaluation(systems: list[System], pairs: FixedSet, workers: int) -> tuple[float, float]:
    """Wall seconds and CPU seconds, those of the scoring processes included."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    score_set("benchmark", pairs, systems, metrics_named(DEFAULT_METRICS), workers)
    return time.perf_counter() - wall, cpu_seconds() - cpu


def cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main()
