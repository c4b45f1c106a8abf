"""Small sets of pairs, and a network that only changes the level."""

from pathlib import Path

import torch
from torch import nn

from sedistill.audio.files import write
from tests.evaluation.signals import RATE, noise, speech_like

FAST = ["stoi", "si_sdr"]


def write_pairs(folder: Path, clips: int = 3, sample_rate: int = RATE, seconds: float = 1.0) -> Path:
    for index in range(clips):
        clean = speech_like(seconds, seed=index, sample_rate=sample_rate)
        noisy = clean + noise(len(clean), level=0.005 * (index + 1), seed=100 + index)
        write(folder / "clean" / f"{index}.wav", clean, sample_rate)
        write(folder / "noisy" / f"{index}.wav", noisy, sample_rate)
    return folder


class Halver(nn.Module):
    """The input at half its level."""

    sample_rate = RATE
    output_gain = 2.0

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        return noisy / 2
