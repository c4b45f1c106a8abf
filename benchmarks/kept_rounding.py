"""What rounding a teacher's outputs, to keep them in less room, does to losses and gradients.

    python benchmarks/kept_rounding.py STUDENT TEACHER SET [--clips 25]

STUDENT, TEACHER: saved models; SET: pairs. Each clip's first 4 s go through both, and every loss is taken
towards the teacher's output as it is, and rounded: to float16, and to the grid of 16- and 24-bit FLAC, whose
sizes and times to read a clip of 4 s are measured too.
"""

import argparse
import io
import statistics
import time
from pathlib import Path

import numpy as np
import soundfile
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
FORMS = {
    "float16": lambda wave: wave.half().float(),
    "16 bit": lambda wave: (wave * 2**15).round() / 2**15,
    "24 bit": lambda wave: (wave * 2**23).round() / 2**23,
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
    outputs = []
    for index in range(len(clips)):
        noisy, clean = (torch.from_numpy(side[: 4 * clips.sample_rate])[None] for side in clips[index])
        with torch.no_grad():
            student, teacher = (network.output_gain * network(noisy) for network in networks)
        outputs.append((student, teacher, clean))
    print(f"{len(outputs)} clips; of losses and of 1 - cosine of gradients the median (worst) clip")
    for form, rounded in FORMS.items():
        kept = [rounded(teacher) for _, teacher, _ in outputs]
        noise_db = min(_ratio_db(out[1], one) for out, one in zip(outputs, kept, strict=True))
        print(f"{form}: signal over rounding {noise_db:.1f} dB or more")
        for name, loss in LOSSES.items():
            changes, angles = zip(
                *(_effect(loss, *out, one) for out, one in zip(outputs, kept, strict=True)), strict=True
            )
            told = (f"{statistics.median(one):.1e} ({max(one):.1e})" for one in (changes, angles))
            print(f"  {name}: loss by {next(told)}, 1 - cosine {next(told)}")
    for subtype in ("PCM_16", "PCM_24"):
        sizes, seconds = zip(*(_as_flac(teacher, subtype) for _, teacher, _ in outputs), strict=True)
        print(f"FLAC {subtype}: {np.mean(sizes):.2f} bytes a sample, {1e3 * np.mean(seconds):.2f} ms a clip")


def _ratio_db(exact: Tensor, rounded: Tensor) -> float:
    return 10 * float(torch.log10(exact.square().sum() / (rounded - exact).square().sum()))


def _effect(
    loss: DISPatch, student: Tensor, teacher: Tensor, clean: Tensor, kept: Tensor
) -> tuple[float, float]:
    """By how much the loss changes, and its gradient turns."""
    gain = level_gain(clean, -12.0)
    exact, rounded = (_with_gradient(loss, gain, student, target, clean) for target in (teacher, kept))
    angle = 1 - float(torch.cosine_similarity(exact[1], rounded[1], dim=0))
    return abs(rounded[0] / exact[0] - 1), angle


def _as_flac(wave: Tensor, subtype: str) -> tuple[float, float]:
    """Bytes a sample, and seconds to read it."""
    file = io.BytesIO()
    soundfile.write(file, wave[0].numpy(), 16_000, format="FLAC", subtype=subtype)
    file.seek(0)
    begun = time.perf_counter()
    soundfile.read(file, dtype="float32")
    return file.getbuffer().nbytes / wave.shape[1], time.perf_counter() - begun


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
