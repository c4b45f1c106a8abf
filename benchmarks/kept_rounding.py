"""What rounding a teacher's outputs to float16 does to losses and gradients.

    python benchmarks/kept_rounding.py STUDENT TEACHER SET [--clips 25]

STUDENT, TEACHER: saved models; SET: pairs. Each clip's first 4 s go through both, and every loss is taken
towards the teacher's output as it is, and rounded.
"""

import argparse
import statistics
from pathlib import Path

import torch
from torch import Tensor

from sedistill import ComplexL2, DFKDLoss, DISPatch, MagnitudeL2
from sedistill.data.fixed_sets import FixedSet
from sedistill.models.saving import load_model
from sedistill.training.tasks import level_gain

LOSSES = {
    "magnitude_l2, keep 0.8": DISPatch(MagnitudeL2(), keep=0.8),
    "complex_l2, power 0.3": DISPatch(ComplexL2(power=0.3)),
    "dfkd": DISPatch(DFKDLoss()),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("student")
    parser.add_argument("teacher")
    parser.add_argument("set", type=Path)
    parser.add_argument("--clips", type=int, default=25)
    options = parser.parse_args()
    clips = FixedSet(options.set).evenly(options.clips)
    networks = [load_model(name) for name in (options.student, options.teacher)]
    noise_db, losses, angles = [], {name: [] for name in LOSSES}, {name: [] for name in LOSSES}
    for index in range(len(clips)):
        noisy, clean = (torch.from_numpy(side[: 4 * clips.sample_rate])[None] for side in clips[index])
        with torch.no_grad():
            student, teacher = (network.output_gain * network(noisy) for network in networks)
        kept = teacher.half().float()
        noise_db.append(10 * float(torch.log10(teacher.square().sum() / (kept - teacher).square().sum())))
        gain = level_gain(clean, -12.0)
        for name, loss in LOSSES.items():
            exact, rounded = (
                _with_gradient(loss, gain, student, target, clean) for target in (teacher, kept)
            )
            losses[name].append(abs(rounded[0] / exact[0] - 1))
            angles[name].append(1 - float(torch.cosine_similarity(exact[1], rounded[1], dim=0)))
    print(f"{len(noise_db)} clips: signal over rounding {min(noise_db):.1f} dB or more; median (worst) clip")
    for name in LOSSES:
        changes = (
            f"{statistics.median(values[name]):.1e} ({max(values[name]):.1e})" for values in (losses, angles)
        )
        print(f"  {name}: loss by {next(changes)}, 1 - cosine of gradients {next(changes)}")


def _with_gradient(
    loss: DISPatch, gain: Tensor, student: Tensor, teacher: Tensor, clean: Tensor
) -> tuple[float, Tensor]:
    wave = (gain * student).requires_grad_()
    value = loss(wave, gain * teacher, gain * clean)
    value.backward()
    assert wave.grad is not None
    return float(value.detach()), wave.grad.flatten().double()


if __name__ == "__main__":
    main()
