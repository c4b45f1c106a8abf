"""The objectives once more, slowly: plain Python over clips, frames and bins, from the papers' formulas."""

import cmath
import math
from collections.abc import Callable

import torch
from torch import Tensor

Spectrum = list[list[complex]]  # [bin][frame]


def ascending_crossover(magnitudes: list[float], eps: float = 1e-8) -> int:
    best, where = -1.0, 0
    for i in range(len(magnitudes) - 1):
        here, above = max(magnitudes[: i + 1]), max(magnitudes[: i + 2])
        jump = (above - here) / (here + eps)
        if jump > best:
            best, where = jump, i
    return where


def descending_crossover(magnitudes: list[float], eps: float = 1e-8) -> int:
    return len(magnitudes) - 2 - ascending_crossover(magnitudes[::-1], eps)


def l1(estimate: complex, target: complex, low: bool) -> float:
    return abs(abs(estimate) - abs(target))


def l2(estimate: complex, target: complex, low: bool) -> float:
    return (abs(estimate) - abs(target)) ** 2


def dfkd(estimate: complex, target: complex, low: bool, beta: float = 0.5) -> float:
    phase = 0.0
    if abs(estimate) > 1e-6 and abs(target) > 1e-6:
        phase = 1 - math.cos(cmath.phase(estimate) - cmath.phase(target))
    return phase if low else beta * phase + (1 - beta) * (abs(estimate) - abs(target)) ** 2


def uniform(size: int) -> Callable[[int, int], list[int]]:
    return lambda bins, crossover: [f // size for f in range(bins)]


def multi_scale(low: int, high: int) -> Callable[[int, int], list[int]]:
    def ids(bins: int, crossover: int) -> list[int]:
        found, patch, used = [], -1, 0
        for f in range(bins):
            size = low if f <= crossover else high
            if f in (0, crossover + 1) or used == size:
                patch, used = patch + 1, 0
            found.append(patch)
            used += 1
        return found

    return ids


def dispatch(
    bin_loss: Callable[[complex, complex, bool], float],
    patch_ids: Callable[[int, int], list[int]],
    keep: float,
    student: Tensor,
    teacher: Tensor,
    clean: Tensor,
    crossover_of: Callable[[list[float]], int] = ascending_crossover,
    normalizer: str = "bins",
    score: str = "kgs",
    noisy: Tensor | None = None,
    gate: str | None = None,
    softness: float = 0.0,
) -> float:
    """The loss of complex spectrograms (B, F, K), mean over clips."""
    noisy = torch.zeros_like(clean) if noisy is None else noisy
    clips = zip(student.tolist(), teacher.tolist(), clean.tolist(), noisy.tolist(), strict=True)
    losses = [
        _clip(bin_loss, patch_ids, keep, *clip, crossover_of, normalizer, score, gate, softness)
        for clip in clips
    ]
    return sum(losses) / len(losses)


def _clip(
    bin_loss: Callable[[complex, complex, bool], float],
    patch_ids: Callable[[int, int], list[int]],
    keep: float,
    student: Spectrum,
    teacher: Spectrum,
    clean: Spectrum,
    noisy: Spectrum,
    crossover_of: Callable[[list[float]], int],
    normalizer: str,
    score: str,
    gate: str | None,
    softness: float,
) -> float:
    bins, frames = len(student), len(student[0])
    patches: dict[tuple[int, int], list[tuple[int, bool]]] = {}
    for t in range(frames):
        crossover = crossover_of([abs(teacher[f][t]) for f in range(bins)])
        for f, patch in enumerate(patch_ids(bins, crossover)):
            patches.setdefault((patch, t), []).append((f, f <= crossover))

    def mean(a: Spectrum, b: Spectrum, key: tuple[int, int]) -> float:
        t = key[1]
        return sum(bin_loss(a[f][t], b[f][t], low) for f, low in patches[key]) / len(patches[key])

    def rank(key: tuple[int, int]) -> tuple[float, tuple[int, int]]:
        by_student, by_teacher = mean(student, clean, key), mean(teacher, clean, key)
        values = {
            "kgs": by_student - by_teacher,
            "teacher_top": by_teacher,
            "teacher_bottom": -by_teacher,
            "student_top": by_student,
            "student_bottom": -by_student,
        }
        return -values[score], key  # lowest index first among equals: patch-major, then frame

    def weight(key: tuple[int, int]) -> float:
        by_student, by_noisy = mean(student, clean, key), mean(noisy, clean, key)
        beaten = {
            None: math.inf,
            "teacher_over_student": by_student,
            "teacher_over_noisy": by_noisy,
            "teacher_over_both": min(by_student, by_noisy),
        }[gate]
        by_teacher = mean(teacher, clean, key)
        if gate is None or beaten <= by_teacher:
            return float(gate is None)
        return 1.0 if softness == 0 else min(1.0, (beaten - by_teacher) / (beaten + by_teacher) / softness)

    m = max(1, math.floor(keep * len(patches) + 1e-6))
    chosen = {key: weight(key) for key in sorted(patches, key=rank)[:m] if weight(key) > 0}
    if not chosen:
        return 0.0
    if normalizer == "bins":
        total = sum(w * mean(student, teacher, key) * len(patches[key]) for key, w in chosen.items())
        return total / sum(len(patches[key]) for key in chosen)
    total = sum(w * mean(student, teacher, key) for key, w in chosen.items())
    return total / (len(chosen) if normalizer == "patches" else keep * len(patches))


def random_spectra(seed: int, batch: int, bins: int, frames: int, dtype: torch.dtype) -> list[Tensor]:
    """Student, teacher, clean: alike, with some exact zeros and silent frames."""
    generator = torch.Generator().manual_seed(seed)

    def noise(scale: float) -> Tensor:
        return scale * torch.randn(batch, bins, frames, dtype=dtype, generator=generator)

    clean = noise(1.0)
    spectra = [clean + noise(0.5), clean + noise(0.2), clean]
    for spectrum in spectra:
        spectrum[torch.rand(spectrum.shape, generator=generator) < 0.05] = 0
    for spectrum in spectra:
        spectrum[:, :, 0] = 0
    return spectra
