"""Teacher, student, one method, one loop: distillation in plain torch, on audio made right here.

    python examples/minimal.py

A larger network learns to denoise gliding harmonics; then a smaller one learns from clean audio and teacher.
"""

import math

import torch

from sedistill import DFKDLoss, DISPatch, MultiScalePatches, build_model
from sedistill.audio.si_snr import negative_si_snr

SAMPLE_RATE = 16_000
SE_WEIGHT, KD_WEIGHT = 0.5, 0.5


def make_batch(clips: int = 4, seconds: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy and clean waveforms (clips, samples): gliding harmonics in white noise at about 5 dB SNR."""
    time = torch.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch_hz = 90 + 160 * torch.rand(clips, 1) + 60 * torch.rand(clips, 1) * time
    phase = 2 * math.pi * pitch_hz.cumsum(dim=1) / SAMPLE_RATE
    clean = sum(torch.sin(k * phase) / k for k in range(1, 12))
    clean = 0.1 * clean * (0.6 + 0.4 * torch.sin(2 * math.pi * 4 * time))
    noise = 0.56 * clean.std() * torch.randn_like(clean)
    return clean + noise, clean


def network(hidden: int, repeats: int) -> torch.nn.Module:
    return build_model(
        {
            "class": "ConvTasNet",
            "filters": 32,
            "filter_length": 32,
            "bottleneck": hidden,
            "hidden": 2 * hidden,
            "skip": hidden,
            "kernel": 3,
            "blocks": 3,
            "repeats": repeats,
            "deep_layers": 0,
        }
    )


def train(student: torch.nn.Module, steps: int, teacher: torch.nn.Module | None = None) -> float:
    """Train `student`, with a teacher if there is one; the SI-SNR in dB over the last five steps."""
    kd = DISPatch(DFKDLoss(), patches=MultiScalePatches(10, 40), keep=0.8)
    optimizer = torch.optim.Adam(student.parameters(), lr=3e-3)
    si_snr_db = []
    for _ in range(steps):
        noisy, clean = make_batch()
        enhanced = student(noisy)
        se_loss = negative_si_snr(enhanced, clean).mean()
        loss = SE_WEIGHT * se_loss
        if teacher is not None:
            with torch.no_grad():
                taught = teacher(noisy)
            loss = loss + KD_WEIGHT * kd(enhanced, taught, clean)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 5)
        optimizer.step()
        si_snr_db.append(-se_loss.item())
    return sum(si_snr_db[-5:]) / 5


def main(teacher_steps: int = 60, student_steps: int = 60) -> dict[str, float]:
    torch.manual_seed(0)
    teacher = network(hidden=32, repeats=2)
    results = {"teacher": train(teacher, teacher_steps)}
    results["student"] = train(network(hidden=12, repeats=1), student_steps, teacher.eval())
    return results


if __name__ == "__main__":
    for name, si_snr_db in main().items():
        print(f"{name}: {si_snr_db:.1f} dB SI-SNR at the end of training")
