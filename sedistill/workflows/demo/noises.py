"""Noises of several kinds, made by code: each a function (random generator, samples, rate) -> float (T,).

Nothing here is calibrated; `noise` brings every kind to the same RMS level. The same generator state gives
the same noise, bit for bit.
"""

from collections.abc import Callable

import numpy as np

from sedistill.audio.levels import db_to_gain

LEVEL_RMS = db_to_gain(-26)
PEAK = 0.9


def noise(kind: str, rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """`samples` of a kind in KINDS as float32 at -26 dBFS RMS (less where its peak would pass 0.9)."""
    return levelled(KINDS[kind](rng, samples, sample_rate))


def levelled(samples: np.ndarray, rms: float = LEVEL_RMS) -> np.ndarray:
    """Scaled to an RMS level, or to a peak of 0.9 where that is lower; float32."""
    samples = samples - samples.mean()
    gain = min(rms / np.sqrt(np.mean(samples**2)), PEAK / np.abs(samples).max())
    return (gain * samples).astype(np.float32)


def colored(rng: np.random.Generator, samples: int, sample_rate: int, slope: float) -> np.ndarray:
    """Noise whose power falls as 1 / f**slope (0 white, 1 pink, 2 brown), flat below 30 Hz; unit RMS."""
    frequency = np.maximum(np.fft.rfftfreq(samples, 1 / sample_rate), 30.0)
    return shaped(rng, samples, frequency ** (-slope / 2))


def band(
    rng: np.random.Generator, samples: int, sample_rate: int, low_hz: float, high_hz: float
) -> np.ndarray:
    """Noise between two frequencies with soft edges (second order); unit RMS."""
    frequency = np.fft.rfftfreq(samples, 1 / sample_rate)
    rise = (frequency / low_hz) ** 2 / (1 + (frequency / low_hz) ** 2)
    return shaped(rng, samples, rise / (1 + (frequency / high_hz) ** 2))


def shaped(rng: np.random.Generator, samples: int, amplitude: np.ndarray) -> np.ndarray:
    """White noise filtered by an amplitude over rfft bins; unit RMS."""
    filtered = np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) * amplitude, samples)
    return filtered / np.sqrt(np.mean(filtered**2))


def slowly(rng: np.random.Generator, samples: int, sample_rate: int, hz: float) -> np.ndarray:
    """A smooth random curve that changes about `hz` times a second; mean 0, spread about 1."""
    knots = int(np.ceil(samples / sample_rate * hz)) + 4
    at = np.linspace(1.0, knots - 2.5, samples)
    left = at.astype(int)
    share = at - left
    smooth = share * share * (3 - 2 * share)
    values = rng.standard_normal(knots)
    return values[left] * (1 - smooth) + values[left + 1] * smooth


def oscillator(frequency_hz: np.ndarray, sample_rate: int) -> np.ndarray:
    """The phase in radians of a tone of a changing frequency."""
    return 2 * np.pi * np.cumsum(frequency_hz) / sample_rate


def harmonics(phase: np.ndarray, amplitudes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sum of multiples of one phase, each with its amplitude and a random start."""
    starts = rng.uniform(0, 2 * np.pi, len(amplitudes))
    total = np.zeros_like(phase)
    for number, (amplitude, start) in enumerate(zip(amplitudes, starts, strict=True), start=1):
        total += amplitude * np.sin(number * phase + start)
    return total


def events(
    rng: np.random.Generator,
    samples: int,
    sample_rate: int,
    per_second: float,
    event: Callable[[], np.ndarray],
) -> np.ndarray:
    """Sounds from `event()` at random moments, on average `per_second`, at least two."""
    out = np.zeros(samples)
    count = max(2, rng.poisson(per_second * samples / sample_rate))
    for start in np.sort(rng.integers(0, samples, count)):
        sound = event()[: samples - start]
        out[start : start + len(sound)] += sound
    return out


def white(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    return colored(rng, samples, sample_rate, 0.0)


def pink(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    return colored(rng, samples, sample_rate, 1.0)


def brown(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    return colored(rng, samples, sample_rate, 2.0)


def hum(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """Mains hum with harmonics and a little hiss."""
    mains = rng.choice([50.0, 60.0]) * (1 + 0.001 * slowly(rng, samples, sample_rate, 0.5))
    amplitudes = rng.uniform(0.3, 1.0, 24) / np.arange(1, 25) ** 0.9
    tone = harmonics(oscillator(mains, sample_rate), amplitudes, rng)
    return tone + 0.15 * white(rng, samples, sample_rate)


def fan(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """Air through blades: broad noise that swells with every blade, and the motor's tone."""
    blades = oscillator(np.full(samples, rng.uniform(18, 60)), sample_rate)
    air = band(rng, samples, sample_rate, 120, rng.uniform(900, 2500))
    motor = harmonics(2 * blades, rng.uniform(0.02, 0.15, 10), rng)
    return air * (1 + 0.4 * np.sin(blades)) + motor


def wind(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """Gusts: a rumble that is always there and brighter bands that open with the wind's force."""
    force = np.exp(0.7 * slowly(rng, samples, sample_rate, 0.8))
    rumble = band(rng, samples, sample_rate, 40, 200)
    rush = band(rng, samples, sample_rate, 200, 700)
    whistle = band(rng, samples, sample_rate, 700, 1500)
    return force * rumble + 0.5 * force**2 * rush + 0.1 * force**3 * whistle


def engine(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """Firing harmonics with jitter over road noise."""
    speed = rng.uniform(28, 70) * np.exp(0.12 * slowly(rng, samples, sample_rate, 0.4))
    speed *= 1 + 0.02 * slowly(rng, samples, sample_rate, 25)
    amplitudes = rng.uniform(0.2, 1.0, 40) * np.arange(1, 41) ** -0.8
    firing = harmonics(oscillator(speed, sample_rate), amplitudes, rng)
    return firing * (1 + 0.2 * slowly(rng, samples, sample_rate, 8)) + 0.6 * brown(rng, samples, sample_rate)


def keyboard(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """Key clicks, pressed and released, in a quiet room."""
    time = np.arange(int(0.06 * sample_rate)) / sample_rate

    def click() -> np.ndarray:
        body = np.sin(2 * np.pi * rng.uniform(180, 420) * time) * np.exp(-time / 0.008)
        snap = rng.standard_normal(len(time)) * np.exp(-time / rng.uniform(0.0015, 0.004))
        return np.asarray(rng.uniform(0.4, 1.0) * (snap + 0.5 * body))

    return events(rng, samples, sample_rate, 9, click) + 0.02 * pink(rng, samples, sample_rate)


def rain(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """A steady hiss and many single drops."""
    time = np.arange(int(0.02 * sample_rate)) / sample_rate

    def drop() -> np.ndarray:
        ring = np.sin(2 * np.pi * rng.uniform(1500, 6000) * time) * np.exp(-time / 0.003)
        return np.asarray(rng.exponential(1.0) * ring)

    hiss = band(rng, samples, sample_rate, 1500, 6000)
    return events(rng, samples, sample_rate, 120, drop) + 0.3 * hiss


def siren(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """A wailing tone with harmonics, in traffic."""
    sweep = np.sin(oscillator(np.full(samples, rng.uniform(0.25, 0.6)), sample_rate))
    pitch = rng.uniform(700, 900) * 2 ** (0.5 * sweep)
    tone = harmonics(oscillator(pitch, sample_rate), np.array([1.0, 0.5, 0.35, 0.2, 0.1]), rng)
    return tone + 0.5 * brown(rng, samples, sample_rate)


def birds(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """Chirps between 2 and 6 kHz over leaves."""

    def chirp() -> np.ndarray:
        length = int(rng.uniform(0.05, 0.18) * sample_rate)
        rise = np.linspace(0, 1, length)
        pitch = rng.uniform(2200, 5000) * 2 ** (rng.uniform(-0.6, 0.6) * rise)
        return np.asarray(np.sin(oscillator(pitch, sample_rate)) * np.sin(np.pi * rise) ** 2)

    return events(rng, samples, sample_rate, 7, chirp) + 0.1 * pink(rng, samples, sample_rate)


def hammer(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """A jackhammer: blows many times a second, each a burst with a metal ring."""
    blows_hz = rng.uniform(9, 16)
    time = np.arange(int(0.07 * sample_rate)) / sample_rate
    ring_hz = rng.uniform(800, 2600, 4)
    ring = np.sin(2 * np.pi * ring_hz[:, None] * time).sum(0) * np.exp(-time / 0.015)
    starts = (
        np.cumsum(rng.normal(1, 0.08, int(blows_hz * samples / sample_rate) + 1)) * sample_rate / blows_hz
    )
    train = np.zeros(samples)
    inside = starts[(starts >= 0) & (starts < samples)].astype(int)
    train[inside] = rng.uniform(0.6, 1.0, len(inside))
    blow = ring + 2 * rng.standard_normal(len(time)) * np.exp(-time / 0.006)
    return np.convolve(train, blow)[:samples] + 0.3 * brown(rng, samples, sample_rate)


KINDS: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    kind.__name__: kind
    for kind in (white, pink, brown, hum, fan, wind, engine, keyboard, rain, siren, birds, hammer)
}
