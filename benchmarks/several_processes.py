"""What two processes gain over one, one thread each, by the clock, and what the machine would let them gain.

    python benchmarks/several_processes.py TRAIN VALID

TRAIN, VALID: sets that `sedistill mix` wrote, TRAIN of some 40 clips. Each student is trained in one process,
by torchrun in two, and twice at the same time with half of the batch each, by commands that know nothing of
each other: what those take above half is the machine's doing, not the talk's. A step is timed from the
first validation to the last. Three rounds, of which the median and the range are shown; on two idle cores.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from sedistill.common.yaml_files import yaml_text
from sedistill.training.run_folder.logs import read_metrics

STUDENTS = {"convtasnet-dispatch-student": 20, "fastenhancer-t": 120, "convtasnet-tiny": 240}
"""How many steps each is trained."""
BATCH, ROUNDS = 4, 3
ALONE = ["-m", "sedistill"]
IN_TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *ALONE]


def seconds_a_step(words: list[str], at_once: int, student: str, train: Path, valid: Path) -> float:
    """Of so many trainings at the same time, which share a batch; the slowest of them."""
    recipe = {
        "name": "timed", "student": student, "correct_sign": False,
        "data": {"train": str(train), "valid": str(valid), "valid_clips": 2},
        "optimiser": {"batch_size": BATCH // at_once, "max_steps": STUDENTS[student] * at_once},
        "hardware": {"device": "cpu", "threads": 1},
    }  # fmt: skip
    with TemporaryDirectory() as place:
        path = Path(place) / "recipe.yaml"
        path.write_text(yaml_text(recipe), encoding="utf-8")
        runs = [Path(place) / str(number) for number in range(at_once)]
        commands = [[sys.executable, *words, "train", str(path), "-o", str(run)] for run in runs]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        processes = [
            subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for command in commands
        ]
        assert [process.wait() for process in processes] == [0] * at_once
        found = []
        for run in runs:
            (first, some), *_, (last, many) = read_metrics(run)["seconds"]
            found.append((many - some) / (last - first))
        return max(found)


def main(train: str, valid: str, *students: str) -> None:
    row = "{:28} {:>11} {:>8} {:>8} {:>19} {:>19}"
    print(row.format("a step by the clock", "one process", "two", "apart", "gain", "possible"))
    for student in students or STUDENTS:
        taken = [
            [
                seconds_a_step(words, at_once, student, Path(train), Path(valid))
                for words, at_once in ((ALONE, 1), (IN_TWO, 1), (ALONE, 2))
            ]
            for _ in range(ROUNDS)
        ]
        one, two, apart = (statistics.median(times) for times in zip(*taken, strict=True))
        gains = [[times[0] / times[number] for times in taken] for number in (1, 2)]
        shown = [f"{statistics.median(g):.2f} ({min(g):.2f} to {max(g):.2f})" for g in gains]
        times = [f"{seconds:.3f} s" for seconds in (one, two, apart)]
        print(row.format(student, *times, *shown), flush=True)


if __name__ == "__main__":
    main(*map(os.path.abspath, sys.argv[1:3]), *sys.argv[3:])
