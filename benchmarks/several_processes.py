"""What two processes gain over one, one thread each, by the clock.

    python benchmarks/several_processes.py TRAIN VALID

TRAIN, VALID: sets that `sedistill mix` wrote. For each student a short and a long training are run in one
process and by torchrun in two; the steps between take the difference of their times, so that start and
validation cancel. On an idle machine, two cores.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from sedistill.common.yaml_files import read_yaml, yaml_text

STUDENTS = {"convtasnet-dispatch-student": (4, 16), "fastenhancer-t": (20, 220), "convtasnet-tiny": (20, 420)}
"""How many steps the short and the long training have."""
ALONE = [sys.executable, "-m", "sedistill"]
IN_TWO = [
    sys.executable,
    "-m",
    "torch.distributed.run",
    "--standalone",
    "--nproc-per-node",
    "2",
    "-m",
    "sedistill",
]


def minutes(command: list[str], student: str, steps: int, train: Path, valid: Path) -> float:
    """Of a training, as its card tells."""
    recipe = {
        "name": "timed", "student": student, "correct_sign": False,
        "data": {"train": str(train), "valid": str(valid), "valid_clips": 2},
        "optimiser": {"batch_size": 4, "max_steps": steps},
        "hardware": {"device": "cpu", "threads": 1},
    }  # fmt: skip
    with TemporaryDirectory() as place:
        path = Path(place) / "recipe.yaml"
        path.write_text(yaml_text(recipe), encoding="utf-8")
        words = [*command, "train", str(path), "-o", str(Path(place) / "run")]
        subprocess.run(words, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        return float(read_yaml(Path(place) / "run/student/card.yaml")["training"]["minutes"])


def main(train: str, valid: str) -> None:
    print(f"{'a step by the clock':30} {'one process':>12} {'two':>8} {'times as fast':>14}")
    for student, (short, long) in STUDENTS.items():
        seconds = []
        for command in (ALONE, IN_TWO):
            some, many = (
                minutes(command, student, steps, Path(train), Path(valid)) for steps in (short, long)
            )
            seconds.append(60 * (many - some) / (long - short))
        print(
            f"{student:30} {seconds[0]:10.3f} s {seconds[1]:6.3f} s {seconds[0] / seconds[1]:14.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main(*map(os.path.abspath, sys.argv[1:]))
