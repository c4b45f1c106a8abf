"""A training of two processes, of which one is killed outright at twenty random moments, and one left alone.

    python benchmarks/twenty_kills.py TRAIN VALID TEACHER

TRAIN, VALID: sets that `sedistill mix` wrote; TEACHER: a saved model or a ready-made one's name. Five kills
each while the teacher's outputs are computed, in training, in validation and while a checkpoint is written,
of a process and at a moment drawn by a seed. Torchrun starts all again. The weights of both students are
compared bit by bit; results/twenty-kills.csv has a row for each kill.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from results_csv import RESULTS, write_results

from sedistill.models.saving import load_model
from sedistill.training.run_folder.logs import read_metrics

PHASES = ("labelling", "training", "validation", "checkpoint")
EACH = 5
PATIENCE_SECONDS = 3600


def noted(phase: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """The same work, while which this process says in a file that it is in this phase."""
    place = Path(os.environ["PHASES"]) / f"{os.environ['RANK']}-{os.getpid()}"

    def named(*given: Any, **more: Any) -> Any:
        before = place.read_text() if place.exists() else ""
        place.write_text(phase)
        try:
            return work(*given, **more)
        finally:
            place.write_text(before)

    return named


def worker(words: list[str]) -> None:
    """What torchrun starts: `sedistill train`, telling its phases; a checkpoint takes 0.5 s longer."""
    from sedistill.cli import main
    from sedistill.training import build, loop
    from sedistill.training.run_folder import run_state
    from sedistill.training.validation import Validation

    save = run_state.save_checkpoint

    def slow_save(*given: Any) -> None:
        time.sleep(0.25)
        save(*given)
        time.sleep(0.25)

    run_state.save_checkpoint = loop.save_checkpoint = noted("checkpoint", slow_save)
    build.opened = noted("labelling", build.opened)
    loop.Loop._train_on = noted("training", loop.Loop._train_on)  # type: ignore[method-assign]
    Validation.measure = noted("validation", Validation.measure)  # type: ignore[method-assign]
    sys.argv = ["sedistill", *words]
    main()


def train(recipe: Path, output: Path, kept: Path, kills: list[str], seed: int) -> list[dict[str, Any]]:
    """Run to the end, with a kill in each of these phases; what was killed when."""
    phases = output.with_name(f"{output.name}-phases")
    phases.mkdir()
    words = ["train", str(recipe), f"teacher_use.cache_folder={kept}", "--output", str(output)]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *torchrun, "--max-restarts", "100", __file__, "worker", *words]
    environment = {**os.environ, "PHASES": str(phases), "OMP_NUM_THREADS": "1"}
    draw, done, waiting = random.Random(seed), [], list(kills)
    with (output.with_name(f"{output.name}.log")).open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        began = time.monotonic()
        try:
            while process.poll() is None:
                assert time.monotonic() - began < PATIENCE_SECONDS, "the run hangs"
                time.sleep(0.01)
                if waiting and (killed := kill_in(waiting[0], phases, draw)):
                    steps = read_metrics(output).get("se", [(0, 0.0)])[-1][0] if output.exists() else 0
                    done.append({"phase": waiting.pop(0), "process": killed, "step": steps})
                    print(f"{len(done)}: {done[-1]}", flush=True)
        finally:
            process.kill()
    assert process.returncode == 0, "the run did not end by itself"
    return done


def kill_in(phase: str, phases: Path, draw: random.Random) -> str | None:
    """Kill one of the processes that are in this phase, after a moment; its rank, if there is one."""
    inside = [place for place in phases.iterdir() if place.read_text() == phase]
    if not inside:
        return None
    chosen = draw.choice(sorted(inside))
    time.sleep(draw.uniform(0, 0.3))
    rank, pid = chosen.name.split("-")
    if chosen.read_text() != phase:
        return None
    for place in phases.iterdir():
        place.unlink()  # of processes that now end
    os.kill(int(pid), signal.SIGKILL)
    return rank


def main(train_set: str, valid_set: str, teacher: str) -> None:
    recipe = {
        "name": "killed", "student": "convtasnet-tiny", "correct_sign": False, "teacher": teacher,
        "data": {"train": train_set, "valid": valid_set},
        "objectives": [{"loss": "dfkd", "keep": 0.8, "score": "random"}],
        "optimiser": {"batch_size": 4, "max_steps": 240},
        "hardware": {"device": "cpu", "threads": 1},
        "logging": {"checkpoint_minutes": 0.05, "every_steps": 5},
    }  # fmt: skip
    kills = [phase for phase in PHASES[:1] for _ in range(EACH)]
    rest = [phase for phase in PHASES[1:] for _ in range(EACH)]
    random.Random(1).shuffle(rest)
    with TemporaryDirectory() as place:
        path = Path(place) / "recipe.yaml"
        path.write_text(repr(recipe), encoding="utf-8")
        students = {}
        for name, asked in (("whole", []), ("killed", [*kills, *rest])):
            done = train(path, Path(place) / name, Path(place) / f"{name}-kept", asked, seed=2)
            students[name] = load_model(Path(place) / name / "student").state_dict()
        assert len(done) == len(PHASES) * EACH, f"only {len(done)} kills before the run was finished"
    whole, killed = students["whole"], students["killed"]
    same = all(bool((whole[name] == killed[name]).all()) for name in whole)
    write_results([{**row, "same_bits_at_the_end": same} for row in done], RESULTS / "twenty-kills.csv")
    print("the same bits" if same else "OTHER WEIGHTS")


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        worker(sys.argv[2:])
    else:
        main(*map(os.path.abspath, sys.argv[1:3]), sys.argv[3])
