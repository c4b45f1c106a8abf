"""Short signals that the metrics take for speech."""

import numpy as np
from numpy.typing import NDArray

RATE = 16_000


def speech_like(seconds: float = 1.6, seed: int = 0, sample_rate: int = RATE) -> NDArray[np.float32]:
    """Low-passed noise with syllables: loud and quiet four times a second, never silent."""
    random = np.random.default_rng(seed)
    samples = round(seconds * sample_rate)
    noise = np.convolve(random.standard_normal(samples), np.ones(4) / 4, mode="same")
    time = np.arange(samples) / sample_rate
    envelope = 0.02 + np.sin(2 * np.pi * 2 * time) ** 2 * random.uniform(0.5, 1.0, size=1)
    return (0.2 * envelope * noise).astype(np.float32)


def noise(samples: int, level: float = 0.02, seed: int = 1) -> NDArray[np.float32]:
    """White noise of this RMS."""
    return (level * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)
