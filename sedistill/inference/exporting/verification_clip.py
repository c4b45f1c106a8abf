"""Speech-like sound, made on the spot: what every exported file has to enhance as PyTorch does."""

import numpy as np
from numpy.typing import NDArray

from sedistill.audio.levels import db_to_gain

SECONDS = 4.0
SNR_DB = 5.0
FORMANTS = ((500, 1500, 2500), (300, 2200, 3000), (700, 1100, 2600), (400, 800, 2300))  # Hz, of four vowels


def check_clip(sample_rate: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Noisy and clean (samples,): vowels in syllables with hisses between, and noise that rises and falls."""
    generator = np.random.default_rng(2026)
    time = np.arange(round(SECONDS * sample_rate)) / sample_rate
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * time) + 8 * np.sin(2 * np.pi * 2.3 * time)  # Hz
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    syllable = np.floor(4 * time).astype(int)  # four a second
    place = 4 * time - syllable
    vowels = np.array(FORMANTS)[syllable % len(FORMANTS)]  # (samples, 3)
    voice = np.zeros_like(time)
    for harmonic in range(1, int(0.45 * sample_rate / pitch.max())):
        distance = (harmonic * pitch[:, None] - vowels) / np.array([90, 130, 180])
        voice += (1 / (1 + distance**2)).sum(axis=1) / harmonic**0.5 * np.cos(harmonic * phase)
    hiss = np.diff(generator.standard_normal(len(time)), append=0.0)
    clean = voice * np.sin(np.pi * np.clip(place / 0.7, 0, 1)) + 0.5 * hiss * np.exp(
        -(((place - 0.85) / 0.06) ** 2)
    )
    clean *= np.where(syllable % 6 == 5, 0.0, 1.0)  # a pause now and then
    clean *= 0.05 / clean.std()
    noise = generator.standard_normal(len(time)) * (1 + 0.5 * np.sin(2 * np.pi * 0.4 * time))
    noise *= clean.std() / noise.std() * db_to_gain(-SNR_DB)
    return (clean + noise).astype(np.float32), clean.astype(np.float32)
