"""Trainings on a device: time and memory of a step, what compiling costs, and whether each learns the same.

    python benchmarks/on_device.py TRAIN VALID              # on a GPU, under 10 minutes
    python benchmarks/on_device.py TRAIN VALID --device cpu --batch 4 --networks fastenhancer-t

TRAIN, VALID: sets that `sedistill mix` wrote. Each network is trained with the same batches in every way
(--ways), each time in processes of their own, with an empty cache for torch.compile. Two processes share one
device and talk by gloo. A step is the median of the last half, memory the most that the first process held
(on a GPU: there), compiling what came before the first step. Of the losses the largest difference from those
of the first way is shown, over their spread. On a CPU seconds are those of the first process's processor, its
C++ compiler's included; on a GPU those of the clock.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from results_csv import RESULTS, write_results

DISPATCH = [{"loss": "dfkd", "keep": 0.8, "patches": "multi-scale"}]
ATTENTION = [{"loss": "attention", "pairs": [["blocks.0", "blocks.0"], ["blocks.1", "blocks.1"]]}]
CONV_TASNET = "convtasnet-dispatch-student"
UNTRAINED = "convtasnet-dispatch-teacher"
NETWORKS: dict[str, dict[str, Any]] = {
    "convtasnet-dispatch": {"student": CONV_TASNET, "teacher": UNTRAINED, "objectives": DISPATCH},
    "fastenhancer-b": {"student": "fastenhancer-b"},
    "fastenhancer-t": {"student": "fastenhancer-t"},
    "convtasnet-student": {"student": CONV_TASNET},
    "convtasnet-tiny": {"student": "convtasnet-tiny", "teacher": "fastenhancer-t", "objectives": DISPATCH},
    "attention": {"student": "fastenhancer-t", "teacher": "fastenhancer-b", "objectives": ATTENTION},
}
ON_GPU = ["convtasnet-dispatch", "fastenhancer-b"]
WAYS: dict[str, tuple[dict[str, Any], int]] = {
    "float32": ({}, 1),
    "compiled": ({"compile": True}, 1),
    "bf16": ({"precision": "bf16-mixed"}, 1),
    "bf16 compiled": ({"precision": "bf16-mixed", "compile": True}, 1),
    "two": ({}, 2),
    "two compiled": ({"compile": True}, 2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("train", type=os.path.abspath)
    parser.add_argument("valid", type=os.path.abspath)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=52)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=ON_GPU)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    row = "{:20} {:14} {:>10} {:>10} {:>10} {:>10}"
    print(row.format("network", "way", "a step, s", "memory, MB", "compiling", "apart"))
    with TemporaryDirectory() as place:
        for network in options.networks:
            losses: list[float] = []
            for way in options.ways:
                found = measured(network, way, Path(place), options)
                losses = losses or found["losses"]
                apart = max(abs(a - b) for a, b in zip(losses, found["losses"], strict=True))
                rows.append({
                    "network": network, "way": way, "step_s": f"{found['step_s']:.4f}",
                    "memory_mb": f"{found['memory_mb']:.0f}", "compiling_s": f"{found['compiling_s']:.1f}",
                    "losses_apart": f"{apart / statistics.pstdev(losses):.1e}",
                })  # fmt: skip
                print(row.format(*rows[-1].values()), flush=True)
    note = f"{hardware_of(options.device)}, batch {options.batch}, {options.steps} steps"
    write_results(rows, RESULTS / f"on-{options.device}.csv", note)


def hardware_of(device: str) -> str:
    import torch

    from sedistill.common.devices import hardware

    name = torch.cuda.get_device_name() if device == "cuda" else hardware()
    return f"{name}, torch {torch.__version__}"


def measured(network: str, way: str, place: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What a training took, in processes of its own."""
    keys, processes = WAYS[way]
    recipe = {
        **NETWORKS[network], "name": "measured", "correct_sign": False, "teacher_use": {"cache": "never"},
        "data": {"train": options.train, "valid": options.valid, "valid_clips": 2},
        "optimiser": {"batch_size": options.batch, "max_steps": options.steps},
        "logging": {"every_steps": 1},
        "hardware": {"device": options.device, "threads": 1, **keys},
    }  # fmt: skip
    if recipe.get("teacher") == UNTRAINED:
        recipe["teacher"] = str(untrained(place / UNTRAINED))
    if "teacher" not in recipe:
        del recipe["teacher_use"]
    with TemporaryDirectory(dir=place) as run:
        path = Path(run) / "recipe.json"
        path.write_text(json.dumps(recipe), encoding="utf-8")
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command = [sys.executable, *(torchrun if processes > 1 else []), __file__, "--worker", str(path)]
        cache = {"TORCHINDUCTOR_CACHE_DIR": f"{run}/cache", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        done = subprocess.run(command, env={**os.environ, **cache}, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{network}, {way}:\n{done.stdout}\n{done.stderr}")
        return json.loads((Path(run) / "found.json").read_text(encoding="utf-8"))


def untrained(folder: Path) -> Path:
    """A saved network of the teacher's size."""
    from sedistill.models.presets import build_model
    from sedistill.models.saving import save_model

    if not folder.exists():
        save_model(build_model(UNTRAINED), folder, {"output_gain": 1.0})
    return folder


def worker(recipe: Path) -> None:
    """Train, and write down what it took."""
    import torch
    import torch.distributed as dist

    from sedistill.common.devices import choose_device, peak_memory_mb
    from sedistill.training import build, inputs
    from sedistill.training.loop import Loop
    from sedistill.training.run import train
    from sedistill.training.run_folder.logs import read_metrics

    # Two processes on one GPU, which nobody would train with: NCCL refuses them, gloo does not.
    inputs.choose_device = lambda name, _: choose_device(name, None)
    dist.is_nccl_available = lambda: False
    taken: list[float] = []
    found, step, compile_now = {"compiling_s": 0.0}, Loop._train_on, build.compile_now

    def seconds() -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
            return time.perf_counter()
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    def timed(self: Loop, batch: Any) -> str:
        started = seconds()
        note = step(self, batch)
        taken.append(seconds() - started)
        found["memory_mb"] = peak_memory_mb(self.device)
        return note

    def timed_compiler(*given: Any) -> None:
        started = seconds()
        compile_now(*given)
        found["compiling_s"] = seconds() - started

    Loop._train_on, build.compile_now = timed, timed_compiler  # type: ignore[method-assign]
    student = train(recipe, output=recipe.parent / "run")
    if int(os.environ.get("RANK", 0)) == 0:
        losses = [value for _, value in read_metrics(student.parent)["se"]]
        step_s = statistics.median(taken[len(taken) // 2 :])
        (recipe.parent / "found.json").write_text(json.dumps({**found, "step_s": step_s, "losses": losses}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(Path(sys.argv[2]))
    else:
        main()
