"""What distillation on features adds to a training step on a CPU, as ratios within one run.

    python benchmarks/bench_features.py [--rounds 5] [--batch 2] [--seconds 4] [--threads 1]

The base is a step of MANNER small (1.5 GF) with a teacher that runs along (MANNER small of 12 channels, one
layer deeper) and distillation of its output. Each method on features is added to it; variants take turns
round by round on networks of the same weights, a ratio is formed within a round, its median is quoted. Time
is CPU time of the process. "kept" is the memory of the tapped activations from the forward pass to the loss,
in MB a clip (of the student's, autograd keeps most in any case).
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from results_csv import RESULTS, note_of, write_results
from torch import Tensor, nn

from sedistill.distill.attention import AttentionTransfer
from sedistill.distill.clean_and_noise_kd import CleanAndNoiseKD
from sedistill.distill.gram import GramSimilarity
from sedistill.distill.layer_attention import LayerAttention
from sedistill.distill.multi_view import MultiViewAttentionTransfer
from sedistill.distill.taps import Taps
from sedistill.models.presets import build_model
from sedistill.training.enhancement_losses import ENHANCEMENT_LOSSES
from sedistill.training.tasks import FeatureTaps, Task

STUDENT, TEACHER = "manner-s-1.5gf", {"preset": "manner-s", "channels": 12}
PAIRS = [(f"{part}.3", f"{part}.{depth}") for part in ("encoder", "decoder") for depth in (3, 4)]
LIMIT = 1.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    batch = make_batch(options)
    base = Variant()
    others = {
        "MV-AT": Variant(MultiViewAttentionTransfer.between),
        "MV-AT, single view elsewhere": Variant(
            lambda student, teacher: MultiViewAttentionTransfer.between(
                student, teacher, fallback="single_view"
            )
        ),
        "AT on layer outputs": Variant(lambda student, teacher: AttentionTransfer(PAIRS)),
        "Gram of frames": Variant(lambda student, teacher: GramSimilarity(PAIRS)),
        "layer attention": Variant(layer_attention),
    }
    times = alternate({"base": base, **others}, batch, options.rounds)
    rows = []
    for name, variant in others.items():
        ratios = [with_it / plain for with_it, plain in zip(times[name], times["base"], strict=True)]
        rows.append(row(name, ratios, variant.kept_megabytes(batch)))
    base = f"{options.rounds} rounds, base {statistics.median(times['base']):.2f} CPU s"
    write_results(rows, RESULTS / "features.csv", f"{note_of(options)}, {base}")


def layer_attention(student: nn.Module, teacher: nn.Module) -> LayerAttention:
    """For all layers of both networks."""
    return LayerAttention.for_features(layer_outputs(student, 3), layer_outputs(teacher, 4))


@torch.no_grad()
def layer_outputs(network: nn.Module, depth: int) -> dict[str, Tensor]:
    names = [f"{part}.{number}" for part in ("encoder", "decoder") for number in range(1, depth + 1)]
    with Taps(network.eval(), names) as taps:
        network(torch.randn(1, 8000))
        return taps.take()


class Variant:
    """Networks, taps and one training step with output distillation and perhaps an objective on features."""

    def __init__(self, make: Callable[[nn.Module, nn.Module], Any] | None = None) -> None:
        torch.manual_seed(0)
        student, teacher = build_model(STUDENT), build_model(TEACHER).eval().requires_grad_(False)
        objectives: dict[str, tuple[float, Any]] = {"output": (1.0, CleanAndNoiseKD())}
        taps = None
        if make is not None:
            kd = make(student, teacher)
            objectives["features"] = (1.0, kd)
            of_teacher = Taps(teacher, kd.teacher_taps, "teacher")
            taps = FeatureTaps(Taps(student.train(), kd.student_taps, "student"), of_teacher)
        self.student, self.teacher, self.taps = student, torch.no_grad()(teacher), taps
        self.task = Task(
            student,
            ENHANCEMENT_LOSSES["manner"],
            1.0,
            objectives,
            1.0,
            {"teacher": self.teacher},
            -12.0,
            taps=taps,
        )
        self.trained = [*student.parameters(), *self.task.auxiliary.parameters()]
        self.optimiser = torch.optim.Adam(self.trained, fused=True)

    def step(self, batch: dict[str, Tensor]) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        self.task.losses(batch).total.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 5.0)
        self.optimiser.step()

    @torch.no_grad()
    def kept_megabytes(self, batch: dict[str, Tensor]) -> dict[str, float]:
        """Of one clip, by whose activations they are."""
        noisy = batch["noisy"][:1]
        self.student.eval()(noisy)
        self.teacher(noisy)
        taken = {"student": self.taps.student.take(), "teacher": self.taps.teacher.take()}
        return {whose: sum(values.nbytes for values in of.values()) / 1e6 for whose, of in taken.items()}


def make_batch(options: argparse.Namespace) -> dict[str, Tensor]:
    clean = 0.05 * torch.randn(options.batch, round(16_000 * options.seconds))
    return {name: clean + 0.02 * torch.randn_like(clean) for name in ("noisy", "clean")}


def alternate(variants: dict[str, Variant], batch: dict[str, Tensor], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each variant in each round, after one round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, variant in variants.items():
            started = time.process_time()
            variant.step(batch)
            if number:
                times[name].append(time.process_time() - started)
    return times


def row(name: str, ratios: list[float], kept: dict[str, float]) -> dict[str, object]:
    median = statistics.median(ratios)
    print(
        f"{name}: {median:.3f} [{min(ratios):.3f}..{max(ratios):.3f}], at most {LIMIT}; kept a clip: "
        f"{kept['student']:.2f} MB of the student, {kept['teacher']:.2f} MB of the teacher"
    )
    return {
        "added to output distillation": name,
        "median": f"{median:.3f}",
        "min": f"{min(ratios):.3f}",
        "max": f"{max(ratios):.3f}",
        "limit": LIMIT,
        "kept_student_mb": f"{kept['student']:.2f}",
        "kept_teacher_mb": f"{kept['teacher']:.2f}",
    }


if __name__ == "__main__":
    main()
