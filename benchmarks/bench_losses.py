"""What each distillation loss costs, forward and backward, as ratios to the plain magnitude L2 of one run.

    python benchmarks/bench_losses.py [--rounds 15] [--seconds 4] [--threads 1]

CPU time of the process, so that other work on the machine counts little. The losses take turns round by round
in a new order each; a ratio is formed within a round, its median is quoted. The yardstick is the loss as one
would write it by hand: mean of (|STFT(student)| - |STFT(teacher)|)^2.
"""

import argparse
import os
import random
import statistics
import time
from typing import Any

import torch
from results_csv import RESULTS, write_results
from torch import Tensor

from sedistill import (
    ComplexL2,
    DFKDLoss,
    DISPatch,
    MagnitudeL1,
    MagnitudeL2,
    MultiScalePatches,
    SISNRTarget,
    Stft,
)
from sedistill.distill.bin_losses import ComplexL1, GeneralizedKL
from sedistill.distill.clean_and_noise_kd import CleanAndNoiseKD
from sedistill.distill.frame_kl import FrameKL
from sedistill.distill.subband import SubbandKD
from sedistill.distill.waveform import WaveformL1, WaveformL2

YARDSTICK = "L2, written by hand"
FULL_METHOD = "DFKD + DISPatch + MSSP"
LIMIT = 3.0


class ByHand:
    """The yardstick, called like every objective."""

    needs = ("student", "teacher")

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        stft = Stft()
        return (stft(student).abs() - stft(teacher).abs()).square().mean()


# Whatever has `needs` and takes those signals: a line here, and, for new kinds of signals, one in `signals`.
LOSSES: dict[str, Any] = {
    YARDSTICK: ByHand(),
    "SI-SNR towards the teacher": SISNRTarget(),
    "waveform L1": WaveformL1(),
    "waveform L2": WaveformL2(),
    "L1": DISPatch(MagnitudeL1(), keep=1.0),
    "L2": DISPatch(MagnitudeL2(), keep=1.0),
    "L2, power 0.3": DISPatch(MagnitudeL2(0.3), keep=1.0),
    "complex L1": DISPatch(ComplexL1(), keep=1.0),
    "complex L2": DISPatch(ComplexL2(1), keep=1.0),
    "complex L2, power 0.3": DISPatch(ComplexL2(0.3), keep=1.0),
    "KL, generalized": DISPatch(GeneralizedKL(), keep=1.0),
    "KL, softmax": FrameKL(),
    "KL, normalized": FrameKL("normalized"),
    "DFKD": DISPatch(DFKDLoss(), keep=1.0),
    "clean and noise (MV-AT)": CleanAndNoiseKD(),
    "Subband-KD, 4 teachers": SubbandKD(),
    "Subband-KD, 1 teacher": SubbandKD("teacher"),
    "L2 + DISPatch": DISPatch(MagnitudeL2(), keep=0.8),
    "complex L2, power 0.3 + DISPatch": DISPatch(ComplexL2(0.3), keep=0.8),
    "KL, generalized + DISPatch": DISPatch(GeneralizedKL(), keep=0.8),
    "DFKD + DISPatch": DISPatch(DFKDLoss(), keep=0.8),
    FULL_METHOD: DISPatch(DFKDLoss(), MultiScalePatches(10, 40), 0.8),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    rows = []
    for batch in (1, 16):
        times_ms = measure(batch, options)
        for name, ratios in ratios_to_yardstick(times_ms).items():
            rows.append(
                {
                    "loss": name,
                    "batch": batch,
                    "ms": round(statistics.median(times_ms[name]), 2),
                    "ratio": round(statistics.median(ratios), 2),
                    "lowest_ratio": round(min(ratios), 2),
                    "highest_ratio": round(max(ratios), 2),
                    "limit": LIMIT if name == FULL_METHOD else "",
                }
            )
            print(
                "{loss:34} batch {batch:2}  {ms:8.2f} ms  x{ratio} [{lowest_ratio}..{highest_ratio}]".format(
                    **rows[-1]
                )
            )
    write(rows, options)


def measure(batch: int, options: argparse.Namespace) -> dict[str, list[float]]:
    """Milliseconds of CPU time of each loss, round by round."""
    given = signals(batch, int(16_000 * options.seconds))
    times_ms: dict[str, list[float]] = {name: [] for name in LOSSES}
    order = list(LOSSES)
    for _ in range(options.rounds + 2):
        random.Random(len(times_ms[YARDSTICK])).shuffle(order)
        for name in order:
            loss = LOSSES[name]
            needed = {signal: given[signal] for signal in loss.needs}
            start = time.process_time()
            loss(**needed).backward()
            times_ms[name].append(1000 * (time.process_time() - start))
            given["student"].grad = None
    return {name: times[2:] for name, times in times_ms.items()}


def signals(batch: int, samples: int) -> dict[str, Tensor]:
    """What the losses may need, by name: waveforms (batch, samples); band teachers (batch, 4, samples)."""
    generator = torch.Generator().manual_seed(0)

    def noise(level: float, *shape: int) -> Tensor:
        return level * torch.randn(*shape, generator=generator)

    clean = noise(0.1, batch, samples)
    return {
        "student": (clean + noise(0.05, batch, samples)).requires_grad_(),
        "teacher": clean + noise(0.02, batch, samples),
        "clean": clean,
        "noisy": clean + noise(0.1, batch, samples),
        "band_teachers": clean[:, None] + noise(0.02, batch, 4, samples),
    }


def ratios_to_yardstick(times_ms: dict[str, list[float]]) -> dict[str, list[float]]:
    yardstick = times_ms[YARDSTICK]
    return {name: [a / b for a, b in zip(times, yardstick, strict=True)] for name, times in times_ms.items()}


def write(rows: list[dict[str, object]], options: argparse.Namespace) -> None:
    facts = {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "threads": options.threads,
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 1),
    }
    write_results([row | facts for row in rows], RESULTS / "losses.csv")


if __name__ == "__main__":
    main()
