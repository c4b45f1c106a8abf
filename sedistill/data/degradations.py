"""How a recording is degraded besides noise: by a room, a narrow band, a codec. Waveforms are (T,) float32.

Rooms are simulated: an impulse and behind it Gaussian noise that decays exponentially, which is what is
known of a room's late part without its walls. Nothing here shifts the sound.
"""

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sedistill.audio.resampling import resample
from sedistill.data.randomness import philox

TAIL_BEGINS_MS = 2.5
FADE_MS = 5.0  # over which the early part of a response ends
G711_RATE = 8_000
MU = 255.0

Codec = Literal["g711", "vorbis"]


@dataclass(frozen=True)
class Room:
    """A simulated room.

    Attributes:
        t60_seconds: after which the tail has fallen by 60 dB.
        direct_db: energy of the direct sound above that of the tail.
        early_ms: how much of the response the target keeps.
        key: (seed, stream, epoch, index) of the tail's noise.
    """

    t60_seconds: float
    direct_db: float
    early_ms: float
    key: tuple[int, int, int, int]

    def response(self, sample_rate: int) -> NDArray[np.float64]:
        """The impulse response: 1 at its beginning, then the tail, at the energy that `direct_db` says."""
        seconds = np.arange(max(2, round(self.t60_seconds * sample_rate))) / sample_rate
        tail = philox(*self.key, attempt=1).standard_normal(len(seconds))
        tail *= 10.0 ** (-3.0 * seconds / self.t60_seconds) * (seconds * 1000 >= TAIL_BEGINS_MS)
        tail *= np.sqrt(10.0 ** (-self.direct_db / 10) / max(float(tail @ tail), 1e-12))
        tail[0] = 1.0
        return tail

    def heard_in(
        self, speech: NDArray[np.float32], sample_rate: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The speech with all echoes, and with the direct sound and early ones alone; as long as it was."""
        whole = self.response(sample_rate)
        behind = (np.arange(len(whole)) / sample_rate * 1000 - self.early_ms) / FADE_MS
        return convolved(speech, whole), convolved(speech, whole * np.clip(1 - behind, 0, 1))


def convolved(samples: NDArray[np.float32], response: NDArray[np.float64]) -> NDArray[np.float32]:
    """The first len(samples) of the convolution of both."""
    size = 1 << (len(samples) + len(response) - 2).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)


def low_passed(samples: NDArray[np.float32], cutoff_hz: float, sample_rate: int) -> NDArray[np.float32]:
    """Without what lies above the cutoff: half a cosine from 1 to 0 over the last tenth below it."""
    frequency = np.fft.rfftfreq(len(samples), 1 / sample_rate)
    share = np.clip((frequency / cutoff_hz - 0.9) / 0.1, 0, 1)
    spectrum = np.fft.rfft(samples) * (0.5 + 0.5 * np.cos(np.pi * share))
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def coded(samples: NDArray[np.float32], codec: Codec, sample_rate: int) -> NDArray[np.float32]:
    """Through a codec and back: G.711 (mu-law, 8 kHz) or Ogg Vorbis, at the same place and length.

    What overshoots is limited to full scale, as every file of integers would.
    """
    if codec == "g711":
        narrow = resample(samples[:, None], sample_rate, G711_RATE)[:, 0]
        back = resample(mu_law(narrow)[:, None], G711_RATE, sample_rate)[:, 0]
    else:
        import soundfile

        file = io.BytesIO()
        soundfile.write(file, samples, sample_rate, format="OGG", subtype="VORBIS")
        file.seek(0)
        back = soundfile.read(file, dtype="float32")[0]
    result = np.zeros_like(samples)
    result[: len(back)] = back[: len(samples)].clip(-1, 1)
    return result


def mu_law(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """What 8 bits of mu-law leave of samples in [-1, 1] (ITU-T G.711, in its continuous form)."""
    compressed = np.sign(samples) * np.log1p(MU * np.minimum(np.abs(samples), 1)) / np.log1p(MU)
    rounded = np.round(compressed * 127) / 127
    return (np.sign(rounded) * np.expm1(np.abs(rounded) * np.log1p(MU)) / MU).astype(np.float32)
