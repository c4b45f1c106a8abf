"""What KDRL costs a training step, as ratios to a plain distillation step within one run, and in peak memory.

    python benchmarks/bench_kdrl.py [--rounds 5] [--batch 4] [--seconds 1] [--threads 1] [--networks ...]

plain: the student's distance to clean speech plus that to kept teacher outputs, one backward pass.
naive: three networks, each with forward and backward pass, three forward passes after, the policy network.
batch: KDRLStep with one forward and three backward passes for the whole batch.
clips: KDRLStep clip by clip, where two backward passes do.

Variants take turns round by round; a ratio is formed within a round, its median is quoted. Peak memory is
that of one process a variant, less that of one which only builds the student and its optimiser.
"""

import argparse
import copy
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from results_csv import RESULTS, note_of, write_results
from torch import Tensor, nn

from sedistill import build_model
from sedistill.distill.kdrl import loss_weights, reward
from sedistill.training.kdrl.kdrl_settings import KDRLSettings
from sedistill.training.kdrl.policy import Policy
from sedistill.training.kdrl.step import DISTANCES, KDRLStep

NETWORKS = (
    "wave-u-net-12",
    "wave-u-net-25",
    "convtasnet-kdrl-student",
    "convtasnet-small-teacher",
    "convtasnet-tiny",
)
VARIANTS = ("plain", "naive", "batch", "clips")
CLIP_NORM = 5.0
Batch = dict[str, Tensor]
Distance = Callable[[Tensor, Tensor], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--memory-of", nargs=2, metavar=("NETWORK", "VARIANT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory_of:
        network, variant = options.memory_of
        print(peak_megabytes(network, variant, options))
        return
    rows = [row for network in options.networks for row in compare(network, options)]
    write_results(rows, RESULTS / "kdrl.csv", note_of(options))


def compare(network: str, options: argparse.Namespace) -> list[dict[str, object]]:
    steps = {variant: make_step(network, variant) for variant in VARIANTS}
    batch = make_batch(options)
    times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for number in range(options.rounds + 1):
        for variant, step in steps.items():
            started = time.process_time()
            step(batch)
            if number:
                times[variant].append(time.process_time() - started)
    base = memory(network, "none", options)
    rows: list[dict[str, object]] = []
    for variant in VARIANTS:
        ratios = [a / b for a, b in zip(times[variant], times["plain"], strict=True)]
        megabytes = memory(network, variant, options) - base
        rows.append(
            {
                "network": network,
                "step": variant,
                "milliseconds": round(1000 * statistics.median(times[variant])),
                "over_plain": f"{statistics.median(ratios):.2f}",
                "min": f"{min(ratios):.2f}",
                "max": f"{max(ratios):.2f}",
                "peak_mb": round(megabytes),
            }
        )
        print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    return rows


def make_step(network: str, variant: str) -> Callable[[Batch], object]:
    torch.manual_seed(0)
    student = build_model(network)
    optimiser = torch.optim.Adam(student.parameters(), fused=True)
    distance = DISTANCES[KDRLSettings().distance_for(student.se_loss)]
    if variant == "plain":
        return lambda batch: plain_step(student, optimiser, distance, batch)
    if variant == "naive":
        return Naive(student, optimiser, distance)
    path = Path(tempfile.mkdtemp()) / "ratios.csv"
    precision = torch.autocast("cpu", torch.bfloat16, enabled=False)
    step = KDRLStep(student, optimiser, CLIP_NORM, KDRLSettings(), student, 50, 1000, precision, path, seed=0)
    step.splits_clips = variant == "clips"
    return lambda batch: step(batch, False)


def plain_step(
    student: nn.Module, optimiser: torch.optim.Optimizer, distance: Distance, batch: Batch
) -> None:
    estimate = student(batch["noisy"])
    one = torch.ones(len(estimate))
    descend(student, optimiser, distance, batch, one, one, estimate)


def descend(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    distance: Distance,
    batch: Batch,
    hard: Tensor,
    soft: Tensor,
    estimate: Tensor,
) -> None:
    optimiser.zero_grad(set_to_none=True)
    (
        hard * distance(estimate, batch["clean"]) + soft * distance(estimate, batch["teacher"])
    ).mean().backward()
    nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
    optimiser.step()


class Naive:
    """The paper's figure, word for word: three networks side by side."""

    def __init__(self, student: nn.Module, optimiser: torch.optim.Optimizer, distance: Distance) -> None:
        self.student, self.optimiser, self.distance = student, optimiser, distance
        self.references = [copy.deepcopy(student) for _ in range(2)]
        self.optimisers = [torch.optim.Adam(r.parameters(), fused=True) for r in self.references]
        self.policy = Policy(KDRLSettings(), 50, 1000, 1.0, torch.device("cpu"), seed=0)

    def __call__(self, batch: Batch) -> None:
        for reference, optimiser in zip(self.references, self.optimisers, strict=True):
            reference.load_state_dict(self.student.state_dict())
            optimiser.load_state_dict(copy.deepcopy(self.optimiser.state_dict()))
        estimate = self.student(batch["noisy"])
        ratios = self.policy.ratios(batch["clean"], batch["teacher"], estimate)
        before = self.distance(estimate.detach(), batch["clean"])
        hard, soft = loss_weights("C", ratios)
        descend(self.student, self.optimiser, self.distance, batch, hard, soft, estimate)
        none, one = torch.zeros_like(hard), torch.ones_like(hard)
        for reference, optimiser, weights in zip(
            self.references, self.optimisers, ((none, one), (one, none)), strict=True
        ):
            descend(reference, optimiser, self.distance, batch, *weights, reference(batch["noisy"]))
        after = []
        for network in (self.student, *self.references):
            network.eval()
            with torch.no_grad():
                after.append(self.distance(network(batch["noisy"]), batch["clean"]))
            network.train()
        self.policy.learn(ratios, reward(*after), before, 0)


def make_batch(options: argparse.Namespace) -> Batch:
    torch.manual_seed(1)
    clean = 0.05 * torch.randn(options.batch, round(16_000 * options.seconds))
    waveforms = {
        name: clean + level * torch.randn_like(clean) for name, level in (("noisy", 0.03), ("teacher", 0.01))
    }
    return {**waveforms, "clean": clean, "index": torch.arange(options.batch)}


def memory(network: str, variant: str, options: argparse.Namespace) -> float:
    command = [sys.executable, __file__, "--memory-of", network, variant, "--batch", str(options.batch)]
    command += ["--seconds", str(options.seconds), "--threads", str(options.threads)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peak_megabytes(network: str, variant: str, options: argparse.Namespace) -> float:
    step = make_step(network, "plain" if variant == "none" else variant)
    if variant != "none":
        for _ in range(2):
            step(make_batch(options))
    # Not getrusage: its peak begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
