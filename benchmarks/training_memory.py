"""What a training takes in memory and time, by the keys of `hardware`; each in a process of its own.

    python benchmarks/training_memory.py TRAIN VALID

TRAIN, VALID: sets that `sedistill mix` wrote. Memory is the most that the process held, time the CPU's of a
step, the first ones left out.
"""

import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

STUDENT, BATCH, STEPS = "convtasnet-dispatch-student", 8, 3
KEYS = {
    "as it is": {},
    "accumulate: 2": {"accumulate": 2},
    "accumulate: 8": {"accumulate": 8},
    "recompute: true": {"recompute": True},
    "recompute: true, accumulate: 8": {"recompute": True, "accumulate": 8},
    "precision: bf16-mixed": {"precision": "bf16-mixed"},
}


def measure(train: str, valid: str, keys: dict[str, Any]) -> None:
    """Print memory (MB) and seconds of CPU a step of one training."""
    from sedistill.training import loop
    from sedistill.training.run import train as run

    recipe = {
        "name": "measured", "student": STUDENT, "correct_sign": False,
        "data": {"train": train, "valid": valid, "valid_clips": 1},
        "optimiser": {"batch_size": BATCH, "max_steps": STEPS},
        "hardware": {"device": "cpu", "threads": 1, **keys},
    }  # fmt: skip
    taken, step = [], loop.Loop._train_on

    def timed(self: loop.Loop, batch: Any) -> str:
        started = time.process_time()
        note = step(self, batch)
        taken.append(time.process_time() - started)
        return note

    loop.Loop._train_on = timed  # type: ignore[method-assign]
    with TemporaryDirectory() as place:
        path = Path(place) / "recipe.yaml"
        path.write_text(repr(recipe), encoding="utf-8")
        run(path, output=Path(place) / "run")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10, min(taken[1:]), file=sys.stderr)


def main(train: str, valid: str) -> None:
    print(f"{STUDENT}, batches of {BATCH}\n{'hardware':32} {'memory':>8} {'CPU a step':>11}")
    for name, keys in KEYS.items():
        words = [sys.executable, __file__, train, valid, repr(keys)]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stderr
        memory, seconds = map(float, said.split()[-2:])
        print(f"{name:32} {memory:5.0f} MB {seconds:9.2f} s", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        measure(sys.argv[1], sys.argv[2], eval(sys.argv[3]))
    else:
        main(*sys.argv[1:])
