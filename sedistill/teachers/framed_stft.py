"""The transform around a graph that takes spectra: frame by frame, in memory that no clip is too long for."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from sedistill.teachers.foreign import Wave
from sedistill.teachers.teacher_settings import StftSettings

TINY = 1e-8
"""A sum of squared windows at the edges, where there is hardly any."""


def spectra_of(wave: Wave, stft: StftSettings) -> Iterator[NDArray[np.float32]]:
    """Spectra (bins, 2) of centred frames of (T,), with silence before and behind it."""
    window, size = window_of(stft), stft.n_fft
    for first in range(-(size // 2), len(wave) - size // 2 + 1, stft.hop_length):
        frame = np.zeros(size)
        inside = wave[max(first, 0) : max(first + size, 0)]
        frame[max(-first, 0) : max(-first, 0) + len(inside)] = inside
        spectrum = np.fft.rfft(frame * window)
        yield np.stack([spectrum.real, spectrum.imag], axis=-1).astype(np.float32)


def wave_of(spectra: Iterable[NDArray], stft: StftSettings, samples: int) -> Wave:
    """The waveform (samples,) whose frames are nearest to these, by overlap-add over the squared window."""
    window, size, hop = window_of(stft), stft.n_fft, stft.hop_length
    wave = np.zeros(samples, np.float32)
    total, weight = np.zeros(size), np.full(size, TINY)
    place = -(size // 2)
    for spectrum in spectra:
        total += np.fft.irfft(spectrum[:, 0] + 1j * spectrum[:, 1], n=size) * window
        weight += window**2
        _give(wave, place, (total / weight)[:hop])  # no later frame begins before its end
        place += hop
        total = np.append(total[hop:], np.zeros(hop))
        weight = np.append(weight[hop:], np.full(hop, TINY))
    _give(wave, place, total / weight)
    return wave


def _give(wave: Wave, place: int, part: NDArray) -> None:
    """Write a part at its place, as far as that lies within the waveform."""
    first, last = max(place, 0), min(place + len(part), len(wave))
    if first < last:
        wave[first:last] = part[first - place : last - place]


def window_of(stft: StftSettings) -> NDArray[np.float64]:
    """Of analysis and synthesis alike, (n_fft,): a shorter one stands in the middle."""
    length = stft.window_length or stft.n_fft
    phase = np.pi * np.arange(length) / length
    window = {
        "hann": np.sin(phase) ** 2,
        "hann_sqrt": np.sin(phase),
        "vorbis": np.sin(0.5 * np.pi * np.sin(phase + 0.5 * np.pi / length) ** 2),
    }[stft.window]
    before = (stft.n_fft - length) // 2
    return np.pad(window, (before, stft.n_fft - length - before))
