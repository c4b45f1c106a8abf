"""What two processes gain over one, one thread each, and where the rest of the time goes.

    python benchmarks/several_processes.py TRAIN VALID [--only STUDENT ...] [--rounds 3]

TRAIN, VALID: sets that `sedistill mix` wrote, TRAIN of some 40 clips. Each student is trained in one process,
by torchrun in two, and twice at the same time with half of the batch each, by commands that know nothing of
each other ("apart"): what those take above half by the clock is the machine's doing, and by the processor
what does not halve with the batch. A step is the median from the start of one to the start of the next;
`waiting` the share of a step of two in which a process waits for the other or for its answer.

Clocks say something on two idle cores only, the processor's seconds also elsewhere.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from results_csv import RESULTS, write_results

STUDENTS = {"convtasnet-dispatch-student": 20, "fastenhancer-t": 120, "convtasnet-tiny": 240}
"""How many steps each is trained."""
BATCH, LEFT_OUT = 4, 5
ALONE = [sys.executable, __file__, "--worker"]
IN_TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *ALONE[1:]]
WAYS = {"one": (ALONE, 1), "two": (IN_TWO, 1), "apart": (ALONE, 2)}


def worker(words: list[str]) -> None:
    """`sedistill train`; what each step took, and waited for others, is written beside the run's folder."""
    from sedistill.cli import main
    from sedistill.common import ranks
    from sedistill.training.loop import Loop

    marks: list[tuple[float, float, float]] = []
    waited, reaching, train_on = [0.0], ranks.reaching_others, Loop._train_on

    @contextmanager
    def timed() -> Iterator[None]:
        began = time.perf_counter()
        with reaching():
            yield
        waited[0] += time.perf_counter() - began

    def noted(self: Loop, batch: Any) -> str:
        marks.append((time.perf_counter(), time.process_time(), waited[0]))
        return train_on(self, batch)

    ranks.reaching_others, Loop._train_on = timed, noted  # type: ignore[assignment, method-assign]
    sys.argv = ["sedistill", *words]
    try:
        main()
    finally:
        Path(f"{words[-1]}-{os.environ.get('RANK', 0)}.json").write_text(json.dumps(marks), encoding="utf-8")


def a_step(way: str, student: str, train: str, valid: str) -> dict[str, float]:
    """By the clock, of the slower process; by the processor, of all; and the share of waiting."""
    command, at_once = WAYS[way]
    recipe = {
        "name": "timed", "student": student, "correct_sign": False,
        "data": {"train": train, "valid": valid, "valid_clips": 2},
        "optimiser": {"batch_size": BATCH // at_once, "max_steps": STUDENTS[student]},
        "hardware": {"device": "cpu", "threads": 1},
    }  # fmt: skip
    with TemporaryDirectory() as place:
        path = Path(place) / "recipe.yaml"
        path.write_text(json.dumps(recipe), encoding="utf-8")
        runs = [Path(place) / str(number) for number in range(at_once)]
        processes = [
            subprocess.Popen(
                [*command, "train", str(path), "-o", str(run)],
                env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL,
            )
            for run in runs
        ]  # fmt: skip
        assert [process.wait() for process in processes] == [0] * at_once
        marks = [json.loads(one.read_text()) for one in sorted(Path(place).glob("*.json"))]
    taken = [
        [tuple(b - a for a, b in zip(*step, strict=True)) for step in pairwise(of_one[LEFT_OUT:])]
        for of_one in marks
    ]
    clock, processor, waiting = (
        [statistics.median(step[number] for step in of_one) for of_one in taken] for number in range(3)
    )
    return {"s": max(clock), "cpu_s": sum(processor), "waiting": statistics.mean(waiting) / max(clock)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("train", type=os.path.abspath)
    parser.add_argument("valid", type=os.path.abspath)
    parser.add_argument("--only", nargs="+", choices=STUDENTS, default=list(STUDENTS))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = []
    for student in options.only:
        rounds = [
            {way: a_step(way, student, options.train, options.valid) for way in WAYS}
            for _ in range(options.rounds)
        ]

        def median(way: str, what: str) -> float:
            return statistics.median(one[way][what] for one in rounds)  # noqa: B023

        row = {"student": student, "rounds": options.rounds}
        row |= {f"{way}_s": f"{median(way, 's'):.4f}" for way in WAYS}
        for name, way in (("gain", "two"), ("possible", "apart")):
            gains = [one["one"]["s"] / one[way]["s"] for one in rounds]
            row[name] = f"{statistics.median(gains):.2f}"
            row[f"{name}_range"] = f"{min(gains):.2f} to {max(gains):.2f}"
        row |= {f"{way}_cpu_s": f"{median(way, 'cpu_s'):.4f}" for way in WAYS}
        row["waiting"] = f"{median('two', 'waiting'):.3f}"
        print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        rows.append(row)
    write_results(rows, RESULTS / "several-processes.csv")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2:])
    else:
        main()
