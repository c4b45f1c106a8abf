"""Small sounds and folders of them for the tests of this folder."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 16_000


def speech(seconds: float, seed: int = 0, rate: int = RATE) -> NDArray[np.float32]:
    """A voice-like buzz in syllables with exact zeros between them."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch_hz = rng.uniform(90, 220)
    buzz = sum(np.sin(2 * np.pi * pitch_hz * k * time + rng.uniform(0, 6)) / k for k in range(1, 9))
    syllables = np.clip(np.sin(2 * np.pi * 2.3 * time + rng.uniform(0, 6)), 0, None)
    return (0.1 * buzz * syllables).astype(np.float32)


def noise(seconds: float, seed: int = 0, rate: int = RATE) -> NDArray[np.float32]:
    return (0.05 * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


def save(path: Path, samples: NDArray, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def speech_and_noise(folder: Path, speakers: int = 4, classes: int = 4, files: int = 2) -> tuple[Path, Path]:
    """clean/<speaker>/<n>.flac of 2-3 s and noise/<class>/<n>.flac of 1-5 s, without named splits."""
    for speaker in range(speakers):
        for number in range(files):
            seed = 10 * speaker + number
            save(folder / f"clean/s{speaker}/{number}.flac", speech(2 + 0.25 * speaker, seed))
    for kind in range(classes):
        for number in range(files):
            save(
                folder / f"noise/n{kind}/{number}.flac",
                noise(1 + kind + number / 4, 100 + 10 * kind + number),
            )
    return folder / "clean", folder / "noise"


def pairs(folder: Path, count: int = 4, seconds: float = 2.0) -> tuple[Path, Path]:
    """clean/<n>.wav and noisy/<n>.wav."""
    for number in range(count):
        voice = speech(seconds + number / 8, number)
        save(folder / f"clean/{number}.wav", voice)
        save(folder / f"noisy/{number}.wav", voice + noise(seconds + number / 8, number))
    return folder / "clean", folder / "noisy"
