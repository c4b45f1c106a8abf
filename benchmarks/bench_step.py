"""What distillation costs a training step on a CPU, as ratios within one run.

    python benchmarks/bench_step.py [--rounds 7] [--batch 2] [--seconds 4] [--threads 1]

Four questions: how much does a step with kept teacher outputs cost over a step without a teacher, with the
full method and with compressed complex spectra alone (the paper's student, the ready-made one, and a very
small one, each with its own enhancement loss); which share of a step with a live teacher is the loss itself
(the paper's ConvTasNet pair); and what does DISPatch add to a step that distils by DFKD already, the figure
that the paper gives as about 1.2 % per epoch. Variants take turns round by round; a ratio is formed within a
round, its median is quoted.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from results_csv import RESULTS, note_of, write_results

from sedistill import ComplexL2, DFKDLoss, DISPatch, MultiScalePatches, build_model
from sedistill.common.freed_memory import keep_freed_memory
from sedistill.training.enhancement_losses import ENHANCEMENT_LOSSES
from sedistill.training.tasks import Task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    keep_freed_memory()  # as `sedistill train` does

    rows = []
    limits = {"convtasnet-dispatch-student": 1.1, "fastenhancer-t": 1.1, "convtasnet-tiny": 1.5}
    for preset, limit in limits.items():
        rows += kept_teacher_over_none(preset, limit, options)
    rows += shares_of_live_step(options)
    write_results(rows, RESULTS / "step.csv", note_of(options))


def kept_teacher_over_none(preset: str, limit: float, options: argparse.Namespace) -> list[dict[str, object]]:
    student = build_model(preset)
    optimiser = torch.optim.Adam(student.parameters(), fused=True)
    batch = make_batch(options)
    objectives: dict[str, dict] = {
        "none": {},
        "DFKD + DISPatch + MSSP": {"kd": (1.0, full_method())},
        "complex_l2": {"kd": (1.0, DISPatch(ComplexL2()))},
    }

    def step_of(task: Task) -> Callable[[], None]:
        return lambda: training_step(task, optimiser, batch)

    steps = {name: step_of(make_task(student, kd)) for name, kd in objectives.items()}
    times = alternate(steps, options.rounds)
    plain = times.pop("none")
    return [
        row(f"step with kept teacher / without, {preset}, {name}", _ratios(kept, plain), limit)
        for name, kept in times.items()
    ]


def shares_of_live_step(options: argparse.Namespace) -> list[dict[str, object]]:
    student, teacher = build_model("convtasnet-dispatch-student"), build_model("convtasnet-dispatch-teacher")
    teacher.eval().requires_grad_(False)
    optimiser = torch.optim.Adam(student.parameters(), fused=True)
    batch = make_batch(options)
    live = {name: value for name, value in batch.items() if name != "teacher"}

    def ask(noisy: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return teacher(noisy)

    task = make_task(student, {"kd": (1.0, full_method())}, ask)

    def alone(kd: DISPatch) -> Callable[[], None]:
        def run() -> None:
            estimate = batch["noisy"].clone().requires_grad_()
            kd(estimate, batch["teacher"], batch["clean"]).backward()

        return run

    times = alternate(
        {
            "step": lambda: training_step(task, optimiser, live),
            "loss": alone(full_method()),
            "dfkd": alone(DISPatch(DFKDLoss(), keep=1)),
            "dispatch": alone(DISPatch(DFKDLoss(), keep=0.8)),
        },
        options.rounds,
    )
    steps = times["step"]
    whole = _ratios(times["loss"], steps)
    # The step was taken with MSSP; its loss is so small a part that this moves the ratio by nothing.
    added = [
        (dispatch - dfkd) / step
        for dispatch, dfkd, step in zip(times["dispatch"], times["dfkd"], steps, strict=True)
    ]
    return [
        row("DFKD + DISPatch + MSSP / step with live teacher, the paper's ConvTasNet pair", whole, 0.01),
        row("what DISPatch adds to a step with DFKD and a live teacher, the same pair", added, 0.012),
    ]


def _ratios(times: list[float], others: list[float]) -> list[float]:
    return [one / other for one, other in zip(times, others, strict=True)]


def full_method() -> DISPatch:
    return DISPatch(DFKDLoss(), patches=MultiScalePatches(10, 40), keep=0.8)


def make_task(
    student: torch.nn.Module, objectives: dict, teacher: Callable[[torch.Tensor], torch.Tensor] | None = None
) -> Task:
    teachers = {} if teacher is None else {"teacher": teacher}
    return Task(student, ENHANCEMENT_LOSSES[student.se_loss], 0.5, objectives, 0.5, teachers, -12.0)


def make_batch(options: argparse.Namespace) -> dict[str, torch.Tensor]:
    clean = 0.05 * torch.randn(options.batch, round(16_000 * options.seconds))
    return {name: clean + 0.02 * torch.randn_like(clean) for name in ("noisy", "clean", "teacher")}


def training_step(task: Task, optimiser: torch.optim.Optimizer, batch: dict[str, torch.Tensor]) -> None:
    optimiser.zero_grad(set_to_none=True)
    task.losses(batch).total.backward()
    torch.nn.utils.clip_grad_norm_(task.student.parameters(), 5.0)
    optimiser.step()


def alternate(variants: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each variant in each round, after one round that does not count.

    In its turn a variant runs twice and the second time counts: the first one gets memory from the system
    where the variant before needed less, which a training does once.
    """
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, run in variants.items():
            run()
            started = time.process_time()
            run()
            if number:
                times[name].append(time.process_time() - started)
    return times


def row(what: str, ratios: list[float], limit: float) -> dict[str, object]:
    median = statistics.median(ratios)
    print(f"{what}: {median:.4f} [{min(ratios):.4f}..{max(ratios):.4f}], at most {limit}")
    return {"what": what, "median": f"{median:.4f}", "min": f"{min(ratios):.4f}", "max": f"{max(ratios):.4f}",
            "limit": limit}  # fmt: skip


if __name__ == "__main__":
    main()
