"""Every objective on signals, and signals for them."""

import torch
from torch import Tensor

from sedistill.distill.clean_and_noise_kd import CleanAndNoiseKD
from sedistill.distill.frame_kl import FrameKL
from sedistill.distill.signal_objective import SignalObjective
from sedistill.distill.subband import SubbandKD
from sedistill.distill.waveform import SISNRTarget, WaveformL1, WaveformL2

BANDS = 3

# To be listed here is to be tested.
EVERY_SIGNAL_OBJECTIVE: list[SignalObjective] = [
    SISNRTarget(),
    SISNRTarget("clean"),
    WaveformL1(),
    WaveformL2(),
    WaveformL2("clean"),
    FrameKL(),
    FrameKL(temperature=2.0),
    FrameKL("normalized", target="clean"),
    CleanAndNoiseKD(),
    CleanAndNoiseKD("clean"),
    SubbandKD(bands=BANDS),
    SubbandKD("teacher"),
    SubbandKD("clean", bands=(500, 3000), bands_used=(1,)),
]


def some_signals(
    batch: int = 2, samples: int = 1200, dtype: torch.dtype = torch.float32, seed: int = 0
) -> dict[str, Tensor]:
    """Student, teacher, clean and noisy waveforms (B, T) that are alike, and `BANDS` band teachers."""
    generator = torch.Generator().manual_seed(seed)
    parts = torch.randn(4 + BANDS, batch, samples, dtype=dtype, generator=generator)
    clean, noise, of_student, of_teacher, *of_bands = parts
    return {
        "student": 0.1 * clean + 0.05 * of_student,
        "teacher": 0.1 * clean + 0.02 * of_teacher,
        "clean": 0.1 * clean,
        "noisy": 0.1 * clean + 0.1 * noise,
        "band_teachers": torch.stack([0.1 * clean + 0.02 * part for part in of_bands], dim=1),
    }


def needed(objective: SignalObjective, signals: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: signals[name] for name in objective.needs}
